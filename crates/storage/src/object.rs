//! Objects as they are read, written and listed.

use std::any::Any;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::local::Layered;
use crate::{Around, Key, LocalFile, Result};

/// The bytes of an object as they arrive. A failure in the middle is an `Err` item, after which the
/// stream ends; it never ends early without one.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// Names one stored state of one object: an ETag, a generation. Opaque; never compare across drivers
/// or keys. Two writes of different content never share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub String);

/// What a store tells about an object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// Its present version. Listings may leave it out where the store does.
    pub version: Option<Version>,
    /// When it was last written, by the store's clock. A read of a range may leave it out.
    pub modified: Option<SystemTime>,
}

/// Which bytes of an object are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadRange {
    /// All of them.
    #[default]
    Whole,
    /// From `start` (inclusive) to `end` (exclusive); an `end` past the object is cut to its length.
    Bounded(Range<u64>),
    /// From an offset to the end.
    From(u64),
    /// The last so many bytes; more than there are means all.
    Suffix(u64),
}

impl ReadRange {
    /// The bytes meant in an object of `size` bytes, or `None` where none are (not satisfiable).
    pub fn resolve(&self, size: u64) -> Option<Range<u64>> {
        match self {
            ReadRange::Whole => Some(0..size),
            ReadRange::Bounded(range) if range.start < range.end && range.start < size => {
                Some(range.start..range.end.min(size))
            }
            ReadRange::From(start) if *start < size => Some(*start..size),
            ReadRange::Suffix(length) if *length > 0 && size > 0 => Some(size.saturating_sub(*length)..size),
            _ => None,
        }
    }
}

/// The bytes of an object: at once where they were at hand, streamed otherwise.
pub enum Body {
    /// All of them.
    Whole(Bytes),
    /// One chunk after the other, each at most a few MiB.
    Stream(ByteStream),
    /// A file of this machine, which can be sent without being read.
    Local(Box<dyn LocalFile>),
}

impl Body {
    /// The body as a stream, whatever it was.
    pub fn into_stream(self) -> ByteStream {
        match self {
            Body::Whole(bytes) => Box::pin(futures_util::stream::once(async { Ok(bytes) })),
            Body::Stream(stream) => stream,
            Body::Local(file) => file.into_stream(),
        }
    }

    /// The body with `layer` around its bytes, where they do not come all at once.
    pub fn within(self, layer: impl Around) -> Self {
        match self {
            Body::Whole(bytes) => Body::Whole(bytes),
            Body::Stream(stream) => Body::Stream(layer.around(stream)),
            Body::Local(file) => Body::Local(Box::new(Layered { file, layer })),
        }
    }

    /// Gathers the bytes. For small objects: the caller bounds the size by what it asked for.
    pub async fn into_bytes(self) -> Result<Bytes> {
        match self {
            Body::Whole(bytes) => Ok(bytes),
            body => {
                let gather = |mut all: BytesMut, chunk: Bytes| async move {
                    all.extend_from_slice(&chunk);
                    Ok(all)
                };
                body.into_stream().try_fold(BytesMut::new(), gather).await.map(BytesMut::freeze)
            }
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
            Body::Local(_) => f.write_str("Local"),
        }
    }
}

/// What a read answers.
#[derive(Debug)]
pub struct Object {
    /// The object as it was when the read began; its `size` is that of the whole object.
    pub meta: ObjectMeta,
    /// Which bytes the body holds.
    pub range: Range<u64>,
    /// Exactly those bytes, all of one version.
    pub body: Body,
}

/// Under which condition a put is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// None: the last writer wins.
    Overwrite,
    /// Only where no object is.
    IfAbsent,
    /// At a key that was made for this put alone, so that nobody else asks for it before the put is answered
    /// and what is there already can only come of an earlier attempt of it: then it is done, or fails
    /// with `AlreadyExists`. It may have its name before it is durable. If power is lost before the answer,
    /// there may be an object of other bytes, which nothing refers to.
    Fresh,
    /// Only over this version.
    IfMatch(Version),
}

/// What was readied for a put that has not come yet. Dropping it takes it back.
#[must_use = "dropping it takes back what was prepared"]
pub struct PreparedPut(Option<Box<dyn Any + Send + Sync>>);

impl PreparedPut {
    /// Nothing was readied, because there is nothing to gain or nothing to do it with.
    pub const fn nothing() -> Self {
        Self(None)
    }

    /// Something was, and `holder` takes it back when it is dropped.
    pub fn holding(holder: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(holder)))
    }
}

impl std::fmt::Debug for PreparedPut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "PreparedPut" } else { "PreparedPut(nothing)" })
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// Objects in byte order of their keys.
    pub objects: Vec<ObjectMeta>,
    /// Whether the store has more past the last one.
    pub more: bool,
}

/// What a signed URL should carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignOptions {
    /// The instant the signature names, and its lifetime counts from. Given instead of read from a clock,
    /// so that every process answers the same URL for the same options, byte for byte, and caches between
    /// us and the client can keep what it leads to.
    pub signed_at: SystemTime,
    /// How long it is good for, counted from `signed_at`.
    pub expires_in: Duration,
    /// The `Content-Type` the store should answer with.
    pub content_type: Option<String>,
}

/// A URL anybody may read one object by. It is as good as a password until it expires: it belongs into no
/// log, so neither `Debug` nor anything else prints its query.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The URL, signature and all.
    pub url: String,
    /// When the store stops taking it: as asked, or earlier where the credentials die first.
    pub expires_at: SystemTime,
}

impl std::fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let public = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("SignedUrl").field("url", &public).field("expires_at", &self.expires_at).finish()
    }
}
