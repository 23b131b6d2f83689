//! The access log: one line for each request, which no request can forge.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use super::disconnect::eventually;
use super::support::{digest_of, open_upload, push_blob, start};

type Lines = Arc<Mutex<Vec<u8>>>;

/// Everything the process logs; the tests of one process share it.
fn log() -> &'static Lines {
    static LOG: OnceLock<Lines> = OnceLock::new();
    LOG.get_or_init(|| {
        let lines = Lines::default();
        let writer = lines.clone();
        let make = move || Buffer(writer.clone());
        tracing_subscriber::fmt().with_ansi(false).with_writer(make).try_init().unwrap();
        lines
    })
}

struct Buffer(Lines);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The line of the request with this id.
fn line(id: &str) -> String {
    eventually(|| {
        let all = String::from_utf8_lossy(&log().lock().unwrap()).into_owned();
        let field = format!("request_id=\"{id}\"");
        all.lines().find(|line| line.contains(" access: ") && line.contains(&field)).map(str::to_owned)
    })
}

#[test]
fn a_request_leaves_a_line_with_fields_in_the_combined_format() {
    log();
    let running = start();
    let digest = push_blob(&running, "a", b"hello");

    running.send(&format!("GET /v2/a/blobs/{digest}\nX-Request-ID: log-1\nUser-Agent: test \"agent\""));

    let line = line("log-1");
    for part in [
        "127.0.0.1 - - [",
        &format!("\"GET /v2/a/blobs/{digest} HTTP/1.1\" 200 5 \"-\" \"test \\\"agent\\\"\""),
        "operation=\"blob_get\"",
        "status=200",
        "bytes_out=5",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn the_token_of_an_upload_is_not_logged() {
    log();
    let running = start();
    let location = open_upload(&running, "a");
    let token = location.split_once("_state=").unwrap().1;

    running.send(&format!("GET {location}\nX-Request-ID: log-2"));

    assert!(!line("log-2").contains(token));
}

#[test]
fn a_refused_expectation_is_logged_too() {
    log();
    let running = start();
    let digest = digest_of(b"x");

    running.send(&format!(
        "PUT /v2/a/blobs/uploads/none?digest={digest}\nExpect: 100-continue\nContent-Length: 1\nX-Request-ID: log-3"
    ));

    assert!(line("log-3").contains("status=404"));
}
