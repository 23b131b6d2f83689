//! Referrers: manifests that name another as their subject.
//!
//! Entries are derived from manifests and lie under their subject, so a listing reads no more than its
//! page. A subject need not exist.

use std::collections::HashSet;

use bytes::Bytes;
use entrepot_oci::manifest::{self, Kind};
use entrepot_oci::{Descriptor, Digest, RepositoryName, Tag};
use entrepot_storage::{PutMode, StorageDriverExt};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::catalog::{Listing, Page};
use crate::error::{Error, Result};
use crate::layout;
use crate::registry::{Inner, Registry};

/// Entries read at once.
const PARALLEL: usize = 32;

impl Registry {
    /// The referrers of `subject`, those of one of the artifact types in `filter` where there is any.
    ///
    /// Entries kept by clients under the fallback tag are on the first page, without duplicates. A page
    /// ends early when it would exceed the size a manifest may have.
    pub async fn list_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        filter: &[String],
        page: &Page,
    ) -> Result<Listing<Descriptor>> {
        let inner = &self.0;
        let mut entries = Vec::new();
        if page.last.is_none() {
            entries = inner.fallback_referrers(name, subject).await?;
        }
        let known: HashSet<Digest> = inner.fallback_digests(name, subject, page, &entries).await?;
        let listed = inner.stored_referrers(name, subject, page, &known).await?;
        entries.extend(listed.entries);
        let wanted = |entry: &Descriptor| {
            filter.is_empty() || entry.artifact_type.as_ref().is_some_and(|kind| filter.contains(kind))
        };
        entries.retain(wanted);
        Ok(Listing { entries, next: listed.next })
    }
}

impl Inner {
    pub(crate) async fn enter_referrer(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        entry: &Descriptor,
    ) -> Result<()> {
        let key = layout::referrer(name, subject, &entry.digest);
        let body = serde_json::to_vec(entry).expect("a descriptor is made of strings and numbers");
        match self.store.put(&key, Bytes::from(body), PutMode::IfAbsent).await {
            Ok(_) => Ok(()),
            // The entry follows from the manifest's bytes: whoever wrote it wrote the same.
            Err(error) if error.is_lost_condition() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn remove_referrer(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<()> {
        Ok(self.store.delete(&layout::referrer(name, subject, referrer), None).await?)
    }

    async fn stored_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        page: &Page,
        known: &HashSet<Digest>,
    ) -> Result<Listing<Descriptor>> {
        let prefix = layout::referrers_of(name, subject);
        let after = page.last.as_ref().map(|last| format!("{prefix}{}", segment_of(last)));
        let found = self.store.list(&prefix, after.as_deref(), page.limit.min(1000)).await?;
        let entries: Vec<(String, Option<Descriptor>)> = stream::iter(found.objects)
            .map(|meta| async move {
                let segment = layout::last_segment(&meta.key).to_owned();
                let entry = match self.store.read(&meta.key).await? {
                    None => None,
                    Some((bytes, _)) => Some(serde_json::from_slice(&bytes).map_err(|error| {
                        Error::Record { key: meta.key.to_string(), reason: error.to_string() }
                    })?),
                };
                Ok::<_, Error>((segment, entry))
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(self.cut(entries, found.more, known))
    }

    /// Cuts a page to what an answer may hold.
    fn cut(
        &self,
        entries: Vec<(String, Option<Descriptor>)>,
        more: bool,
        known: &HashSet<Digest>,
    ) -> Listing<Descriptor> {
        let limit = usize::try_from(self.config.max_manifest_bytes / 2).unwrap_or(usize::MAX);
        let (mut kept, mut bytes, mut last) = (Vec::new(), 0, None);
        for (segment, entry) in entries {
            let Some(entry) = entry.filter(|entry| !known.contains(&entry.digest)) else {
                last = Some(segment);
                continue;
            };
            let size = approximate_size(&entry);
            if !kept.is_empty() && bytes + size > limit {
                return Listing { entries: kept, next: last.and_then(digest_of) };
            }
            bytes += size;
            kept.push(entry);
            last = Some(segment);
        }
        Listing { entries: kept, next: last.filter(|_| more).and_then(digest_of) }
    }

    /// Digests the fallback tag already listed: on later pages it has to be asked again.
    async fn fallback_digests(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        page: &Page,
        first: &[Descriptor],
    ) -> Result<HashSet<Digest>> {
        if page.last.is_none() {
            return Ok(first.iter().map(|entry| entry.digest).collect());
        }
        let entries = self.fallback_referrers(name, subject).await?;
        Ok(entries.into_iter().map(|entry| entry.digest).collect())
    }

    /// What clients without the referrers API wrote under the tag made for it.
    async fn fallback_referrers(&self, name: &RepositoryName, subject: &Digest) -> Result<Vec<Descriptor>> {
        let tag = Tag::referrers_fallback(subject);
        let index = match self.resolve(name, &tag).await {
            Ok(descriptor) => self.committed_manifest(name, &descriptor.digest).await?,
            Err(Error::ManifestUnknown { .. } | Error::RepositoryUnknown(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(index) = index else { return Ok(Vec::new()) };
        let parsed = manifest::parse(Some(&index.descriptor.media_type), &index.bytes);
        let Ok(parsed) = parsed else { return Ok(Vec::new()) };
        if parsed.kind != Kind::Index {
            return Ok(Vec::new());
        }
        Ok(parsed.references.into_iter().map(|reference| reference.descriptor).collect())
    }
}

/// The segment of a referrer's key. Callers name a page's end by a digest; any other text is only a place
/// to begin after.
fn segment_of(last: &str) -> String {
    last.parse().map_or_else(|_| last.to_owned(), |digest: Digest| layout::dotted(&digest))
}

/// Undoes [`segment_of`].
fn digest_of(segment: String) -> Option<String> {
    layout::undotted(&segment).map(|digest| digest.to_string())
}

fn approximate_size(entry: &Descriptor) -> usize {
    let annotations: usize = entry.annotations.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    256 + entry.artifact_type.as_ref().map_or(0, String::len) + annotations
}
