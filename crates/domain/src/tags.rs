//! Tags: listing, deleting, and which of them name a manifest.

use entrepot_oci::{Digest, Reference, RepositoryName, Tag};

use crate::catalog::{Listing, Page};
use crate::error::{Error, Result};
use crate::layout;
use crate::ports::CacheKey;
use crate::record::{ATTEMPTS, Class, TagRecord};
use crate::registry::{Inner, Registry};

/// What one LIST answers, whatever the store.
const LIST_LIMIT: usize = 1000;

impl Registry {
    /// Deletes a tag (`protocol.md` 2.6). What it named stays, and so do other tags.
    pub async fn delete_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<()> {
        self.0.deletable(name)?;
        let key = layout::tag(name, tag);
        let cache_key = CacheKey::Tag(name.clone(), tag.clone());
        self.0.cache.invalidate(&cache_key).await;
        for attempt in 0..ATTEMPTS {
            let found = self.0.load::<TagRecord>(&key).await?;
            let Some(mut record) = found.record.filter(|record| record.cur.is_some()) else {
                return Err(self.0.manifest_unknown(name, &Reference::Tag(tag.clone())).await?);
            };
            record.prev = record.cur.take().map(|before| before.digest);
            let swap = self.0.swap(&key, found.version.as_ref(), &record).await?;
            self.0.cache.invalidate(&cache_key).await;
            if swap.is_won() {
                return Ok(());
            }
            self.0.pause(attempt).await;
        }
        Err(Error::busy("too many pushes to one tag at once"))
    }

    /// Tags in byte order. One LIST per 1,000 tags and no other request, however many there are.
    pub async fn list_tags(&self, name: &RepositoryName, page: &Page) -> Result<Listing<String>> {
        let prefix = layout::tags_of(name);
        let listing = self.0.list_names(&prefix, page, |segment| Some(segment.to_owned())).await?;
        if listing.entries.is_empty() && !self.0.is_known(name).await? {
            return Err(Error::RepositoryUnknown(name.clone()));
        }
        Ok(listing)
    }

    /// The tags that name a manifest now. Reads every tag of the repository.
    pub async fn tags_of(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Tag>> {
        if self.0.committed_manifest(name, digest).await?.is_none() {
            return Err(self.0.manifest_unknown(name, &Reference::Digest(*digest)).await?);
        }
        let mut naming = Vec::new();
        for tag in self.0.tags_naming(name, digest).await? {
            let found = self.0.load::<TagRecord>(&layout::tag(name, &tag)).await?;
            if found.record.and_then(|record| record.cur).is_some_and(|cur| cur.digest == *digest) {
                naming.push(tag);
            }
        }
        Ok(naming)
    }
}

impl Inner {
    /// Names of the records under `prefix` that readers see, from after `page.last`, at most
    /// `page.limit` of them. Tolerates stores that answer `start_after` loosely.
    pub(crate) async fn list_names(
        &self,
        prefix: &str,
        page: &Page,
        name_of: impl Fn(&str) -> Option<String>,
    ) -> Result<Listing<String>> {
        if page.limit == 0 {
            return Ok(Listing { entries: Vec::new(), next: None });
        }
        let mut entries = Vec::new();
        let mut after = page.last.as_ref().map(|last| format!("{prefix}{last}"));
        // One more than wanted tells whether there is a next page.
        let mut wanted = page.limit.saturating_add(1).min(LIST_LIMIT);
        loop {
            let found = self.store.list(prefix, after.as_deref(), wanted).await?;
            let last = found.objects.last().map(|meta| meta.key.as_str().to_owned());
            for meta in &found.objects {
                let seen = after.as_deref().is_some_and(|after| meta.key.as_str() <= after);
                if seen || !Class::of_size(meta.size).is_visible() {
                    continue;
                }
                if let Some(name) = meta.key.as_str().strip_prefix(prefix).and_then(&name_of) {
                    entries.push(name);
                }
            }
            let ended = !found.more || last.is_none();
            if entries.len() > page.limit || ended {
                break;
            }
            after = last;
            // Some did not count, and where many were deleted so do their neighbours: asking for no more
            // than is missing could take one request for each of them.
            wanted = LIST_LIMIT;
        }
        let more = entries.len() > page.limit;
        entries.truncate(page.limit);
        let next = if more { entries.last().cloned() } else { None };
        Ok(Listing { entries, next })
    }
}
