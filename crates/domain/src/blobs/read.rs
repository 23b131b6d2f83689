//! Reading blobs, and the answers before a push (`protocol.md` 2.4).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use entrepot_oci::{Digest, Hasher, RepositoryName};
use entrepot_storage::{Body, ByteStream, ErrorKind, Key, ObjectMeta};
use futures_util::{StreamExt, TryStreamExt};

use super::publish::visible;
use super::{
    BlobBody, BlobRange, BodyStream, Content, Delivery, Intent, LocalBlob, OpenedRange, octet_stream,
};
use crate::error::{Error, Result};
use crate::layout;
use crate::ports::{CacheKey, CacheValue, CachedLink};
use crate::record::{ATTEMPTS, Life, Pointer, RepositoryEntry, Slot, Swap};
use crate::redirects::{Pull, Reader};
use crate::registry::{Inner, Registry};

impl Registry {
    /// What is known of a blob. With [`Intent::Push`] the answer comes from the store and can be relied
    /// on by a push that follows soon; with [`Intent::Pull`] a cached link will do, and manifests are
    /// found as well.
    pub async fn stat_blob(&self, name: &RepositoryName, digest: &Digest, intent: Intent) -> Result<Content> {
        let size = match intent {
            Intent::Push => self.0.rely_on_blob(name, digest).await?,
            Intent::Pull => self.0.readable_link(name, digest).await?.map(|link| link.size),
        };
        if let Some(size) = size {
            return Ok(Content { media_type: octet_stream(), digest: *digest, size });
        }
        let manifest = match intent {
            Intent::Push => self.0.rely_on_manifest(name, digest).await?,
            Intent::Pull => self.0.committed_manifest(name, digest).await?.map(|held| held.descriptor),
        };
        match manifest {
            Some(held) => {
                Ok(Content { media_type: held.media_type.clone(), digest: *digest, size: held.size })
            }
            None => Err(self.0.blob_unknown(name.clone(), *digest)),
        }
    }

    /// Opens a blob or a range of it for `reader`, or says where it is to be had. A manifest of the
    /// repository is served as well, by its digest.
    ///
    /// A redirect rests on the link alone, cached or read, and asks the store for nothing else: where a
    /// crash left a link to bytes that are gone, it is the store that says so.
    pub async fn open_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        range: BlobRange,
        reader: Reader<'_>,
    ) -> Result<Delivery> {
        let Some(link) = self.0.readable_link(name, digest).await? else {
            return self.0.open_manifest_bytes(name, digest, range).await.map(Delivery::Stream);
        };
        if link.size > 0 && self.0.is_left_to_stores(&range) {
            let pull = Pull { reader, repository: name, size: link.size };
            let now = self.0.clock.now();
            let type_name = entrepot_oci::media_type::OCTET_STREAM;
            match self.0.config.redirects.url(&pull, &link.instance, type_name, now).await {
                Ok(Some(url)) => return Ok(Delivery::Redirect(url)),
                Ok(None) => {}
                // Who signs may be away while the store is not.
                Err(error) => {
                    tracing::warn!(error = %error, key = %link.instance, "no URL could be signed; the blob is sent by us");
                }
            }
        }
        self.0.read_linked(name, digest, &link, range).await.map(Delivery::Stream)
    }

    /// Opens a blob or a range of it, to be served through this process whatever the rules say.
    pub async fn read_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        range: BlobRange,
    ) -> Result<OpenedRange> {
        match self.0.readable_link(name, digest).await? {
            Some(link) => self.0.read_linked(name, digest, &link, range).await,
            None => self.0.open_manifest_bytes(name, digest, range).await,
        }
    }
}

impl Inner {
    /// Whether the client may ask a store for this range itself: stores agree about ordinary ranges only. One
    /// that ends before it begins is ignored by some and refused by others.
    fn is_left_to_stores(&self, range: &BlobRange) -> bool {
        match range {
            BlobRange::Whole | BlobRange::From(_) => true,
            BlobRange::Bounded(range) => range.start < range.end,
            BlobRange::Suffix(_) => self.store.capabilities().presigned_suffixes,
        }
    }

