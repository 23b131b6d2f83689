//! A request, byte for byte.

use std::fmt::{self, Write as _};

use super::{Client, Connection, Response};

/// A request on its way. Nothing is added to it but `Host` (unless the test gives its own) and the framing
/// of the body that was chosen.
#[derive(Debug)]
pub struct Request<'c> {
    client: &'c Client,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// No body and no word about it.
    None,
    /// With `Content-Length`.
    Sized(Vec<u8>),
    /// `Transfer-Encoding: chunked`, one chunk for each piece.
    Chunked(Vec<Vec<u8>>),
    /// These bytes after the headers, whatever the headers say.
    Raw(Vec<u8>),
}

impl<'c> Request<'c> {
    pub(super) fn new(client: &'c Client, method: &str, target: String) -> Self {
        Self { client, method: method.to_owned(), target, headers: Vec::new(), body: Body::None }
    }

    /// Adds a header; the same name may be added again.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// A body of known length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Sized(body.into());
        self
    }

    /// `Content-Length: 0`, as Go writes a body that is there and empty.
    #[must_use]
    pub fn empty(self) -> Self {
        self.body(Vec::new())
    }

    /// A body of unknown length, in chunks of this size.
    #[must_use]
    pub fn chunked(mut self, body: &[u8], chunk_bytes: usize) -> Self {
        self.body = Body::Chunked(body.chunks(chunk_bytes).map(<[u8]>::to_vec).collect());
        self
    }

    /// Bytes after the headers that the headers need not agree with: the framing is the test's affair.
    #[must_use]
    pub fn raw(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Raw(bytes.into());
        self
    }

    /// Sends it on a connection of its own and reads the answer.
    pub fn send(self) -> Response {
        let mut connection = self.client.connect();
        self.on(&mut connection)
    }

    /// Sends it on a given connection and reads the answer. The server may answer and close before it
    /// has read everything; that is an answer, not an error.
    pub fn on(self, connection: &mut Connection) -> Response {
        let method = self.method.clone();
        connection.write_if_open(&self.into_bytes(connection.address()));
        connection.response_to(&method)
    }

    /// Sends it and closes without waiting: what a client does that is killed.
    pub fn abandon(self) {
        let mut connection = self.client.connect();
        let bytes = self.into_bytes(connection.address());
        connection.write_if_open(&bytes);
    }

    /// What would be sent to `host`.
    pub fn into_bytes(self, host: impl fmt::Display) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            push_header(&mut head, "Host", host);
        }
        for (name, value) in &self.headers {
            push_header(&mut head, name, value);
        }
        let body = match self.body {
            Body::None => Vec::new(),
            Body::Raw(bytes) => bytes,
            Body::Sized(bytes) => {
                push_header(&mut head, "Content-Length", bytes.len());
                bytes
            }
            Body::Chunked(pieces) => {
                push_header(&mut head, "Transfer-Encoding", "chunked");
                in_chunks(&pieces)
            }
        };
        head.push_str("\r\n");
        [head.into_bytes(), body].concat()
    }
}

fn push_header(head: &mut String, name: &str, value: impl fmt::Display) {
    write!(head, "{name}: {value}\r\n").expect("writing to a string cannot fail");
}

/// The chunked coding of `pieces`, with its end.
fn in_chunks(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}
