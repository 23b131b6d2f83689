//! What bytes travel over: TCP or a unix socket, with TLS or in the clear, as one type. HTTP is compiled
//! once for all of them.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::{TcpStream, UnixStream};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio_rustls::server::TlsStream;

/// A connection's socket.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket, with TLS or without.
pub(super) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    /// The client's certificate in DER.
    pub(super) fn certificate(&self) -> Option<Arc<[u8]>> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => stream
                .get_ref()
                .1
                .peer_certificates()?
                .first()
                .map(|certificate| Arc::from(certificate.as_ref())),
        }
    }
}

impl Transport {
    /// Has `send` write to the socket itself, once that takes something.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let Transport::Plain(socket) = self else {
            return Poll::Ready(Err(io::Error::other(
                "what is encrypted does not go to the socket as it is",
            )));
        };
        loop {
            let outcome = match socket {
                Socket::Tcp(io) => {
                    ready!(io.poll_write_ready(cx))?;
                    io.try_io(Interest::WRITABLE, || send(io.as_fd()))
                }
                Socket::Unix(io) => {
                    ready!(io.poll_write_ready(cx))?;
                    io.try_io(Interest::WRITABLE, || send(io.as_fd()))
                }
            };
            match outcome {
                // It is registered anew by the next look at whether it is ready.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

/// Passes each call on to whichever variant it is.
macro_rules! delegate_io {
    ($type:ty, $($variant:ident),+) => {
        impl AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_read(cx, buf),)+ }
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_write(cx, bytes),)+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_write_vectored(cx, slices),)+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $(Self::$variant(io) => io.is_write_vectored(),)+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_flush(cx),)+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_shutdown(cx),)+ }
            }
        }
    };
}

delegate_io!(Socket, Tcp, Unix);
delegate_io!(Transport, Plain, Tls);
