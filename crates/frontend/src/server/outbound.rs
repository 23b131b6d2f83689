//! The way of large bodies past actix's write buffer.
//!
//! actix copies each chunk of a body into a buffer of the connection's, which grows with the largest answer
//! and stays. A large chunk is laid beside the connection instead: actix flushes the connection after each
//! look at the body, and then the chunk is written from where it lies. HTTP/1 only; in HTTP/2 answers share
//! a connection, and its library does the framing.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Buf, Bytes};

/// The chunk of one connection that is to be written next, after what actix has buffered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbound(Rc<RefCell<Bytes>>);

impl Outbound {
    /// Whether all of the last chunk was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Lays `chunk` ready. Whoever does must see that the connection is flushed, and that the chunk before
    /// is gone.
    pub(crate) fn lay(&self, chunk: Bytes) {
        debug_assert!(self.is_empty(), "the chunk before is still on its way");
        *self.0.borrow_mut() = chunk;
    }

    /// The bytes to be written.
    pub(super) fn bytes(&self) -> Bytes {
        self.0.borrow().clone()
    }

    /// So many of them were.
    pub(super) fn advance(&self, written: usize) {
        self.0.borrow_mut().advance(written);
    }

    /// Nothing more of the answer is wanted.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
