//! Bodies that lie in a file of this machine, which the system can send without our reading them.

use std::io;
use std::os::fd::BorrowedFd;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;

use crate::{ByteStream, Result};

/// A body in a file of this machine. Whoever looks at its bytes, or changes them on their way, takes the
/// stream; whoever only passes them to a socket takes the pieces.
pub trait LocalFile: Send {
    /// The bytes, read one chunk after the other.
    fn into_stream(self: Box<Self>) -> ByteStream;

    /// The same bytes, where it can be as windows.
    fn into_pieces(self: Box<Self>) -> PieceStream;
}

/// The pieces of a body; ends as a [`ByteStream`] does.
pub type PieceStream = BoxStream<'static, Result<Piece>>;

/// A piece of a body.
pub enum Piece {
    /// Bytes that were read.
    Bytes(Bytes),
    /// Bytes that were not.
    Window(Box<dyn Window>),
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Piece::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Piece::Window(window) => write!(f, "Window({})", window.len()),
        }
    }
}

/// Bytes the system holds in memory, and that nobody but the system may look at: should the disk fail
/// or the file be cut off beneath them, a program that touches them is killed, where a system call that does
/// answers an error.
#[expect(clippy::len_without_is_empty, reason = "no window is")]
pub trait Window: Send {
    /// How many there are; never none.
    fn len(&self) -> usize;

    /// Writes to `socket` what it takes of the bytes from offset `from` on, as `send(2)`: answers how many
    /// that were, `WouldBlock` where it takes none now, and `InvalidData` where it is the bytes that are
    /// not to be had. Waits for the disk if the system has dropped them.
    fn send(&self, socket: BorrowedFd<'_>, from: usize) -> io::Result<usize>;

    /// Whether the system still holds the bytes from there on. Does not wait.
    fn is_at_hand(&self, from: usize) -> bool;

    /// Has the system read them again.
    fn fetch(&self, from: usize) -> BoxFuture<'static, Result<()>>;
}

/// What a body comes in.
pub trait Chunk: Send + 'static {
    /// Its length in bytes.
    fn length(&self) -> usize;
}

impl Chunk for Bytes {
    fn length(&self) -> usize {
        self.len()
    }
}

impl Chunk for Piece {
    fn length(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Window(window) => window.len(),
        }
    }
}

/// What a decorator lays around the bytes of a body, whichever way they go.
pub trait Around: Send + 'static {
    /// The same stream with whatever it is about.
    fn around<C: Chunk>(self, inner: BoxStream<'static, Result<C>>) -> BoxStream<'static, Result<C>>;
}

/// A file with something around its bytes.
pub(crate) struct Layered<A> {
    pub(crate) file: Box<dyn LocalFile>,
    pub(crate) layer: A,
}

impl<A: Around> LocalFile for Layered<A> {
    fn into_stream(self: Box<Self>) -> ByteStream {
        self.layer.around(self.file.into_stream())
    }

    fn into_pieces(self: Box<Self>) -> PieceStream {
        self.layer.around(self.file.into_pieces())
    }
}
