//! The request's body: streamed, counted, and cut off when it is too slow.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use entrepot_domain::blobs::BodyError;
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep};

use crate::config::Timeouts;

/// A request's body and what became of it. The body leaves by [`Inbound::take`] and comes back, as far as
/// it was not read, when its reader is dropped: an unread rest must neither be mistaken for the next
/// request nor be read to its end only to be thrown away.
pub(crate) struct Inbound {
    payload: RefCell<Option<Payload>>,
    received: Cell<u64>,
    end: Cell<End>,
    window: Duration,
    min_rate: u64,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Not yet.
    Open,
    /// As it should.
    Complete,
    /// The connection broke, or its framing did.
    Broken,
    /// It arrived slower than allowed.
    TooSlow,
}

impl Inbound {
    pub(crate) fn new(payload: Payload, timeouts: &Timeouts) -> Rc<Self> {
        let end = if matches!(payload, Payload::None) { End::Complete } else { End::Open };
        Rc::new(Self {
            payload: RefCell::new(Some(payload)),
            received: Cell::new(0),
            end: Cell::new(end),
            window: timeouts.body_window,
            min_rate: timeouts.min_body_rate,
        })
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    pub(crate) fn end(&self) -> End {
        self.end.get()
    }

    /// The body as a stream. Empty when somebody else has it.
    pub(crate) fn take(self: &Rc<Self>) -> Reader {
        let payload = self.payload.take().filter(|_| self.end.get() == End::Open);
        Reader { inbound: self.clone(), payload, pace: Pace::new(self.window, self.min_rate) }
    }

    /// What was not read, unless the body has ended.
    pub(crate) fn unread(&self) -> Option<Payload> {
        self.payload.take().filter(|_| self.end.get() == End::Open)
    }

    /// Gathers a body of at most `limit` bytes; `None` if there are more.
    pub(crate) async fn gather(self: &Rc<Self>, limit: u64) -> Result<Option<Bytes>, PayloadFailure> {
        let mut reader = self.take();
        let mut whole = BytesMut::new();
        while let Some(chunk) = reader.next_chunk().await {
            let chunk = chunk?;
            if whole.len() as u64 + chunk.len() as u64 > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Some(whole.freeze()))
    }

    /// Reads and forgets a short rest, so that the connection can be used again. Gives up past `limit`.
    pub(crate) async fn drain(self: &Rc<Self>, limit: u64) {
        let mut reader = self.take();
        let mut left = limit;
        while let Some(Ok(chunk)) = reader.next_chunk().await {
            match left.checked_sub(chunk.len() as u64) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadFailure {
    /// The connection or its framing.
    #[error("the request body ended early: {0}")]
    Broken(#[from] PayloadError),
    /// The client.
    #[error("the request body arrived slower than {0} bytes per second")]
    TooSlow(u64),
}

/// Reads a body once.
pub(crate) struct Reader {
    inbound: Rc<Inbound>,
    payload: Option<Payload>,
    pace: Pace,
}

impl Reader {
    async fn next_chunk(&mut self) -> Option<Result<Bytes, PayloadFailure>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes, PayloadFailure>>> {
        let Some(payload) = self.payload.as_mut() else { return Poll::Ready(None) };
        self.pace.resume();
        let item = match payload.poll_next_unpin(cx) {
            Poll::Ready(item) => item,
            Poll::Pending => {
                ready!(self.pace.poll_too_slow(cx));
                return Poll::Ready(Some(Err(
                    self.stop(End::TooSlow, PayloadFailure::TooSlow(self.pace.min_rate))
                )));
            }
        };
        Poll::Ready(match item {
            Some(Ok(chunk)) => {
                self.pace.advance(chunk.len());
                self.inbound.received.set(self.inbound.received.get() + chunk.len() as u64);
                Some(Ok(chunk))
            }
            Some(Err(error)) => Some(Err(self.stop(End::Broken, error.into()))),
            None => {
                self.inbound.end.set(End::Complete);
                self.payload = None;
                None
            }
        })
    }

    fn stop(&mut self, end: End, failure: PayloadFailure) -> PayloadFailure {
        self.inbound.end.set(end);
        // A slow body stays where it is: its connection is closed rather than read any further.
        if end == End::Broken {
            self.payload = None;
        }
        failure
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.inbound.end() == End::TooSlow {
            return Poll::Ready(None);
        }
        self.poll_chunk(cx).map(|item| item.map(|chunk| chunk.map_err(BodyError::from)))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take() {
            *self.inbound.payload.borrow_mut() = Some(payload);
        }
    }
}

/// Whether enough bytes arrive, averaged over a window. Only time spent waiting for the client counts:
/// while the registry is busy with a chunk the window stands still.
#[derive(Debug)]
struct Pace {
    window: Duration,
    min_rate: u64,
    bytes: u64,
    /// When the present window ends.
    ends: Option<Instant>,
    /// Since when nobody waits for the client.
    paused: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    fn new(window: Duration, min_rate: u64) -> Self {
        Self { window, min_rate, bytes: 0, ends: None, paused: None, alarm: None }
    }

    fn resume(&mut self) {
        if let (Some(since), Some(ends)) = (self.paused.take(), self.ends.as_mut()) {
            *ends += since.elapsed();
        }
    }

    fn advance(&mut self, bytes: usize) {
        if self.min_rate > 0 {
            self.bytes += bytes as u64;
            self.paused = Some(Instant::now());
        }
    }

    /// Ready when a window ended with too few bytes in it.
    fn poll_too_slow(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.min_rate == 0 {
            return Poll::Pending;
        }
        loop {
            let window = self.window;
            let ends = *self.ends.get_or_insert_with(|| Instant::now() + window);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
            ready!(alarm.as_mut().poll(cx));
            let now = Instant::now();
            if now >= ends {
                if self.bytes < self.min_rate.saturating_mul(window.as_secs().max(1)) {
                    return Poll::Ready(());
                }
                self.bytes = 0;
                self.ends = Some(now + window);
            }
            let next = self.ends.unwrap_or(now + window);
            alarm.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn inbound(items: Vec<Result<&'static str, PayloadError>>) -> Rc<Inbound> {
        let items = items.into_iter().map(|item| item.map(Bytes::from));
        Inbound::new(Payload::Stream { payload: Box::pin(stream::iter(items)) }, &Timeouts::default())
    }

    #[tokio::test]
    async fn a_body_is_gathered_and_counted() {
        let body = inbound(vec![Ok("abc"), Ok("de")]);

        let whole = body.gather(5).await.unwrap();

        assert_eq!(whole.as_deref(), Some(&b"abcde"[..]));
        assert_eq!((body.received(), body.end()), (5, End::Complete));
        assert!(body.unread().is_none());
    }

    #[tokio::test]
    async fn a_body_past_the_limit_is_given_up_and_its_rest_stays_unread() {
        let body = inbound(vec![Ok("abc"), Ok("de"), Ok("f")]);

        assert!(body.gather(4).await.unwrap().is_none());

        assert_eq!(body.end(), End::Open);
        assert!(body.unread().is_some());
    }

    #[tokio::test]
    async fn a_broken_body_is_told_from_a_complete_one() {
        let body = inbound(vec![Ok("abc"), Err(PayloadError::Incomplete(None))]);

        let items: Vec<_> = body.take().collect().await;

        assert!(items[0].is_ok() && items[1].is_err() && items.len() == 2);
        assert_eq!(body.end(), End::Broken);
    }

    #[tokio::test]
    async fn a_body_can_be_read_once_only() {
        let body = inbound(vec![Ok("abc")]);
        let first = body.take();

        let second: Vec<_> = body.take().collect().await;

        assert!(second.is_empty());
        assert_eq!(first.count().await, 1);
    }

    #[tokio::test]
    async fn a_silent_client_is_cut_off_after_the_window() {
        let timeouts =
            Timeouts { body_window: Duration::from_millis(1), min_body_rate: 1, ..Timeouts::default() };
        let silent = stream::once(async { Ok(Bytes::new()) }).chain(stream::pending());
        let body = Inbound::new(Payload::Stream { payload: Box::pin(silent) }, &timeouts);

        let items: Vec<_> = body.take().collect().await;

        assert!(items.last().is_some_and(Result::is_err));
        assert_eq!(body.end(), End::TooSlow);
    }

    #[tokio::test]
    async fn a_rate_of_zero_waits_for_ever() {
        let timeouts = Timeouts { body_window: Duration::ZERO, min_body_rate: 0, ..Timeouts::default() };
        let body = Inbound::new(Payload::Stream { payload: Box::pin(stream::pending()) }, &timeouts);
        let mut reader = body.take();

        let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut reader).poll_next(cx))).await;

        assert!(first.is_pending());
    }
}
