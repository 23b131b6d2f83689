//! One connection, whatever it runs over, with the limits actix does not have: headers of later
//! requests that trickle in, answers nobody reads, requests sent ahead, and HTTP/2 connections that stay
//! without doing anything or send nothing but empty frames.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_http::Protocol;
use actix_web::dev::RequestHead;
use actix_web::http::{Method, header};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::accept::Accept;
use super::alarm::Alarm;
use super::frames::Frames;
use super::framing::{BodyFraming, Framing, HELD_BYTES, InHand, Step};
use super::outbound::{Laid, Outbound};
use super::transport::Transport;
use crate::context::content_length;

/// What requests know of their connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Whether it is encrypted.
    pub(crate) secure: bool,
    /// The client's certificate in DER.
    pub(crate) certificate: Option<Arc<[u8]>>,
    state: Rc<State>,
}

impl Connection {
    /// Counts the request with `head` until what is returned is dropped.
    pub(crate) fn request(&self, head: &RequestHead) -> InFlight {
        self.state.in_flight.set(self.state.in_flight.get() + 1);
        self.state.headers_since.set(None);
        self.state.begun.set(Some(body_framing(head)));
        InFlight(self.state.clone())
    }
}

/// Where the body of an HTTP/1.1 request ends. An upgrade is read as a body without end, as by actix.
fn body_framing(head: &RequestHead) -> BodyFraming {
    let endless = head.method == Method::CONNECT || head.headers().contains_key(header::UPGRADE);
    match content_length(head) {
        Some(length) if length > 0 || !endless => BodyFraming::Length(length),
        _ => BodyFraming::Chunked,
    }
}

/// What a connection is doing.
#[derive(Debug)]
struct State {
    in_flight: Cell<usize>,
    /// How many requests have ended.
    ended: Cell<u64>,
    /// How the last request's body ends; unset while the headers of another are handed over.
    begun: Cell<Option<BodyFraming>>,
    /// When the last request ended, or the connection began.
    idle_since: Cell<Instant>,
    /// When the first byte of a request came that is not there yet.
    headers_since: Cell<Option<Instant>>,
    /// Who wants to know when nothing is in flight any more.
    reader: RefCell<Option<Waker>>,
    /// The way of large bodies; none in HTTP/2.
    outbound: Option<Outbound>,
}

/// A request in the hands of the server.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<State>);

impl InFlight {
    /// How many there are on its connection, itself included.
    pub(crate) fn count(&self) -> usize {
        self.0.in_flight.get()
    }

    /// The way past actix for a large body, where there is one.
    pub(crate) fn outbound(&self) -> Option<Outbound> {
        self.0.outbound.clone()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
        self.0.ended.set(self.0.ended.get() + 1);
        if self.0.in_flight.get() == 0 {
            self.0.idle_since.set(Instant::now());
            if let Some(reader) = self.0.reader.take() {
                reader.wake();
            }
        }
    }
}

/// A connection as actix sees it.
pub(crate) struct Conn {
    transport: Transport,
    version: Version,
    connection: Connection,
    header: Duration,
    idle: Duration,
    reading: Alarm,
    writing: Alarm,
    /// Since when the client does not read.
    stalled_since: Option<Instant>,
    shutdown: Pin<Box<dyn Future<Output = ()>>>,
    draining: bool,
}

/// What the versions need to follow what arrives.
enum Version {
    Http1(Framing),
    Http2 { frames: Frames, ahead: Bytes },
}

/// How much later than actix the same limit is applied here: its answer to a first request is a 408.
const AFTER_ACTIX: Duration = Duration::from_secs(1);

/// How long a draining HTTP/2 connection stays after its last answer, so that it is read.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Conn {
    pub(super) fn new(transport: Transport, ahead: Bytes, protocol: Protocol, accept: &Accept) -> Self {
        let state = State {
            in_flight: Cell::new(0),
            ended: Cell::new(0),
            begun: Cell::new(None),
            idle_since: Cell::new(Instant::now()),
            headers_since: Cell::new(None),
            reader: RefCell::new(None),
            outbound: (protocol != Protocol::Http2)
                .then(|| Outbound::new(matches!(transport, Transport::Plain(_)))),
        };
        let secure = matches!(transport, Transport::Tls(_));
        let certificate = transport.certificate();
        let shutdown = accept.shutdown.clone();
        let version = match protocol {
            Protocol::Http2 => Version::Http2 { frames: Frames::new(), ahead },
            _ => Version::Http1(Framing::new(ahead)),
        };
        Self {
            transport,
            version,
            connection: Connection { secure, certificate, state: Rc::new(state) },
            header: accept.timeouts.header,
            idle: accept.timeouts.idle,
            reading: Alarm::default(),
            writing: Alarm::default(),
            stalled_since: None,
            shutdown: Box::pin(async move { shutdown.notified().await }),
            draining: false,
        }
    }

    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    fn arrived(&self) {
        let state = &self.connection.state;
        if state.in_flight.get() == 0 && state.headers_since.get().is_none() {
            state.headers_since.set(Some(Instant::now()));
        }
    }

    /// actix limits the headers of a connection's first request, and the time between requests.
    fn poll_silence_http1(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(since) = self.connection.state.headers_since.get() else { return Poll::Pending };
        if self.reading.is_over(since + self.header + AFTER_ACTIX, cx) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the request headers are too slow",
            )));
        }
        Poll::Pending
    }

    /// actix neither ends idle connections that answer its pings, nor drains any.
    fn poll_silence_http2(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.draining {
            self.draining = self.shutdown.as_mut().poll(cx).is_ready();
        }
        let state = &self.connection.state;
        if state.in_flight.get() > 0 {
            *state.reader.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let patience = if self.draining { LAST_WORDS } else { self.idle };
        if self.reading.is_over(state.idle_since.get() + patience, cx) {
            return Poll::Ready(Ok(())); // the end of the stream, as if the client had closed it
        }
        Poll::Pending
    }

    /// Ends a connection whose client reads nothing for too long.
    fn watch<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled_since = None;
            return outcome;
        }
        let since = *self.stalled_since.get_or_insert_with(Instant::now);
        if self.writing.is_over(since + self.idle, cx) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")));
        }
        Poll::Pending
    }
}

