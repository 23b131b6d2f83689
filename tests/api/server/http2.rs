//! HTTP/2 without TLS: row A30, reliability row 45. The frames are written by hand: a client library would
//! not send what these cases are about.

use std::io::{Read, Write};
use std::net::TcpStream;

use entrepot_tests::http::{Client, PATIENCE};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Http2(TcpStream);

impl Http2 {
    fn open(client: &Client) -> Self {
        let stream = TcpStream::connect(client.next_address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut connection = Self(stream);
        connection.0.write_all(PREFACE).unwrap();
        assert!(connection.send(SETTINGS, 0, 0, &[]));
        connection
    }

    /// Whether the frame could be sent: a server may hang up on a flood.
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).is_ok()
    }

    /// `GET` with nothing but the pseudo-headers.
    fn get(&mut self, stream: u32, path: &str) -> bool {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &request_headers("GET", path))
    }

    fn receive(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The first byte of the answer's header block (the indexed status) and its body.
    fn answer(&mut self, stream: u32) -> (u8, Vec<u8>) {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let frame = self.receive().expect("the server answers");
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS => status = frame.payload[0],
                DATA => body.extend_from_slice(&frame.payload),
                kind => panic!("a frame of type {kind} on the stream"),
            }
            if frame.flags & END_STREAM != 0 {
                return (status, body);
            }
        }
    }

    /// Whether the server ends the connection: with GOAWAY, or by closing it.
    fn is_ended(&mut self) -> bool {
        while let Some(frame) = self.receive() {
            if frame.kind == GOAWAY {
                return true;
            }
        }
        true
    }
}

/// HPACK, all literal and without indexing, so that no table has to be kept (RFC 7541, section 6.2.2).
fn request_headers(method: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [(":method", method), (":scheme", "http"), (":authority", "r"), (":path", path)] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short names and values"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// `:status` 200 and 404 in HPACK's static table.
const OK: u8 = 0x88;
const NOT_FOUND: u8 = 0x8d;

fn http2_is_understood_by_prior_knowledge_where_configured(setup: Setup) {
    let registry = setup.frontend(|config| config.h2c = true).start();
    let image = registry.push_some_image("a", "v1");
    let mut connection = Http2::open(&registry);

    assert!(connection.get(1, "/v2/a/manifests/v1"));
    assert_eq!(connection.answer(1), (OK, image.manifest.bytes));
    assert!(connection.get(3, "/v2/a/manifests/v2"));
    assert_eq!(connection.answer(3).0, NOT_FOUND);
    registry.get("/v2/").send().expect(200);
}

fn a_body_comes_over_http2_too(setup: Setup) {
    let registry = setup.frontend(|config| config.h2c = true).start();
    let digest = entrepot_oci::Digest::sha256(b"content");
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let mut connection = Http2::open(&registry);

    assert!(connection.send(HEADERS, END_HEADERS, 1, &request_headers("POST", &path)));
    assert!(connection.send(DATA, 0, 1, b"cont"));
    assert!(connection.send(DATA, END_STREAM, 1, b"ent"));
    connection.answer(1);

    registry.head(format!("/v2/a/blobs/{digest}")).send().expect(200);
}

/// RFC 9113 has given up the upgrade; who asks for it is served as it came.
fn an_upgrade_is_declined_by_an_answer(setup: Setup) {
    let registry = setup.frontend(|config| config.h2c = true).start();

    let request = registry.get("/v2/").header("Connection", "Upgrade, HTTP2-Settings");
    let answer = request.header("Upgrade", "h2c").header("HTTP2-Settings", "AAMAAABkAAQAAP__").send();

    assert_eq!(answer.expect(200).text(), "{}");
}

fn streams_that_are_reset_at_once_harm_nobody(setup: Setup) {
    let registry = setup.frontend(|config| config.h2c = true).start();
    registry.push_some_image("a", "v1");
    let mut connection = Http2::open(&registry);
    for stream in (1..20_000).step_by(2) {
        let sent = connection.get(stream, "/v2/a/manifests/v1")
            && connection.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        if !sent {
            break;
        }
    }

    registry.get("/v2/a/manifests/v1").send().expect(200);
}

fn headers_without_end_are_cut_off(setup: Setup) {
    let registry = setup.frontend(|config| config.h2c = true).start();
    let mut connection = Http2::open(&registry);
    assert!(connection.send(HEADERS, END_STREAM, 1, &request_headers("GET", "/v2/")));
    let filler = {
        let mut filler = vec![0, 7];
        filler.extend_from_slice(b"x-flood");
        filler.push(100);
        filler.extend_from_slice(&[b'a'; 100]);
        filler.repeat(100)
    };

    let cut = (0..10_000).any(|_| !connection.send(CONTINUATION, 0, 1, &filler));

    assert!(cut || connection.is_ended());
    registry.get("/v2/").send().expect(200);
}

fn empty_frames_without_end_harm_nobody(setup: Setup) {
    let registry = setup.frontend(|config| config.h2c = true).start();
    let mut connection = Http2::open(&registry);
    let path = format!("/v2/a/blobs/uploads/?digest={}", entrepot_oci::Digest::sha256(b""));
    assert!(connection.send(HEADERS, END_HEADERS, 1, &request_headers("POST", &path)));

    for _ in 0..20_000 {
        if !connection.send(DATA, 0, 1, &[]) {
            break;
        }
    }

    registry.get("/v2/").send().expect(200);
}

on_every_store![
    http2_is_understood_by_prior_knowledge_where_configured,
    a_body_comes_over_http2_too,
    an_upgrade_is_declined_by_an_answer,
    streams_that_are_reset_at_once_harm_nobody,
    headers_without_end_are_cut_off,
    empty_frames_without_end_harm_nobody,
];
