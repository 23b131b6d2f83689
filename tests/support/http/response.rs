//! An answer as it came, and what tests ask of it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use entrepot_api::{Errors, Failure, envelope};
use serde_json::Value;

use super::connection::is_closed;

/// An answer. Headers keep their order, case and repetitions.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status; 0 where the connection was closed without any answer.
    pub status: u16,
    /// Name and value of every header.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub body: Vec<u8>,
    /// Whether the body arrived to its announced end. An answer that was cut is not complete.
    pub complete: bool,
}

impl Response {
    /// Reads one answer to a request with this method.
    pub(super) fn read(reader: &mut BufReader<TcpStream>, method: &str) -> Self {
        if reader.fill_buf().map_or(true, <[u8]>::is_empty) {
            return Self { status: 0, headers: Vec::new(), body: Vec::new(), complete: false };
        }
        let first = line(reader);
        let mut words = first.split(' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "not the beginning of an answer: {first:?}");
        let status = words.next().and_then(|code| code.parse().ok()).expect("a status line has a status");
        let mut headers = Vec::new();
        loop {
            let line = line(reader);
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').expect("a header line has a colon");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut response = Self { status, headers, body: Vec::new(), complete: true };
        let has_body = method != "HEAD" && status >= 200 && status != 204 && status != 304;
        if has_body {
            (response.body, response.complete) = response.read_body(reader);
        }
        response
    }

    fn read_body(&self, reader: &mut BufReader<TcpStream>) -> (Vec<u8>, bool) {
        if self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return read_chunked(reader);
        }
        match self.header("content-length") {
            Some(length) => {
                let length = length.parse().expect("a length is a number");
                let body = read_up_to(reader, length);
                let complete = body.len() as u64 == length;
                (body, complete)
            }
            None => (read_up_to(reader, u64::MAX), true),
        }
    }

    /// The value of a header that occurs at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} occurs {} times", values.len());
        values.first().copied()
    }

    /// The value of a header that has to be there.
    pub fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {self}"))
    }

    /// All values of a header, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Where a list goes on: the target of `Link`, which has to be written as clients read it.
    pub fn next_page(&self) -> Option<String> {
        let link = self.header("Link")?;
        let target = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
        Some(target.unwrap_or_else(|| panic!("no next page in {self}")).to_owned())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Itself, if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The errors of a refusal.
    pub fn errors(&self) -> Errors {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Itself, if it is a whole refusal for this reason: status, code and message of the table, the
    /// envelope, and every header the table promises.
    #[track_caller]
    pub fn refused(self, failure: Failure) -> Self {
        self.has_refusal_head(failure);
        assert_eq!(self.expect_header("Content-Type"), envelope::CONTENT_TYPE, "{self}");
        let errors = self.errors();
        assert!(!errors.errors.is_empty(), "{self}");
        for error in &errors.errors {
            assert_eq!(error.code, failure.code(), "{self}");
            assert!(error.message.starts_with(failure.message()), "{self}");
        }
        self
    }

    /// The same for an answer to HEAD, which has no body to tell the reason.
    #[track_caller]
    pub fn has_refusal_head(&self, failure: Failure) {
        assert_eq!(self.status, failure.status().code(), "{self}");
        for header in failure.headers() {
            assert!(!self.all(header.field).is_empty(), "{} is missing in {self}", header.name);
        }
    }
}

impl std::fmt::Display for Response {
    /// The answer as people read it, for panics and golden files.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        f.write_char('\n')?;
        match std::str::from_utf8(&self.body) {
            Ok(text) if text.len() <= 4096 => f.write_str(text),
            _ => write!(f, "({} bytes)", self.body.len()),
        }?;
        if self.complete { Ok(()) } else { f.write_str("(cut short)") }
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("the server under test answers in time");
    assert!(line.ends_with("\r\n"), "the answer ends in the middle of its head: {line:?}");
    line.truncate(line.len() - 2);
    line
}

/// Reads until `limit`, the end, or the break of the connection.
fn read_up_to(reader: &mut BufReader<TcpStream>, limit: u64) -> Vec<u8> {
    let mut body = Vec::new();
    match reader.take(limit).read_to_end(&mut body) {
        Ok(_) => body,
        Err(error) if is_closed(error.kind()) => body,
        Err(error) => panic!("reading the answer: {error}"),
    }
}

fn read_chunked(reader: &mut BufReader<TcpStream>) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        let read = reader.read_line(&mut size);
        let Some(size) = read.ok().and_then(|_| u64::from_str_radix(size.trim(), 16).ok()) else {
            return (body, false);
        };
        let chunk = read_up_to(reader, size + 2);
        if chunk.len() as u64 != size + 2 {
            return (body, false);
        }
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&chunk[..chunk.len() - 2]);
    }
}
