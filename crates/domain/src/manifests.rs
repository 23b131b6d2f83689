//! Manifests: exact bytes under their digest, committed only when everything they name is there.

use bytes::Bytes;
use entrepot_oci::{Digest, MediaType, Reference, Tag};

mod delete;
mod push;
mod read;
mod rules;
mod verify;

/// A manifest on its way in.
#[derive(Clone, Debug)]
pub struct ManifestPush {
    /// What it is to be known as.
    pub reference: Reference,
    /// Further tags, for a push by digest (`?tag=`).
    pub tags: Vec<Tag>,
    /// The media type the client announced, if any.
    pub content_type: Option<MediaType>,
    /// The exact bytes.
    pub bytes: Bytes,
    /// What the tags have to name now.
    pub condition: TagCondition,
}

/// What every tag of a push has to name before it is moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TagCondition {
    /// Anything: the last writer wins.
    #[default]
    None,
    /// Nothing.
    Absent,
    /// One of these; an empty list stands for "anything at all".
    Current(Vec<Digest>),
}

/// A manifest that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestPushed {
    /// Its digest.
    pub digest: Digest,
    /// The subject it refers to, if any.
    pub subject: Option<Digest>,
    /// The tags that name it now because of this push.
    pub tags: Vec<Tag>,
}
