//! The way of large bodies past actix's write buffer.
//!
//! actix copies each chunk of a body into a buffer of the connection's, which grows with the largest answer
//! and stays. A large piece is laid beside the connection instead: actix flushes the connection after each
//! look at the body, and then the piece is written from where it lies, or sent by the system where nobody
//! but the system has it. HTTP/1 only; in HTTP/2 answers share a connection, and its library does the framing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::{Buf, Bytes};
use entrepot_domain::blobs::{Piece, Window};
use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};

use crate::error::Chain;

/// The piece of one connection that is to be written next, after what actix has buffered.
#[derive(Clone, Debug)]
pub(crate) struct Outbound(Rc<Way>);

struct Way {
    laid: RefCell<Laid>,
    takes_windows: bool,
    /// The client did not take all the last time: meanwhile the system may have dropped what a window shows.
    waited: Cell<bool>,
    /// What has the system read it again.
    fetching: RefCell<Option<BoxFuture<'static, io::Result<()>>>>,
    /// Bytes could not be had, so the answer cannot be completed.
    is_broken: Cell<bool>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("left", &self.laid.borrow().left()).finish_non_exhaustive()
    }
}

/// What is left of the piece.
#[derive(Clone)]
pub(super) enum Laid {
    Bytes(Bytes),
    Window { window: Rc<dyn Window>, sent: usize },
}

impl Laid {
    const NOTHING: Self = Self::Bytes(Bytes::new());

    fn left(&self) -> usize {
        match self {
            Laid::Bytes(bytes) => bytes.len(),
            Laid::Window { window, sent } => window.len() - sent,
        }
    }
}

impl Outbound {
    /// A way that takes windows only if the bytes go to the socket as they are.
    pub(super) fn new(takes_windows: bool) -> Self {
        Self(Rc::new(Way {
            laid: RefCell::new(Laid::NOTHING),
            takes_windows,
            waited: Cell::new(false),
            fetching: RefCell::new(None),
            is_broken: Cell::new(false),
        }))
    }

    /// Whether bytes nobody has read can be laid.
    pub(crate) fn takes_windows(&self) -> bool {
        self.0.takes_windows
    }

    /// How many bytes of the last piece were not written.
    pub(crate) fn left(&self) -> usize {
        self.0.laid.borrow().left()
    }

    /// Whether all of the last piece was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.left() == 0
    }

    /// Whether the answer ended because its bytes could not be had.
    pub(crate) fn is_broken(&self) -> bool {
        self.0.is_broken.get()
    }

    /// Lays `piece` ready. Whoever does must see that the connection is flushed, and that the piece before
    /// is gone.
    pub(crate) fn lay(&self, piece: Piece) {
        debug_assert!(self.is_empty(), "the piece before is still on its way");
        *self.0.laid.borrow_mut() = match piece {
            Piece::Bytes(bytes) => Laid::Bytes(bytes),
            Piece::Window(window) => Laid::Window { window: window.into(), sent: 0 },
        };
    }

    /// What is to be written.
    pub(super) fn laid(&self) -> Laid {
        self.0.laid.borrow().clone()
    }

    /// So many bytes of it were.
    pub(super) fn advance(&self, written: usize) {
        let mut laid = self.0.laid.borrow_mut();
        match &mut *laid {
            Laid::Bytes(bytes) => bytes.advance(written),
            Laid::Window { sent, .. } => *sent += written,
        }
        if laid.left() == 0 {
            *laid = Laid::NOTHING;
        }
    }

    /// The client takes no more now.
    pub(super) fn wait(&self) {
        self.0.waited.set(true);
    }

    /// Ready when what is laid can be written without waiting for the disk.
    pub(super) fn poll_at_hand(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut fetching = self.0.fetching.borrow_mut();
        if self.0.waited.take()
            && let Laid::Window { window, sent } = &*self.0.laid.borrow()
            && !window.is_at_hand(*sent)
        {
            *fetching = Some(window.fetch(*sent).map_err(io::Error::other).boxed());
        }
        let Some(fetched) = &mut *fetching else { return Poll::Ready(Ok(())) };
        let outcome = ready!(fetched.as_mut().poll(cx));
        *fetching = None;
        Poll::Ready(outcome.map_err(|error| self.fail(&error)))
    }

    /// What is laid cannot be had: the answer ends here, through no fault of the client's.
    pub(super) fn fail(&self, error: &(dyn std::error::Error + 'static)) -> io::Error {
        let error = Chain(error).to_string();
        tracing::error!(%error, "an answer was cut short");
        self.0.is_broken.set(true);
        io::Error::other(error)
    }

    /// Nothing more of the answer is wanted.
    pub(crate) fn clear(&self) {
        *self.0.laid.borrow_mut() = Laid::NOTHING;
        *self.0.fetching.borrow_mut() = None;
        self.0.waited.set(false);
        self.0.is_broken.set(false);
    }
}
