//! A cache in this process's memory.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use entrepot_domain::ports::{Cache, CacheKey, CacheValue};
use moka::Expiry;
use moka::policy::EvictionPolicy;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Memory for all entries together, in bytes, bookkeeping included. Default 64 MiB.
    pub capacity_bytes: u64,
    /// Entries above this are not kept, so that one enormous index cannot push everything else out. In
    /// bytes, default 1 MiB; most manifests are below 10 KiB.
    pub largest_entry_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { capacity_bytes: 64 * MIB, largest_entry_bytes: MIB }
    }
}

/// The in-process tier. Clones share everything, and any number of requests may use it at once; no call
/// waits for another one's I/O. Entries leave when their time is over, when they are invalidated, or
/// when more popular ones need the room.
#[derive(Clone, Debug)]
pub struct MemoryCache {
    entries: moka::sync::Cache<CacheKey, Entry>,
    largest_entry_bytes: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    value: CacheValue,
    ttl: Duration,
}

impl MemoryCache {
    /// An empty cache.
    pub fn new(config: Config) -> Self {
        let entries = moka::sync::Cache::builder()
            .max_capacity(config.capacity_bytes)
            .weigher(|key: &CacheKey, entry: &Entry| {
                u32::try_from(weight(key, &entry.value)).unwrap_or(u32::MAX)
            })
            .eviction_policy(EvictionPolicy::tiny_lfu())
            .expire_after(OwnTtl)
            .build();
        Self { entries, largest_entry_bytes: config.largest_entry_bytes.min(config.capacity_bytes) }
    }

    /// Bytes in use, approximately: evictions happen a little later than the writes that cause them.
    pub fn bytes(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.weighted_size()
    }
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &CacheKey) -> Option<CacheValue> {
        self.entries.get(key).map(|entry| entry.value)
    }

    async fn put(&self, key: CacheKey, value: CacheValue, ttl: Duration) {
        if ttl.is_zero() || weight(&key, &value) > self.largest_entry_bytes {
            // What was there before is older than what was to be kept.
            self.entries.invalidate(&key);
            return;
        }
        self.entries.insert(key, Entry { value, ttl });
    }

    async fn invalidate(&self, key: &CacheKey) {
        self.entries.invalidate(key);
    }
}

/// Each entry brings the time it may live; reading it does not prolong that.
struct OwnTtl;

impl Expiry<CacheKey, Entry> for OwnTtl {
    fn expire_after_create(&self, _: &CacheKey, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }
}

/// What moka and the allocator add to an entry, measured roughly.
const BOOKKEEPING: usize = 256;

fn weight(key: &CacheKey, value: &CacheValue) -> u64 {
    let key_bytes = match key {
        CacheKey::Link(repository, _) | CacheKey::Manifest(repository, _) => repository.as_str().len(),
        CacheKey::Tag(repository, tag) => repository.as_str().len() + tag.as_str().len(),
    };
    let value_bytes = match value {
        CacheValue::Link(link) => link.instance.as_str().len(),
        CacheValue::Manifest(manifest) => manifest.bytes.len() + descriptor(&manifest.descriptor),
        CacheValue::Tag(named) => descriptor(named),
    };
    (BOOKKEEPING + size_of::<CacheKey>() + size_of::<Entry>() + key_bytes + value_bytes) as u64
}

fn descriptor(descriptor: &entrepot_oci::Descriptor) -> usize {
    let annotations: usize = descriptor
        .annotations
        .iter()
        .map(|(key, value)| key.len() + value.len() + 2 * size_of::<String>())
        .sum();
    let artifact_type = descriptor.artifact_type.as_ref().map_or(0, String::len);
    size_of::<entrepot_oci::Descriptor>() + descriptor.media_type.as_str().len() + artifact_type + annotations
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use entrepot_domain::ports::CachedManifest;
    use entrepot_oci::{Descriptor, Digest};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn manifest(seed: usize, length: usize) -> (CacheKey, CacheValue) {
        let digest = Digest::sha256(&seed.to_be_bytes());
        let media_type = "application/vnd.oci.image.manifest.v1+json".parse().unwrap();
        let descriptor = Arc::new(Descriptor::new(media_type, digest, length as u64));
        let bytes = Bytes::from(vec![0; length]);
        let key = CacheKey::Manifest("a/b".parse().unwrap(), digest);
        (key, CacheValue::Manifest(CachedManifest { descriptor, bytes }))
    }

    #[tokio::test]
    async fn what_was_put_is_found_under_its_repository_only() {
        let cache = MemoryCache::default();
        let (key, value) = manifest(1, 100);
        let CacheKey::Manifest(_, digest) = key.clone() else { unreachable!() };

        cache.put(key.clone(), value.clone(), MINUTE).await;

        assert_eq!(cache.get(&key).await, Some(value));
        assert_eq!(cache.get(&CacheKey::Manifest("a/c".parse().unwrap(), digest)).await, None);
    }

    #[tokio::test]
    async fn an_invalidated_entry_is_gone_at_once() {
        let cache = MemoryCache::default();
        let (key, value) = manifest(1, 100);
        cache.put(key.clone(), value, MINUTE).await;

        cache.invalidate(&key).await;

        assert_eq!(cache.get(&key).await, None);
    }

    #[tokio::test]
    async fn an_entry_leaves_when_its_own_time_is_over() {
        let cache = MemoryCache::default();
        let (short, value) = manifest(1, 100);
        let (long, other) = manifest(2, 100);
        cache.put(short.clone(), value, Duration::from_nanos(1)).await;
        cache.put(long.clone(), other.clone(), MINUTE).await;

        while cache.get(&short).await.is_some() {
            std::thread::yield_now();
        }

        assert_eq!(cache.get(&long).await, Some(other));
    }

    #[tokio::test]
    async fn nothing_is_kept_for_no_time() {
        let cache = MemoryCache::default();
        let (key, value) = manifest(1, 100);
        cache.put(key.clone(), value.clone(), MINUTE).await;

        cache.put(key.clone(), value, Duration::ZERO).await;

        assert_eq!(cache.get(&key).await, None);
    }

    #[tokio::test]
    async fn memory_stays_within_the_capacity() {
        let cache = MemoryCache::new(Config { capacity_bytes: 100_000, largest_entry_bytes: 50_000 });

        for seed in 0..1_000 {
            let (key, value) = manifest(seed, 1_000);
            cache.put(key, value, MINUTE).await;
        }

        assert!(cache.bytes() <= 100_000);
        assert!(cache.bytes() > 50_000, "a cache that keeps nothing is none");
    }

    #[tokio::test]
    async fn an_entry_too_large_is_not_kept_and_replaces_what_was_there() {
        let cache = MemoryCache::new(Config { capacity_bytes: 100_000, largest_entry_bytes: 5_000 });
        let (key, small) = manifest(1, 100);
        let (_, large) = manifest(1, 10_000);
        cache.put(key.clone(), small, MINUTE).await;

        cache.put(key.clone(), large, MINUTE).await;

        assert_eq!(cache.get(&key).await, None);
    }
}
