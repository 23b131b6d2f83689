//! Upload sessions and how much a client may send.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::settle::Settling;
use super::size::{self, Size};
use super::storage::UploadPurging;

/// Long enough for a client that comes back the next morning.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// `uploads` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(deserialize_with = "size::deserialize")]
    max_memory: u64,
    part_size: Option<Size>,
    #[serde(deserialize_with = "size::deserialize")]
    min_chunk: u64,
    #[serde(deserialize_with = "duration::deserialize")]
    replay_window: Duration,
    token_lifetime: Option<Lifetime>,
}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Lifetime(#[serde(deserialize_with = "duration::deserialize")] Duration);

/// Upload sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Uploads {
    /// The most bytes all uploads may buffer together, at least 64 MiB and four parts. Default: 512 MiB.
    #[serde(serialize_with = "size::serialize")]
    pub max_memory: u64,
    /// Bytes per part of an upload to the store, 5 MiB to 1 GiB; `None` takes the store's preference.
    #[serde(serialize_with = "size::serialize_optional", skip_serializing_if = "Option::is_none")]
    pub part_size: Option<u64>,
    /// Bytes of the smallest chunk that clients are asked for; `None` asks for nothing. Default: none.
    #[serde(serialize_with = "size::serialize_optional")]
    pub min_chunk: Option<u64>,
    /// How long a finished or cancelled session is remembered at least; never longer than
    /// `storage.maintenance.upload_purging.age`. Default: 15 min.
    #[serde(serialize_with = "duration::serialize")]
    pub replay_window: Duration,
    /// How long the token in a Location is good for; never longer than
    /// `storage.maintenance.upload_purging.age`. Default: 24 h or that age.
    #[serde(serialize_with = "duration::serialize")]
    pub token_lifetime: Duration,
}

/// `limits` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLimits {
    #[serde(deserialize_with = "size::deserialize")]
    max_blob_size: u64,
    #[serde(deserialize_with = "size::deserialize")]
    max_manifest_size: u64,
    max_tags_per_push: usize,
}

/// How much a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes of the largest blob; `None` means no limit. Default: none.
    #[serde(serialize_with = "size::serialize_optional")]
    pub max_blob_size: Option<u64>,
    /// Bytes of the largest manifest, 4 MiB to 256 MiB. Default: 8 MiB.
    #[serde(serialize_with = "size::serialize")]
    pub max_manifest_size: u64,
    /// The most tags one push of a manifest may set, 10 to 1000. Default: 100.
    pub max_tags_per_push: usize,
}

impl Written {
    pub(super) fn settle(self, purging: UploadPurging, settling: &mut Settling<'_>) -> Uploads {
        let part_size = self.part_size.map(|size| size.0);
        if let Some(part_size) = part_size.filter(|size| self.max_memory / 4 < *size) {
            let needed = size::format(part_size.saturating_mul(4));
            let message = format!("there must be room for four parts of `uploads.part_size`, {needed}");
            settling.refuse("uploads.max_memory", message);
        }
        let written = self.token_lifetime.map(|lifetime| lifetime.0);
        for (path, duration) in
            [("uploads.replay_window", Some(self.replay_window)), ("uploads.token_lifetime", written)]
        {
            if duration.is_some_and(|duration| duration > purging.age) {
                let age = duration::format(purging.age);
                let message = format!(
                    "uploads are forgotten after `storage.maintenance.uploadpurging.age`, {age}; write no more than that"
                );
                settling.refuse(path, message);
            }
        }
        Uploads {
            max_memory: self.max_memory,
            part_size,
            min_chunk: (self.min_chunk > 0).then_some(self.min_chunk),
            replay_window: self.replay_window,
            token_lifetime: written.unwrap_or(TOKEN_LIFETIME.min(purging.age)),
        }
    }
}

impl WrittenLimits {
    pub(super) fn settle(self) -> Limits {
        Limits {
            max_blob_size: (self.max_blob_size > 0).then_some(self.max_blob_size),
            max_manifest_size: self.max_manifest_size,
            max_tags_per_push: self.max_tags_per_push,
        }
    }
}
