//! The way of large bodies past actix's write buffer.
//!
//! actix copies each chunk of a body into a buffer of the connection's, which grows with the largest answer
//! and stays. A large piece is laid beside the connection instead: actix flushes the connection after each
//! look at the body, and then the piece is written from where it lies, or sent by the system where nobody
//! but the system has it. HTTP/1 only; in HTTP/2 answers share a connection, and its library does the framing.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use entrepot_domain::blobs::{Piece, Window};

/// The piece of one connection that is to be written next, after what actix has buffered.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    laid: Rc<RefCell<Laid>>,
    takes_windows: bool,
}

/// What is left of the piece.
#[derive(Clone)]
pub(super) enum Laid {
    Bytes(Bytes),
    Window { window: Rc<dyn Window>, sent: usize },
}

impl std::fmt::Debug for Laid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Laid::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Laid::Window { window, sent } => write!(f, "Window({sent} of {})", window.len()),
        }
    }
}

impl Outbound {
    /// A way that takes windows only if the bytes go to the socket as they are.
    pub(super) fn new(takes_windows: bool) -> Self {
        Self { laid: Rc::new(RefCell::new(Laid::Bytes(Bytes::new()))), takes_windows }
    }

    /// Whether bytes nobody has read can be laid.
    pub(crate) fn takes_windows(&self) -> bool {
        self.takes_windows
    }

    /// Whether all of the last piece was written.
    pub(crate) fn is_empty(&self) -> bool {
        match &*self.laid.borrow() {
            Laid::Bytes(bytes) => bytes.is_empty(),
            Laid::Window { .. } => false,
        }
    }

    /// Lays `piece` ready. Whoever does must see that the connection is flushed, and that the piece before
    /// is gone.
    pub(crate) fn lay(&self, piece: Piece) {
        debug_assert!(self.is_empty(), "the piece before is still on its way");
        *self.laid.borrow_mut() = match piece {
            Piece::Bytes(bytes) => Laid::Bytes(bytes),
            Piece::Window(window) => Laid::Window { window: window.into(), sent: 0 },
        };
    }

    /// What is to be written.
    pub(super) fn laid(&self) -> Laid {
        self.laid.borrow().clone()
    }

    /// So many bytes of it were.
    pub(super) fn advance(&self, written: usize) {
        let mut laid = self.laid.borrow_mut();
        match &mut *laid {
            Laid::Bytes(bytes) => bytes.advance(written),
            Laid::Window { window, sent } => {
                *sent += written;
                if *sent >= window.len() {
                    *laid = Laid::Bytes(Bytes::new());
                }
            }
        }
    }

    /// Nothing more of the answer is wanted.
    pub(crate) fn clear(&self) {
        *self.laid.borrow_mut() = Laid::Bytes(Bytes::new());
    }
}
