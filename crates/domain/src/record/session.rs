//! Upload session records.

use bytes::Bytes;
use entrepot_oci::{Digest, RepositoryName};
use entrepot_storage::{AppendState, Key, Version};
use serde::{Deserialize, Serialize};

use super::{Class, Nonce, Record, decode_json, encode_json};

/// An upload session as it is stored between two requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its state.
    pub state: SessionState,
    /// The repository it belongs to; no other may touch it.
    pub repository: RepositoryName,
    /// Bytes accepted and durable.
    #[serde(default)]
    pub offset: u64,
    /// The hash over those bytes, see [`entrepot_oci::Hasher::save`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// Where those bytes are. In a session that is being published: what is left to do before they are visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append: Option<AppendState>,
    /// The one publish attempt, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publishing>,
}

impl SessionRecord {
    /// Whether it takes no more bytes and is on its way to a digest, or was: there is no "done". A finished session
    /// stays as it is until it expires, so that a repeated commit continues the same attempt.
    pub const fn is_publishing(&self) -> bool {
        matches!(self.state, SessionState::Completing | SessionState::Publishing)
    }
}

/// Where in its life a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Takes bytes.
    Open,
    /// It is decided what its bytes consist of, and they are being made visible and known.
    Completing,
    /// Its bytes are visible and being made known.
    Publishing,
    /// Cancelled or expired.
    Dead,
}

/// The publish attempt of a session, bound to one version of the blob record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishing {
    /// What the bytes hash to, or are said to where it is `claimed`.
    pub digest: Digest,
    /// Where they are.
    pub inst: Key,
    /// How many there are.
    pub size: u64,
    /// The version the blob record had before the session moved; `None` for absence.
    pub expect: Option<Version>,
    /// What the blob record was then.
    pub was: BlobThen,
    /// The digest is the client's word only: it is of another algorithm than the bytes were hashed with as they
    /// came, so whoever publishes them hashes them first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
}

/// What the blob record was when a publish attempt was bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobThen {
    /// It did not exist, or was dead: the attempt writes it.
    Free,
    /// It was live or condemned: the attempt leaves it alone and links to what it names.
    Taken,
}

impl Record for SessionRecord {
    fn decode(bytes: &Bytes) -> Result<(Self, Nonce), String> {
        decode_json(bytes)
    }

    fn encode(&self, nonce: Nonce) -> Bytes {
        let class = match self.state {
            SessionState::Open => Class::LIVE,
            SessionState::Completing | SessionState::Publishing => Class::PENDING,
            SessionState::Dead => Class::DEAD,
        };
        encode_json(self, nonce, class, 0).into()
    }
}
