//! When old uploads were purged last.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Class, Nonce, Record, decode_json, encode_json};

/// The last purges, in seconds since 1970 by the clocks of those that ran them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeRecord {
    /// When the last one began.
    pub begun: u64,
    /// When the last one began that came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<u64>,
    /// The same of those that looked at all bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at_everything: Option<u64>,
}

impl Record for PurgeRecord {
    fn decode(bytes: &Bytes) -> Result<(Self, Nonce), String> {
        decode_json(bytes)
    }

    fn encode(&self, nonce: Nonce) -> Bytes {
        encode_json(self, nonce, Class::LIVE, 0).into()
    }
}
