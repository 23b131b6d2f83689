//! Blob records, links and catalog entries.

use bytes::Bytes;
use entrepot_storage::Key;
use serde::{Deserialize, Serialize};

use super::{Class, Nonce, Record, decode_json, encode_json};

/// Where in its life a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// Counts.
    Live,
    /// Counts, but a collector may be about to kill it: whoever relies on it must rescue it first.
    Condemned,
    /// Gone.
    Dead,
}

impl Life {
    const fn class(self) -> Class {
        match self {
            Life::Live => Class::LIVE,
            Life::Condemned => Class::CONDEMNED,
            Life::Dead => Class::DEAD,
        }
    }
}

/// A blob record or a link: which bytes, how many, and whether that still holds.
///
/// A link is a claim; on the write path it counts only together with the blob record, which decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Its state.
    pub state: Life,
    /// The data key. A tombstone written where nothing was names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inst: Option<Key>,
    /// Length in bytes.
    #[serde(default)]
    pub size: u64,
}

impl Pointer {
    /// A live pointer to `size` bytes at `inst`.
    pub const fn live(inst: Key, size: u64) -> Self {
        Self { state: Life::Live, inst: Some(inst), size }
    }

    /// The same pointer in another state.
    #[must_use]
    pub fn in_state(&self, state: Life) -> Self {
        Self { state, ..self.clone() }
    }

    /// Where the bytes are, while the pointer counts for readers.
    pub fn visible(&self) -> Option<&Key> {
        if self.state == Life::Dead { None } else { self.inst.as_ref() }
    }
}

impl Record for Pointer {
    fn decode(bytes: &Bytes) -> Result<(Self, Nonce), String> {
        decode_json(bytes)
    }

    fn encode(&self, nonce: Nonce) -> Bytes {
        encode_json(self, nonce, self.state.class(), 0).into()
    }
}

/// A repository in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryEntry {
    /// Live while the repository holds a manifest.
    pub state: Life,
}

impl Record for RepositoryEntry {
    fn decode(bytes: &Bytes) -> Result<(Self, Nonce), String> {
        decode_json(bytes)
    }

    fn encode(&self, nonce: Nonce) -> Bytes {
        encode_json(self, nonce, self.state.class(), 0).into()
    }
}
