//! Blobs: content under its digest, readable through a repository only while that repository holds a
//! live link to it.
//!
//! The link answers who may read and where the bytes lie; on the write path the blob record decides.
//! Bytes are written once, at a key that is never used again, and are not copied or moved afterwards.

use std::ops::Range;

use bytes::Bytes;
use entrepot_oci::{Digest, MediaType};
use entrepot_storage::{LocalFile, SignedUrl};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use crate::error::{Error, Result};

mod delete;
mod mount;
mod publish;
mod push;
mod read;
mod verified;

pub use mount::Mount;
pub(crate) use publish::{Attempt, Drafts, visible};
pub(crate) use push::Intake;
pub(crate) use verified::Verified;

/// Why a blob is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To read it: a cached answer may be stale by its time to live.
    Pull,
    /// To rely on it in a push: the store is asked, and a record about to die is rescued.
    Push,
}

/// An error of a request body, as its source words it.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The bytes of an answer. An error item cuts the answer short; the stream never ends early without.
pub type BodyStream = BoxStream<'static, Result<Bytes>>;

/// The pieces of an answer; ends as a [`BodyStream`] does.
pub type PieceStream = BoxStream<'static, Result<Piece>>;

pub use entrepot_storage::{Chunk, Piece, Window};

/// Which bytes of a blob are wanted: see [`entrepot_storage::ReadRange`].
pub use entrepot_storage::ReadRange as BlobRange;

/// What is known of some content without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `application/octet-stream` for a blob; a manifest read as a blob keeps its own type.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// How a blob's bytes reach the client.
#[derive(Debug)]
pub enum Delivery {
    /// By a URL that is good for a while.
    Redirect(SignedUrl),
    /// Through this process.
    Stream(OpenedRange),
}

/// An opened blob, or a range of it.
#[derive(Debug)]
pub struct OpenedRange {
    /// The whole content.
    pub content: Content,
    /// Which bytes of it the body holds.
    pub range: Range<u64>,
    /// Exactly those.
    pub body: BlobBody,
}

/// The bytes of an opened blob.
pub enum BlobBody {
    /// All at once: they were at hand.
    Whole(Bytes),
    /// One chunk after the other.
    Stream(BodyStream),
    /// A file of this machine, which may go to a socket without being read.
    Local(LocalBlob),
}

/// A blob in a file of this machine that need not be hashed: a range of one, or one whose digest was found
/// right not long ago.
pub struct LocalBlob(pub(crate) Box<dyn LocalFile>);

impl LocalBlob {
    /// Its bytes, to be looked at.
    pub fn into_stream(self) -> BodyStream {
        self.0.into_stream().map_err(Error::from).boxed()
    }

    /// Its bytes, to be passed to a socket.
    pub fn into_pieces(self) -> PieceStream {
        self.0.into_pieces().map_err(Error::from).boxed()
    }
}

impl std::fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BlobBody::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            BlobBody::Stream(_) => f.write_str("Stream"),
            BlobBody::Local(_) => f.write_str("Local"),
        }
    }
}

/// The media type blobs are served as.
fn octet_stream() -> MediaType {
    entrepot_oci::media_type::OCTET_STREAM.parse().expect("a constant in the grammar")
}
