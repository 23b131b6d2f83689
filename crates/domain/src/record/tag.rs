//! Tag records.

use bytes::Bytes;
use entrepot_oci::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

use super::{Class, Nonce, Record, decode_json, encode_json};

/// A push that is about to move a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// What the tag will name.
    pub digest: Digest,
    /// Which push.
    pub push: Nonce,
    /// When, in seconds since 1970 by the pusher's clock. Tells which announcements a crash left behind.
    pub at: u64,
}

/// A tag: what it names, what it named before, and what is about to be named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    /// What it names. Empty while only announced, and after a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cur: Option<Descriptor>,
    /// Pushes in progress, at most [`MAX_ANNOUNCEMENTS`](Self::MAX_ANNOUNCEMENTS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Announcement>,
    /// What it named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    /// How often it was moved.
    #[serde(default)]
    pub seq: u64,
}

impl TagRecord {
    /// Pushes to one tag that may be in progress at once.
    pub const MAX_ANNOUNCEMENTS: usize = 8;

    /// Whether the tag names `digest`, now or soon.
    pub fn names(&self, digest: &Digest) -> bool {
        self.cur.as_ref().is_some_and(|cur| cur.digest == *digest)
            || self.next.iter().any(|announced| announced.digest == *digest)
    }

    fn class(&self) -> Class {
        match (&self.cur, self.next.is_empty()) {
            (Some(_), _) => Class::LIVE,
            (None, false) => Class::PENDING,
            (None, true) => Class::DEAD,
        }
    }
}

impl Record for TagRecord {
    fn decode(bytes: &Bytes) -> Result<(Self, Nonce), String> {
        decode_json(bytes)
    }

    fn encode(&self, nonce: Nonce) -> Bytes {
        encode_json(self, nonce, self.class(), 0).into()
    }
}