impl Conn {
    fn poll_read_http2(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Version::Http2 { frames, ahead } = &mut self.version else { return Poll::Pending };
        let before = buf.filled().len();
        if ahead.is_empty() {
            match Pin::new(&mut self.transport).poll_read(cx, buf) {
                Poll::Pending => return self.poll_silence_http2(cx),
                Poll::Ready(outcome) => outcome?,
            }
        } else {
            buf.put_slice(&ahead.split_to(ahead.len().min(buf.remaining())));
        }
        if self.connection.state.in_flight.get() == 0 {
            frames.idle(self.connection.state.ended.get());
        }
        frames.see(&buf.filled()[before..]).map_err(io::Error::other)?;
        Poll::Ready(Ok(()))
    }

    fn poll_read_http1(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let state = self.connection.state.clone();
        let Version::Http1(framing) = &mut self.version else { return Poll::Pending };
        let in_hand = InHand { begun: state.begun.get(), in_flight: state.in_flight.get() > 0 };
        match framing.step(in_hand) {
            Step::Yield => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::Wait => {
                *state.reader.borrow_mut() = Some(cx.waker().clone());
                self.poll_ahead(cx)
            }
            Step::Read(limit) => self.poll_read_up_to(limit, cx, buf),
        }
    }

    /// Hands over what the request in hand may have, and holds back what comes after it.
    fn poll_read_up_to(
        &mut self,
        limit: u64,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Version::Http1(framing) = &mut self.version else { return Poll::Pending };
        let before = buf.filled().len();
        if framing.held().is_empty() {
            match Pin::new(&mut self.transport).poll_read(cx, buf) {
                Poll::Pending => return self.poll_silence_http1(cx),
                Poll::Ready(outcome) => outcome?,
            }
        } else {
            let most = usize::try_from(limit).unwrap_or(usize::MAX).min(buf.remaining());
            buf.put_slice(&framing.take_held(most));
        }
        let allowed = framing.handed(&buf.filled()[before..]);
        if before + allowed < buf.filled().len() {
            framing.hold_first(&buf.filled()[before + allowed..]);
            buf.set_filled(before + allowed);
        }
        if framing.awaits_request() {
            self.connection.state.begun.set(None);
        }
        if allowed > 0 {
            self.arrived();
        }
        Poll::Ready(Ok(()))
    }

    /// While a request is answered: takes in what the client sends ahead, and notices when it leaves.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Version::Http1(framing) = &mut self.version else { return Poll::Pending };
        while framing.held().len() < HELD_BYTES {
            let mut space = [0; 1024];
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut self.transport).poll_read(cx, &mut read) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if read.filled().is_empty() && framing.held().is_empty() => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) if read.filled().is_empty() => break,
                Poll::Ready(Ok(())) => framing.held().extend_from_slice(read.filled()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.version {
            Version::Http1(_) => self.poll_read_http1(cx, buf),
            Version::Http2 { .. } => self.poll_read_http2(cx, buf),
        }
    }
}

impl Conn {
    /// Writes what lies beside actix's buffer, after that is empty, and has the body asked for more.
    fn poll_outbound(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(outbound) = self.connection.state.outbound.as_ref().filter(|laid| !laid.is_empty()) else {
            return Poll::Ready(Ok(()));
        };
        while !outbound.is_empty() {
            ready!(outbound.poll_at_hand(cx))?;
            let outcome = match outbound.laid() {
                Laid::Bytes(bytes) => Pin::new(&mut self.transport).poll_write(cx, &bytes),
                Laid::Window { window, sent } => {
                    self.transport.poll_send(cx, |socket| window.send(socket, sent))
                }
            };
            match outcome {
                Poll::Pending => {
                    outbound.wait();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    outbound.advance(written);
                    // A client that reads slowly does read.
                    self.stalled_since = None;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    return Poll::Ready(Err(outbound.fail(&error)));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    /// Writes actix's bytes, and in the same call as much as goes of what lies behind them.
    fn poll_write_with_outbound(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outbound = self.connection.state.outbound.as_ref().filter(|laid| !laid.is_empty());
        let laid = outbound.filter(|_| self.transport.is_write_vectored()).map(|way| (way, way.laid()));
        let Some((outbound, Laid::Bytes(behind))) = laid else {
            return Pin::new(&mut self.transport).poll_write(cx, bytes);
        };
        let slices = [IoSlice::new(bytes), IoSlice::new(&behind)];
        let written = ready!(Pin::new(&mut self.transport).poll_write_vectored(cx, &slices))?;
        outbound.advance(written.saturating_sub(bytes.len()));
        if outbound.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(written.min(bytes.len())))
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = self.poll_write_with_outbound(cx, bytes);
        self.watch(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = match self.poll_outbound(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.transport).poll_flush(cx),
            outcome => outcome,
        };
        self.watch(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
