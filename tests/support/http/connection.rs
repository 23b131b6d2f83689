//! One connection: bytes out, answers in.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::{PATIENCE, Response};

/// A connection that stays open until it is dropped. Several requests may be written before the first
/// answer is read.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects. Panics when nobody listens there.
    pub fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the server under test listens"), address)
    }

    /// Connects, where somebody may be listening or not.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address)?, address))
    }

    fn over(stream: TcpStream, address: SocketAddr) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        stream.set_nodelay(true).expect("a connected socket");
        Self { address, reader: BufReader::new(stream) }
    }

    /// Whom it leads to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the server under test reads on");
    }

    /// Writes bytes that may be refused: by a server that has answered already, or is no more.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Writes as much as the server takes before it closes.
    pub fn write_if_open(&mut self, bytes: &[u8]) {
        match self.reader.get_mut().write_all(bytes) {
            Ok(()) => {}
            Err(error) if is_closed(error.kind()) => {}
            Err(error) => panic!("writing to the server under test: {error}"),
        }
    }

    /// Says that nothing more will be written. The server may have closed already.
    pub fn finish_writing(&mut self) {
        let _ = self.reader.get_mut().shutdown(Shutdown::Write);
    }

    /// Reads one answer, 1xx included, to a request with this method.
    pub fn response_to(&mut self, method: &str) -> Response {
        Response::read(&mut self.reader, method)
    }

    /// Whether the server has closed its side, with nothing more to read. Waits until it has, or has
    /// sent something.
    pub fn is_closed(&mut self) -> bool {
        match self.reader.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => is_closed(error.kind()),
        }
    }

    /// Reads everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if is_closed(error.kind()) => bytes,
            Err(error) => panic!("the server under test neither answers nor closes: {error}"),
        }
    }

    /// Reads exactly so many bytes as they are.
    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).expect("the server under test sends that much");
        bytes
    }
}

pub(super) fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::UnexpectedEof
            | ErrorKind::NotConnected
    )
}
