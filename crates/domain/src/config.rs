//! The domain's settings: limits, switches and lifetimes.

use std::time::Duration;

use crate::redirects::Redirects;

/// What the registry allows and for how long. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Largest manifest accepted. Default 8 MiB, at least 4 MiB.
    pub max_manifest_bytes: u64,
    /// Largest blob accepted; `None` means as large as the store can hold.
    pub max_blob_bytes: Option<u64>,
    /// Most tags one manifest push may set. Default 100.
    pub max_tags_per_push: usize,
    /// Whether manifests, tags and blobs may be deleted. Default true.
    pub delete_enabled: bool,
    /// Which repositories take no writes at the start; see [`crate::Registry::set_read_only`].
    pub read_only: ReadOnly,
    /// Memory all uploads together may use for parts. Default 1 GiB.
    pub upload_memory_bytes: u64,
    /// How long an upload waits for memory before it is answered with "busy". Default 10 s.
    pub upload_patience: Duration,
    /// Bytes per part; `None` takes the store's preference.
    pub part_bytes: Option<u64>,
    /// Parts of one upload in flight at once. Default 2.
    pub parts_in_flight: usize,
    /// A long request makes its progress durable after so many bytes. Default 256 MiB.
    pub checkpoint_bytes: u64,
    /// How long an upload session lives after its last bytes, and its token at all. Default 24 h.
    pub session_lifetime: Duration,
    /// How long a finished session is remembered, so that a repeated commit is answered. At least
    /// [`session_lifetime`](Self::session_lifetime). Default 48 h.
    pub session_retention: Duration,
    /// How long cached links may be stale. Default 60 s.
    pub link_ttl: Duration,
    /// How long cached manifests are kept; they cannot become stale, only deleted. Default 60 s.
    pub manifest_ttl: Duration,
    /// How long a cached tag may be stale; zero does not cache tags. Default 0.
    pub tag_ttl: Duration,
    /// Tags read at once when all tags of a manifest are looked for. Default 32.
    pub tag_lookups_in_flight: usize,
    /// A record a pusher relies on is touched when older than this. Default 6 h.
    pub touch_after: Duration,
    /// How long stored bytes that were found to have their digest are served without being hashed again.
    /// Zero hashes each whole blob each time. Default 1 h.
    pub verify_again_after: Duration,
    /// Which pulls clients fetch elsewhere. Default: none.
    pub redirects: Redirects,
    /// Rules for manifests.
    pub manifests: ManifestRules,
}

/// Which repositories take no writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOnly {
    /// All of them.
    pub everything: bool,
    /// Those of these names, and everything below them: `team` covers `team` and `team/app`.
    pub repositories: Vec<String>,
}

impl ReadOnly {
    /// Whether `repository` takes no writes.
    pub fn covers(&self, repository: &str) -> bool {
        let below = |prefix: &String| {
            repository
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.everything || self.repositories.iter().any(below)
    }
}

/// Rules a manifest has to satisfy besides the specification.
#[derive(Clone, Debug, Default)]
pub struct ManifestRules {
    /// Which entries of an index must exist.
    pub index_platforms: IndexPlatforms,
    /// Patterns one of which every `urls` entry must match; none allows no urls at all.
    pub urls_allow: Vec<UrlPattern>,
    /// Patterns none of which a `urls` entry may match.
    pub urls_deny: Vec<UrlPattern>,
    /// Accept images whose config or layers are not in the repository.
    pub allow_sparse_images: bool,
    /// Accept descriptors whose size differs from the stored content.
    pub ignore_sizes: bool,
    /// Keep manifests of types the registry does not know, without looking into them: nothing they may
    /// name is checked or kept for their sake.
    pub store_unknown_types: bool,
    /// Deepest nesting of indexes. Default 8; zero means the default.
    pub max_index_depth: usize,
}

/// A predicate over a url, made by whoever reads the configuration.
#[derive(Clone)]
pub struct UrlPattern(pub std::sync::Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl std::fmt::Debug for UrlPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UrlPattern")
    }
}

/// Which entries of an index must exist in the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IndexPlatforms {
    /// Every entry.
    #[default]
    All,
    /// None: sparse indexes are welcome.
    None,
    /// Those of the listed platforms, as (os, architecture).
    List(Vec<(String, String)>),
}

impl Default for Config {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            max_manifest_bytes: 8 * MIB,
            max_blob_bytes: None,
            max_tags_per_push: 100,
            delete_enabled: true,
            read_only: ReadOnly::default(),
            upload_memory_bytes: 1024 * MIB,
            upload_patience: Duration::from_secs(10),
            part_bytes: None,
            parts_in_flight: 2,
            checkpoint_bytes: 256 * MIB,
            session_lifetime: 24 * HOUR,
            session_retention: 48 * HOUR,
            link_ttl: Duration::from_secs(60),
            manifest_ttl: Duration::from_secs(60),
            tag_ttl: Duration::ZERO,
            tag_lookups_in_flight: 32,
            verify_again_after: HOUR,
            touch_after: 6 * HOUR,
            redirects: Redirects::default(),
            manifests: ManifestRules::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_name_covers_what_lies_below_it_and_nothing_beside() {
        let read_only = ReadOnly { everything: false, repositories: vec!["team/a".into()] };

        assert!(read_only.covers("team/a") && read_only.covers("team/a/b"));
        assert!(!read_only.covers("team/ab") && !read_only.covers("team") && !read_only.covers("x/team/a"));
        assert!(ReadOnly { everything: true, repositories: Vec::new() }.covers("x"));
    }
}