    /// Opens the bytes a link leads to.
    async fn read_linked(
        self: &Arc<Self>,
        name: &RepositoryName,
        digest: &Digest,
        link: &CachedLink,
        range: BlobRange,
    ) -> Result<OpenedRange> {
        let content = Content { media_type: octet_stream(), digest: *digest, size: link.size };
        if content.size == 0 && range == BlobRange::Whole {
            return Ok(whole(content, 0..0, Bytes::new()));
        }
        // The link tells the size. Azure knows no range that counts from the end, and would be asked for it.
        let range = match range {
            BlobRange::Suffix(_) => range.resolve(content.size).map_or(range, BlobRange::Bounded),
            range => range,
        };
        let object = match self.store.get(&link.instance, range.clone()).await {
            Err(error) if error.is_not_found() => self.reopen(name, digest, link, range).await?,
            Err(error) => return Err(short(&link.instance, content.size, error)),
            Ok(object) => object,
        };
        if object.meta.size != content.size {
            return Err(damaged(&object.meta.key, content.size, object.meta.size));
        }
        let is_whole = object.range == (0..content.size);
        let lasting = self.config.verify_again_after;
        let wants_hashing = is_whole && !self.verified.contains(&object.meta, self.clock.now(), lasting);
        let body = match object.body {
            Body::Whole(bytes) if wants_hashing => {
                BlobBody::Whole(self.checked(bytes, digest, &object.meta)?)
            }
            Body::Whole(bytes) => BlobBody::Whole(bytes),
            Body::Local(file) if !wants_hashing => BlobBody::Local(LocalBlob(file)),
            body if wants_hashing => {
                BlobBody::Stream(verified(Arc::clone(self), body.into_stream(), digest, object.meta))
            }
            body => BlobBody::Stream(body.into_stream().map_err(Error::from).boxed()),
        };
        Ok(OpenedRange { content, range: object.range, body })
    }

    /// The repository's link, from the cache or the store.
    async fn readable_link(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<CachedLink>> {
        let cache_key = CacheKey::Link(name.clone(), *digest);
        if let Some(CacheValue::Link(link)) = self.cache.get(&cache_key).await {
            return Ok(Some(link));
        }
        let found = self.load::<Pointer>(&layout::link(digest, name)).await?;
        let Some((link, instance)) = visible(&found) else { return Ok(None) };
        let link = CachedLink { instance: instance.clone(), size: link.size };
        self.cache.put(cache_key, CacheValue::Link(link.clone()), self.config.link_ttl).await;
        Ok(Some(link))
    }

    /// Opens what the blob record names, where the link's bytes are gone: the link is a claim a crash
    /// left behind, or the cached one was repaired since.
    async fn reopen(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        missing: &CachedLink,
        range: BlobRange,
    ) -> Result<entrepot_storage::Object> {
        self.cache.invalidate(&CacheKey::Link(name.clone(), *digest)).await;
        let blob = self.load::<Pointer>(&layout::blob(digest)).await?;
        let Some((_, instance)) = visible(&blob).filter(|(_, instance)| **instance != missing.instance)
        else {
            return Err(self.blob_unknown(name.clone(), *digest));
        };
        self.store.get(instance, range).await.map_err(|error| short(instance, missing.size, error))
    }

    /// The blob's size if a push may rely on it: link and blob record live, rescued where condemned,
    /// touched where old, agreeing on the bytes.
    pub(crate) async fn rely_on_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<u64>> {
        let (blob, link) = self.load_pair(name, digest).await?;
        let (Some((record, _)), Some((claim, _))) = (visible(&blob), visible(&link)) else {
            return Ok(None);
        };
        let size = record.size;
        let fresh = |slot: &Slot<Pointer>, state: Life| state == Life::Live && !self.is_old(slot.modified);
        if record.inst == claim.inst && fresh(&blob, record.state) && fresh(&link, claim.state) {
            return Ok(Some(size));
        }
        Ok(self.touch(name, digest, link, blob).await?.then_some(size))
    }

    /// Writes old or condemned records anew and repairs a link that names other bytes than the blob
    /// record. False where either went away meanwhile. Never creates a link.
    async fn touch(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        mut link: Slot<Pointer>,
        mut blob: Slot<Pointer>,
    ) -> Result<bool> {
        let (link_key, blob_key) = (layout::link(digest, name), layout::blob(digest));
        for attempt in 0..ATTEMPTS {
            let Some((claim, _)) = visible(&link) else { return Ok(false) };
            let mut claim = claim.clone();
            if claim.state != Life::Live || self.is_old(link.modified) {
                claim.state = Life::Live;
                match self.swap(&link_key, link.version.as_ref(), &claim).await? {
                    Swap::Won(version) => link.version = Some(version),
                    Swap::Lost(now) => {
                        link = now;
                        self.pause(attempt).await;
                        continue;
                    }
                }
            }
            if self.is_old(blob.modified)
                && let Some((record, _)) = visible(&blob)
            {
                // Lost means that somebody else touched it.
                self.swap(&blob_key, blob.version.as_ref(), &record.in_state(Life::Live)).await?;
            }
            let Some(record) = self.rescue_blob(digest).await? else { return Ok(false) };
            if record.inst == claim.inst {
                return Ok(true);
            }
            match self.swap(&link_key, link.version.as_ref(), &record).await? {
                Swap::Won(_) => return Ok(true),
                Swap::Lost(now) => link = now,
            }
            blob = Slot::absent();
            self.pause(attempt).await;
        }
        Err(Error::busy("too many changes of one blob at once"))
    }

    pub(crate) fn is_old(&self, modified: Option<SystemTime>) -> bool {
        modified.is_some_and(|at| {
            self.clock.now().duration_since(at).is_ok_and(|age| age > self.config.touch_after)
        })
    }

    /// A whole blob at hand, if it is the one that was asked for.
    fn checked(&self, bytes: Bytes, digest: &Digest, object: &ObjectMeta) -> Result<Bytes> {
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Err(rotten(&object.key));
        }
        self.verified.note(object, self.clock.now());
        Ok(bytes)
    }

