//! How a connection begins: TLS, and which version of HTTP it speaks. All of it within one time limit.

use std::io;
use std::net::SocketAddr;

use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_server::GracefulShutdownSignal;
use actix_web::rt::net::{TcpStream, UnixStream};
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connection::Conn;
use super::transport::{Socket, Transport};
use crate::config::Timeouts;

/// How connections of one listener begin.
pub(super) struct Accept {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) h2c: bool,
    pub(super) timeouts: Timeouts,
    pub(super) shutdown: GracefulShutdownSignal,
}

/// A connection that is ready for HTTP of this version.
type Accepted = (Conn, Protocol, Option<SocketAddr>);

impl Accept {
    pub(super) async fn tcp(&self, io: TcpStream) -> Result<Accepted, DispatchError> {
        let peer = io.peer_addr().ok();
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = io.set_nodelay(true);
        self.begin(Socket::Tcp(io), peer).await
    }

    pub(super) async fn unix(&self, io: UnixStream) -> Result<Accepted, DispatchError> {
        self.begin(Socket::Unix(io), None).await
    }

    async fn begin(&self, socket: Socket, peer: Option<SocketAddr>) -> Result<Accepted, DispatchError> {
        let begun = timeout(self.timeouts.header, self.negotiate(socket)).await;
        let (transport, protocol, ahead) = begun.map_err(|_| DispatchError::SlowRequestTimeout)??;
        Ok((Conn::new(transport, ahead, protocol, self), protocol, peer))
    }

    async fn negotiate(&self, socket: Socket) -> io::Result<(Transport, Protocol, Bytes)> {
        let Some(tls) = &self.tls else { return self.in_the_clear(socket).await };
        let stream = tls.accept(socket).await.inspect_err(|error| {
            tracing::debug!(%error, "a TLS handshake failed");
        })?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((Transport::Tls(Box::new(stream)), protocol, Bytes::new()))
    }

    async fn in_the_clear(&self, mut socket: Socket) -> io::Result<(Transport, Protocol, Bytes)> {
        if !self.h2c {
            return Ok((Transport::Plain(socket), Protocol::Http1, Bytes::new()));
        }
        let (protocol, ahead) = detect(&mut socket).await?;
        Ok((Transport::Plain(socket), protocol, ahead))
    }
}

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4), and no other request can.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads just enough to tell the versions apart, and returns it to be read again.
async fn detect(socket: &mut Socket) -> io::Result<(Protocol, Bytes)> {
    let mut ahead = BytesMut::with_capacity(PREFACE.len());
    while ahead.len() < PREFACE.len() {
        let mut rest = (&mut *socket).take((PREFACE.len() - ahead.len()) as u64);
        if rest.read_buf(&mut ahead).await? == 0 || !PREFACE.starts_with(&ahead) {
            return Ok((Protocol::Http1, ahead.freeze()));
        }
    }
    Ok((Protocol::Http2, ahead.freeze()))
}
