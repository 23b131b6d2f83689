//! What the domain needs from outside besides a store: a cache, a clock, randomness.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use entrepot_oci::{Descriptor, Digest, RepositoryName, Tag};
use entrepot_storage::Key;

/// A manifest as it is served: its descriptor and exact bytes. Immutable, so clones share everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedManifest {
    /// Media type, digest and size.
    pub descriptor: Arc<Descriptor>,
    /// The bytes as they were pushed.
    pub bytes: Bytes,
}

/// A repository's right to a blob: where its bytes lie and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLink {
    /// The data key.
    pub instance: Key,
    /// Length in bytes.
    pub size: u64,
}

/// Names one cached thing. Everything is kept per repository, so no entry of one can open another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheKey {
    /// A blob link.
    Link(RepositoryName, Digest),
    /// A manifest by digest.
    Manifest(RepositoryName, Digest),
    /// What a tag names.
    Tag(RepositoryName, Tag),
}

/// What is kept under a [`CacheKey`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheValue {
    /// A blob link.
    Link(CachedLink),
    /// A manifest by digest.
    Manifest(CachedManifest),
    /// What a tag names.
    Tag(Arc<Descriptor>),
}

/// A cache in front of the store. Positive entries only; it may forget anything at any time, and an
/// answer may be stale by at most the time to live it was stored with. Failures are misses: no method
/// can fail, and none may take longer than its implementation's budget.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// Looks up `key`.
    async fn get(&self, key: &CacheKey) -> Option<CacheValue>;
    /// Keeps `value` for at most `ttl`.
    async fn put(&self, key: CacheKey, value: CacheValue, ttl: Duration);
    /// Forgets `key`, here and wherever the cache is shared.
    async fn invalidate(&self, key: &CacheKey);
}

/// A cache that keeps nothing.
#[derive(Debug)]
pub struct NoCache;

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _: &CacheKey) -> Option<CacheValue> {
        None
    }
    async fn put(&self, _: CacheKey, _: CacheValue, _: Duration) {}
    async fn invalidate(&self, _: &CacheKey) {}
}

/// The clock. Decides when tokens and sessions expire, never whether a write is safe.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> SystemTime;
}

/// Randomness for nonces and identifiers.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills `buffer` with bytes nobody can guess.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's clock and random source.
#[derive(Debug)]
pub struct System;

impl Clock for System {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl Entropy for System {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("an operating system without random numbers cannot run a registry");
    }
}