    async fn open_manifest_bytes(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        range: BlobRange,
    ) -> Result<OpenedRange> {
        let Some(manifest) = self.committed_manifest(name, digest).await? else {
            return Err(self.blob_unknown(name.clone(), *digest));
        };
        let size = manifest.bytes.len() as u64;
        let wanted = range.resolve(size).ok_or(Error::RangeNotSatisfiable { size })?;
        let bounds = usize::try_from(wanted.start).unwrap_or(0)..usize::try_from(wanted.end).unwrap_or(0);
        let media_type = manifest.descriptor.media_type.clone();
        Ok(whole(Content { media_type, digest: *digest, size }, wanted, manifest.bytes.slice(bounds)))
    }

    /// The answer for a blob that is not there. It never tells whether the repository exists: a client
    /// about to push asks this of repositories that do not yet.
    pub(crate) const fn blob_unknown(&self, name: RepositoryName, digest: Digest) -> Error {
        Error::BlobUnknown { repository: name, digest }
    }

    /// Whether the repository ever held a manifest.
    pub(crate) async fn is_known(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.load::<RepositoryEntry>(&layout::repository(name)).await?.record.is_some())
    }
}

fn whole(content: Content, range: std::ops::Range<u64>, bytes: Bytes) -> OpenedRange {
    OpenedRange { content, range, body: BlobBody::Whole(bytes) }
}

/// A whole blob on its way, hashed as it passes. Its last chunk is held back until all of it has the right
/// digest: a client never receives a complete answer with other bytes than those it asked for.
fn verified(inner: Arc<Inner>, stream: ByteStream, digest: &Digest, meta: ObjectMeta) -> BodyStream {
    let hasher = Hasher::new(digest.algorithm());
    let passage = Passage { inner, stream, hasher, digest: *digest, left: meta.size, meta };
    let steps = futures_util::stream::unfold(Some(passage), |passage| async move {
        let mut passage = passage?;
        match passage.step().await? {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(passage))),
            Ok(None) => Some((Err(rotten(&passage.meta.key)), None)),
            Err(error) => Some((Err(error.into()), None)),
        }
    });
    steps.boxed()
}

struct Passage {
    inner: Arc<Inner>,
    stream: ByteStream,
    hasher: Hasher,
    digest: Digest,
    left: u64,
    meta: ObjectMeta,
}

impl Passage {
    /// The next chunk, or nothing where it would complete other content. The end of the stream is passed
    /// on as it is: whoever announced a length misses what is not there.
    async fn step(&mut self) -> Option<Result<Option<Bytes>, entrepot_storage::Error>> {
        let chunk = match self.stream.next().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some(Err(error)),
        };
        self.hasher.update(&chunk);
        self.left = self.left.saturating_sub(chunk.len() as u64);
        if self.left > 0 {
            return Some(Ok(Some(chunk)));
        }
        if self.hasher.clone().finish() != self.digest {
            return Some(Ok(None));
        }
        self.inner.verified.note(&self.meta, self.inner.clock.now());
        Some(Ok(Some(chunk)))
    }
}

fn rotten(key: &Key) -> Error {
    Error::Record {
        key: key.to_string(),
        reason: "the bytes do not have the digest they are named by".into(),
    }
}

/// A range that the record has and the object has not is no mistake of the client's.
fn short(key: &Key, expected: u64, error: entrepot_storage::Error) -> Error {
    match error.kind() {
        ErrorKind::RangeNotSatisfiable { size } if size != expected => damaged(key, expected, size),
        _ => error.into(),
    }
}

/// Bytes of another length than their record says are never served as if they were the blob.
fn damaged(key: &Key, expected: u64, actual: u64) -> Error {
    Error::Record { key: key.to_string(), reason: format!("{actual} bytes where {expected} were recorded") }
}
