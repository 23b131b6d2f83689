//! Verifying what a manifest names: `protocol.md` 2.5, steps 3 and 4.
//!
//! Runs after the manifest was announced. For each reference the link is read before the blob record
//! (r6), a condemned record is rescued before it is relied on, and a link that names other bytes than
//! the blob record is repaired (r7).

use std::collections::HashMap;

use entrepot_oci::manifest::{Kind, Manifest, Referenced, Role};
use entrepot_oci::{Digest, RepositoryName};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::rules;
use crate::blobs::visible;
use crate::error::{Error, Result};
use crate::layout;
use crate::mutation::Mutation;
use crate::record::{ATTEMPTS, Life, ManifestRecord, ManifestState, Pointer, Swap};
use crate::registry::Inner;

/// References verified at once.
const PARALLEL: usize = 32;
/// Missing references that are told.
const MAX_REPORTED: usize = 100;

/// What a reference turned out to be.
enum Found {
    Blob { size: u64 },
    Manifest { size: u64, depth: u32 },
    Missing,
}

impl Inner {
    /// Makes sure that everything `manifest` names is in the repository and will stay. Answers how deep
    /// the indexes below it go.
    pub(crate) async fn verify(&self, name: &RepositoryName, manifest: &Manifest) -> Result<u32> {
        let mut distinct: HashMap<Digest, &Referenced> = HashMap::new();
        for reference in &manifest.references {
            distinct.entry(reference.descriptor.digest).or_insert(reference);
        }
        let looked_up: Vec<(&Referenced, Found)> = stream::iter(distinct.into_values())
            .map(|reference| async move { Ok::<_, Error>((reference, self.find(name, reference).await?)) })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        self.judge(manifest, looked_up.into_iter().map(|(at, found)| (at.descriptor.digest, found)).collect())
    }

    fn judge(&self, manifest: &Manifest, found: HashMap<Digest, Found>) -> Result<u32> {
        let rules = &self.config.manifests;
        let in_index = manifest.kind == Kind::Index;
        let (mut missing, mut depth) = (Vec::new(), 0);
        for reference in &manifest.references {
            let digest = reference.descriptor.digest;
            let size = match found[&digest] {
                Found::Missing if rules::must_exist(rules, reference, in_index) => {
                    if !missing.contains(&digest) && missing.len() < MAX_REPORTED {
                        missing.push(digest);
                    }
                    continue;
                }
                Found::Missing => continue,
                Found::Blob { size } => size,
                Found::Manifest { size, depth: below } => {
                    depth = depth.max(below + 1);
                    size
                }
            };
            if size != reference.descriptor.size && !rules.ignore_sizes {
                return Err(Error::ManifestRefused(format!(
                    "{digest} has {size} bytes, its descriptor says {} (validation.manifests.sizes)",
                    reference.descriptor.size
                )));
            }
        }
        if !missing.is_empty() {
            return Err(Error::ReferencesUnknown(missing));
        }
        let limit = rules::max_depth(rules);
        if depth > limit {
            return Err(Error::ManifestRefused(format!("indexes are nested deeper than {limit} levels")));
        }
        Ok(if in_index { depth.max(1) } else { 0 })
    }

    /// Looks a reference up as what its place says it is, and failing that as the other kind: an index
    /// may list blobs (BuildKit's caches do), and an artifact may keep a manifest among its layers.
    async fn find(&self, name: &RepositoryName, reference: &Referenced) -> Result<Found> {
        let digest = &reference.descriptor.digest;
        match reference.role {
            Role::Child => match self.hold_manifest(name, digest).await? {
                Found::Missing => self.hold_blob(name, digest).await,
                found => Ok(found),
            },
            Role::IndexedBlob => match self.hold_blob(name, digest).await? {
                Found::Missing => self.hold_manifest(name, digest).await,
                found => Ok(found),
            },
            Role::Config | Role::Layer | Role::ForeignLayer => match self.hold_blob(name, digest).await? {
                Found::Missing => self.hold_manifest_as_blob(name, digest).await,
                found => Ok(found),
            },
        }
    }

    /// The manifest, committed and rescued where it was condemned.
    async fn hold_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Found> {
        let key = layout::manifest(name, digest);
        let mut found = self.load::<ManifestRecord>(&key).await?;
        for attempt in 0..ATTEMPTS {
            let Some(record) = found.record.as_ref().filter(|record| record.is_visible()) else {
                return Ok(Found::Missing);
            };
            let held = Found::Manifest { size: record.bytes.len() as u64, depth: record.depth };
            if record.state == ManifestState::Committed {
                return Ok(held);
            }
            let rescued = record.in_state(ManifestState::Committed);
            match self.swap(&key, found.version.as_ref(), &rescued).await? {
                Swap::Won(_) => return Ok(held),
                Swap::Lost(now) => found = now,
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many changes of one manifest at once"))
    }

    /// A manifest that an image names as a blob is made one: its bytes are published under its digest,
    /// so that the rules for blobs hold without exception.
    async fn hold_manifest_as_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Found> {
        let Some(manifest) = self.stored_manifest(name, digest).await? else { return Ok(Found::Missing) };
        let bytes = manifest.bytes.clone();
        let body = stream::iter([Ok(bytes)]);
        self.put_blob(name, digest, Some(manifest.descriptor.size), None, body).await?;
        self.hold_blob(name, digest).await
    }

    /// The blob through its link, both live and agreeing on the bytes.
    async fn hold_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Found> {
        if self.broken(Mutation::VerifyBlobBeforeLink) {
            return self.hold_blob_in_the_wrong_order(name, digest).await;
        }
        let link_key = layout::link(digest, name);
        let mut link = self.load::<Pointer>(&link_key).await?;
        for attempt in 0..ATTEMPTS {
            let Some((claim, _)) = visible(&link) else { return Ok(Found::Missing) };
            let mut claim = claim.clone();
            if claim.state != Life::Live && !self.broken(Mutation::CondemnedLinkNotRescued) {
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
            if self.broken(Mutation::VerifyLinkOnly) {
                return Ok(Found::Blob { size: claim.size });
            }
            let Some(blob) = self.rescue_blob(digest).await? else { return Ok(Found::Missing) };
            if blob.inst == claim.inst || self.broken(Mutation::IgnoreLinkInstance) {
                return Ok(Found::Blob { size: blob.size });
            }
            match self.swap(&link_key, link.version.as_ref(), &blob).await? {
                Swap::Won(_) => return Ok(Found::Blob { size: blob.size }),
                Swap::Lost(now) => link = now,
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many changes of one blob at once"))
    }

    /// The mistake of r6, for the test of the tests.
    async fn hold_blob_in_the_wrong_order(&self, name: &RepositoryName, digest: &Digest) -> Result<Found> {
        let Some(blob) = self.rescue_blob(digest).await? else { return Ok(Found::Missing) };
        let link_key = layout::link(digest, name);
        let link = self.load::<Pointer>(&link_key).await?;
        let Some((claim, _)) = visible(&link) else { return Ok(Found::Missing) };
        if claim.state != Life::Live || claim.inst != blob.inst {
            let repaired = Pointer { state: Life::Live, ..blob.clone() };
            self.swap(&link_key, link.version.as_ref(), &repaired).await?;
        }
        Ok(Found::Blob { size: blob.size })
    }
}
