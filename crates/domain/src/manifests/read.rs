//! Reading manifests by tag and by digest.

use std::sync::Arc;

use entrepot_oci::{Descriptor, Digest, Reference, RepositoryName, Tag, manifest};

use crate::blobs::Intent;
use crate::error::{Error, Result};
use crate::layout;
use crate::ports::{CacheKey, CacheValue, CachedManifest};
use crate::record::{ManifestRecord, ManifestState, TagRecord};
use crate::registry::{Inner, Registry};

impl Registry {
    /// The manifest `reference` names. At most two reads of the store, none when cached.
    pub async fn get_manifest(&self, name: &RepositoryName, reference: &Reference) -> Result<CachedManifest> {
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => self.0.resolve(name, tag).await?.digest,
        };
        match self.0.committed_manifest(name, &digest).await? {
            Some(manifest) => Ok(manifest),
            None => Err(self.0.manifest_unknown(name, reference).await?),
        }
    }

    /// The linux/amd64 image of a Docker manifest list, for clients from before there were lists.
    pub async fn image_of_list(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        list: &CachedManifest,
    ) -> Result<CachedManifest> {
        let parsed = manifest::parse(Some(&list.descriptor.media_type), &list.bytes)?;
        let wanted = parsed.children().find(|child| {
            child.platform.as_ref().is_some_and(|at| at.os == "linux" && at.architecture == "amd64")
        });
        let image = match wanted {
            Some(child) => self.0.committed_manifest(name, &child.descriptor.digest).await?,
            None => None,
        };
        match image {
            Some(image) => Ok(image),
            None => Err(self.0.manifest_unknown(name, reference).await?),
        }
    }

    /// The descriptor of the manifest `reference` names. At most one read of the store for a tag.
    ///
    /// With [`Intent::Push`] the manifest's own record is read, rescued and touched, so that a push that
    /// leaves it out can rely on it.
    pub async fn stat_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        intent: Intent,
    ) -> Result<Arc<Descriptor>> {
        let digest = match reference {
            Reference::Tag(tag) if intent == Intent::Pull => return self.0.resolve(name, tag).await,
            Reference::Tag(tag) => self.0.resolve_stored(name, tag).await?.digest,
            Reference::Digest(digest) => *digest,
        };
        let held = match intent {
            Intent::Push => self.0.rely_on_manifest(name, &digest).await?,
            Intent::Pull => self.0.committed_manifest(name, &digest).await?.map(|held| held.descriptor),
        };
        match held {
            Some(descriptor) => Ok(descriptor),
            None => Err(self.0.manifest_unknown(name, reference).await?),
        }
    }
}

impl Inner {
    /// What a tag names, from the cache or the store.
    pub(crate) async fn resolve(&self, name: &RepositoryName, tag: &Tag) -> Result<Arc<Descriptor>> {
        if self.config.tag_ttl.is_zero() {
            return self.resolve_stored(name, tag).await;
        }
        let cache_key = CacheKey::Tag(name.clone(), tag.clone());
        if let Some(CacheValue::Tag(descriptor)) = self.cache.get(&cache_key).await {
            return Ok(descriptor);
        }
        let descriptor = self.resolve_stored(name, tag).await?;
        self.cache.put(cache_key, CacheValue::Tag(Arc::clone(&descriptor)), self.config.tag_ttl).await;
        Ok(descriptor)
    }

    async fn resolve_stored(&self, name: &RepositoryName, tag: &Tag) -> Result<Arc<Descriptor>> {
        let found = self.load::<TagRecord>(&layout::tag(name, tag)).await?;
        match found.record.and_then(|record| record.cur) {
            Some(descriptor) => Ok(Arc::new(descriptor)),
            None => Err(self.manifest_unknown(name, &Reference::Tag(tag.clone())).await?),
        }
    }

    /// A manifest readers see, from the cache or the store.
    pub(crate) async fn committed_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<CachedManifest>> {
        let cache_key = CacheKey::Manifest(name.clone(), *digest);
        if let Some(CacheValue::Manifest(manifest)) = self.cache.get(&cache_key).await {
            return Ok(Some(manifest));
        }
        let stored = self.stored_manifest(name, digest).await?;
        if let Some(manifest) = &stored {
            self.cache.put(cache_key, CacheValue::Manifest(manifest.clone()), self.config.manifest_ttl).await;
        }
        Ok(stored)
    }

    /// A manifest readers see, from the store: for pushes, which believe no cache.
    pub(crate) async fn stored_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<CachedManifest>> {
        let found = self.load::<ManifestRecord>(&layout::manifest(name, digest)).await?;
        let Some(record) = found.record.filter(ManifestRecord::is_visible) else { return Ok(None) };
        // A cache must not keep, and nobody be served, what rotted in the store.
        if Digest::of(digest.algorithm(), &record.bytes) != *digest {
            let key = layout::manifest(name, digest).to_string();
            return Err(Error::Record { key, reason: "the bytes do not have their digest".into() });
        }
        Ok(Some(served(record, *digest)))
    }

    /// As the manifest PUT's own check of a child: what a push may rely on.
    pub(crate) async fn rely_on_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Arc<Descriptor>>> {
        let key = layout::manifest(name, digest);
        let found = self.load::<ManifestRecord>(&key).await?;
        let Some(record) = found.record.filter(ManifestRecord::is_visible) else { return Ok(None) };
        if record.state != ManifestState::Committed || self.is_old(found.modified) {
            let touched = record.in_state(ManifestState::Committed);
            let swap = self.swap(&key, found.version.as_ref(), &touched).await?;
            if let crate::record::Swap::Lost(now) = swap
                && !now.record.is_some_and(|now| now.state == ManifestState::Committed)
            {
                return Ok(None);
            }
        }
        Ok(Some(Arc::new(record.descriptor(*digest))))
    }

    /// The answer for a manifest that is not there: an unknown repository is told apart, because that is
    /// usually a misspelt name.
    pub(crate) async fn manifest_unknown(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Error> {
        if !self.is_known(name).await? {
            return Ok(Error::RepositoryUnknown(name.clone()));
        }
        Ok(Error::ManifestUnknown { repository: name.clone(), reference: reference.to_string() })
    }
}

/// A record as it is served and cached.
pub(super) fn served(record: ManifestRecord, digest: Digest) -> CachedManifest {
    let descriptor = Arc::new(record.descriptor(digest));
    CachedManifest { descriptor, bytes: record.bytes }
}
