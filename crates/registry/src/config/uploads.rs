//! Upload sessions and how much a client may send.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::settle::Settling;
use super::size::{self, Size};
use super::storage::{Backend, Storage};

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
    pub(super) fn settle(self, storage: &Storage, settling: &mut Settling<'_>) -> Uploads {
        let purging = storage.maintenance.upload_purging;
        let written_size = self.part_size.map(|size| size.0);
        // An upload holds a few parts at once, and with room for less it would wait for itself.
        if let Some((key, size)) = part_size(written_size, &storage.backend)
            && self.max_memory / 4 < size
        {
            let needed = size::format(size.saturating_mul(4));
            settling.refuse(
                "uploads.max_memory",
                format!("there must be room for four parts of `{key}`, {needed}"),
            );
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
            part_size: written_size,
            min_chunk: (self.min_chunk > 0).then_some(self.min_chunk),
            replay_window: self.replay_window,
            token_lifetime: written.unwrap_or(TOKEN_LIFETIME.min(purging.age)),
        }
    }
}

/// How large parts are, and by which key.
fn part_size(written: Option<u64>, backend: &Backend) -> Option<(&'static str, u64)> {
    match backend {
        _ if written.is_some() => written.map(|size| ("uploads.part_size", size)),
        Backend::S3(settings) => Some(("storage.s3.chunksize", settings.part_bytes)),
        Backend::Azure(settings) => Some(("storage.azure.chunksize", settings.block_bytes)),
        Backend::Gcs(settings) => Some(("storage.gcs.chunksize", settings.part_bytes)),
        Backend::Filesystem(_) | Backend::Inmemory(_) => None,
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

#[cfg(test)]
mod tests {
    use crate::config::{Imagined, Leniency, load};

    /// What is wrong with a configuration, if anything.
    fn refused(more: &str) -> Option<String> {
        let text = format!("version: 0.1\nauth: none\n{more}\n");
        let files = Imagined::nothing().file("/a.yml", &text);
        load(Some("/a.yml".as_ref()), Leniency::Strict, &files).err().map(|error| error.to_string())
    }

    #[test]
    fn four_parts_of_the_stores_own_size_need_room_too() {
        for (store, more) in
            [("s3", "region: r, bucket: b"), ("azure", "accountname: a, container: c"), ("gcs", "bucket: b")]
        {
            let large = refused(&format!("storage: {{{store}: {{{more}, chunksize: 129MiB}}}}"));
            let large = large.expect("four need more than 512 MiB");
            let expected =
                format!("there must be room for four parts of `storage.{store}.chunksize`, 516MiB");
            assert!(large.contains("uploads.max_memory") && large.contains(&expected), "{large}");
            assert_eq!(refused(&format!("storage: {{{store}: {{{more}, chunksize: 128MiB}}}}")), None);
        }
        let smaller = "storage: {s3: {region: r, bucket: b, chunksize: 1GiB}}\nuploads: {part_size: 16MiB}";
        assert_eq!(refused(smaller), None, "`uploads.part_size` goes before it");
        assert_eq!(refused("storage: inmemory"), None);
    }
}
