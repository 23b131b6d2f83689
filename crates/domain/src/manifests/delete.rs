//! Deleting manifests: `protocol.md` 2.7, and the search for what names something.

use entrepot_oci::{Digest, Reference, RepositoryName, Tag, manifest};
use entrepot_storage::{Key, Version};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::error::{Error, Result};
use crate::layout;
use crate::ports::CacheKey;
use crate::record::{
    ATTEMPTS, Class, Life, ManifestRecord, ManifestState, RepositoryEntry, Slot, Swap, TagRecord,
};
use crate::registry::{Inner, Registry};

/// Records read at once in a search.
const PARALLEL: usize = 32;
/// Keys asked for at once in a search.
const PAGE: usize = 1000;

impl Registry {
    /// Deletes a manifest with every tag that names it. Fails with [`Error::StillReferenced`] while an
    /// index of the repository names it.
    pub async fn delete_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        self.0.deletable(name)?;
        self.0.delete_manifest(name, digest).await
    }
}

impl Inner {
    async fn delete_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let key = layout::manifest(name, digest);
        for attempt in 0..ATTEMPTS {
            let found = self.load::<ManifestRecord>(&key).await?;
            let Some(record) = found.record.as_ref().filter(|record| record.is_visible()) else {
                self.forget_referrer(name, digest, &found).await?;
                if attempt > 0 {
                    // Another delete or a collector finished what this one began.
                    return Ok(());
                }
                return Err(self.manifest_unknown(name, &Reference::Digest(*digest)).await?);
            };
            // Asked here so that no tag is touched in vain; asked again below, where it counts.
            if let Some(by) = self.manifest_naming(name, digest, true).await? {
                return Err(Error::StillReferenced { by });
            }
            self.cache.invalidate(&CacheKey::Manifest(name.clone(), *digest)).await;
            let condemned = record.in_state(ManifestState::Condemned);
            if let Swap::Won(version) = self.swap(&key, found.version.as_ref(), &condemned).await?
                && self.kill_manifest(name, digest, record, version).await?
            {
                return Ok(());
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many changes of one manifest at once"))
    }

    /// Steps 2 to 4, after the condemnation was answered. False where the kill was lost and the manifest
    /// is still there: a push rescued it, or a collector that saw an older state healed it. The two look
    /// alike, and a delete that was acknowledged for the second would never have happened.
    async fn kill_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        record: &ManifestRecord,
        condemned: Version,
    ) -> Result<bool> {
        let key = layout::manifest(name, digest);
        for tag in self.tags_naming(name, digest).await? {
            self.untag(name, &tag, digest).await?;
        }
        if let Some(by) = self.manifest_naming(name, digest, true).await? {
            self.swap(&key, Some(&condemned), &record.in_state(ManifestState::Committed)).await?;
            return Err(Error::StillReferenced { by });
        }
        let dead = record.in_state(ManifestState::Dead);
        let killed = self.swap(&key, Some(&condemned), &dead).await?;
        self.cache.invalidate(&CacheKey::Manifest(name.clone(), *digest)).await;
        if let Swap::Lost(now) = killed {
            return Ok(!now.record.is_some_and(|record| record.is_visible()));
        }
        if let Some(subject) = &record.subject {
            self.unlist(name, subject, digest).await?;
        }
        self.leave_catalog(name).await?;
        Ok(true)
    }

    /// Finishes what an interrupted delete of a referrer left behind.
    async fn forget_referrer(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        found: &Slot<ManifestRecord>,
    ) -> Result<()> {
        let dead = found.record.as_ref().filter(|record| record.state == ManifestState::Dead);
        match dead.and_then(|record| record.subject) {
            Some(subject) => self.unlist(name, &subject, digest).await,
            None => Ok(()),
        }
    }

    /// Takes a dead manifest out of its subject's referrers. A push that revived it meanwhile may have
    /// found the old entry in place and left it: then the entry is made again.
    async fn unlist(&self, name: &RepositoryName, subject: &Digest, digest: &Digest) -> Result<()> {
        self.remove_referrer(name, subject, digest).await?;
        let found = self.load::<ManifestRecord>(&layout::manifest(name, digest)).await?;
        let Some(revived) = found.record.filter(ManifestRecord::is_visible) else { return Ok(()) };
        let parsed = manifest::parse(Some(&revived.media_type), &revived.bytes)?;
        let entry = manifest::referrer_descriptor(&parsed, *digest, revived.bytes.len() as u64);
        self.enter_referrer(name, subject, &entry).await
    }

    /// Takes `digest` out of what a tag names and is about to name.
    async fn untag(&self, name: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<()> {
        let key = layout::tag(name, tag);
        self.cache.invalidate(&CacheKey::Tag(name.clone(), tag.clone())).await;
        for attempt in 0..ATTEMPTS {
            let found = self.load::<TagRecord>(&key).await?;
            let Some(mut record) = found.record.filter(|record| record.names(digest)) else { return Ok(()) };
            record.next.retain(|announced| announced.digest != *digest);
            if record.cur.as_ref().is_some_and(|cur| cur.digest == *digest) {
                record.prev = record.cur.take().map(|before| before.digest);
            }
            let swap = self.swap(&key, found.version.as_ref(), &record).await?;
            self.cache.invalidate(&CacheKey::Tag(name.clone(), tag.clone())).await;
            if swap.is_won() {
                return Ok(());
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many pushes to one tag at once"))
    }

    /// A manifest of the repository, in any state but dead, that names `digest`. `indexes_only` where
    /// only an index can. A record that cannot be read ends the search with its error: what cannot be
    /// seen might name it.
    pub(crate) async fn manifest_naming(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        indexes_only: bool,
    ) -> Result<Option<Digest>> {
        let wanted = |class: Class| !class.is_dead() && (class.may_name_manifests() || !indexes_only);
        let prefix = layout::manifests_of(name);
        let mut after: Option<String> = None;
        loop {
            let (keys, more) = self.list_records(&prefix, after.as_deref(), wanted).await?;
            let naming = stream::iter(keys.keys)
                .map(|key| async move {
                    let found = self.load::<ManifestRecord>(&key).await?;
                    let names = found.record.is_some_and(|record| {
                        record.state != ManifestState::Dead && record.refs.contains(digest)
                    });
                    Ok::<_, Error>(names.then(|| layout::manifest_digest(&key)).flatten())
                })
                .buffer_unordered(PARALLEL)
                .try_filter_map(|by| async move { Ok(by) });
            if let Some(by) = std::pin::pin!(naming).try_next().await? {
                return Ok(Some(by));
            }
            if !more {
                return Ok(None);
            }
            after = keys.last;
        }
    }

    /// The tags of the repository that name `digest`, now or soon.
    pub(crate) async fn tags_naming(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Tag>> {
        let prefix = layout::tags_of(name);
        let (mut tags, mut after): (Vec<Tag>, Option<String>) = (Vec::new(), None);
        loop {
            let (keys, more) = self.list_records(&prefix, after.as_deref(), |class| !class.is_dead()).await?;
            let mut naming: Vec<Tag> = stream::iter(keys.keys)
                .map(|key| async move {
                    let found = self.load::<TagRecord>(&key).await?;
                    let names = found.record.is_some_and(|record| record.names(digest));
                    Ok::<_, Error>(names.then(|| layout::last_segment(&key).parse().ok()).flatten())
                })
                .buffer_unordered(self.config.tag_lookups_in_flight.max(1))
                .try_filter_map(|tag| async move { Ok(tag) })
                .try_collect()
                .await?;
            naming.sort();
            tags.append(&mut naming);
            if !more {
                return Ok(tags);
            }
            after = keys.last;
        }
    }

    /// One page of a listing, filtered by what the records' lengths tell.
    async fn list_records(
        &self,
        prefix: &str,
        after: Option<&str>,
        wanted: impl Fn(Class) -> bool,
    ) -> Result<(ListedKeys, bool)> {
        let page = self.store.list(prefix, after, PAGE).await?;
        let last = page.objects.last().map(|meta| meta.key.as_str().to_owned());
        let more = page.more && last.is_some();
        let counting = page.objects.into_iter().filter(|meta| wanted(Class::of_size(meta.size)));
        Ok((ListedKeys { keys: counting.map(|meta| meta.key).collect(), last }, more))
    }

    /// Takes a repository without manifests out of the catalog: condemn, search, kill, as everywhere.
    pub(crate) async fn leave_catalog(&self, name: &RepositoryName) -> Result<()> {
        if self.holds_manifests(name).await? {
            return Ok(());
        }
        let key = layout::repository(name);
        let found = self.load::<RepositoryEntry>(&key).await?;
        if !found.record.is_some_and(|entry| entry.state != Life::Dead) {
            return Ok(());
        }
        // Still listed while condemned, so that a crash between here and the end hides nothing.
        let condemned = RepositoryEntry { state: Life::Condemned };
        let swap = self.swap(&key, found.version.as_ref(), &condemned).await?;
        let Swap::Won(version) = swap else { return Ok(()) };
        // A push announces its manifest before it reads the catalog entry: either it is found here, or
        // the push finds the entry condemned and rescues it, and then it cannot be killed.
        let next = if self.holds_manifests(name).await? { Life::Live } else { Life::Dead };
        self.swap(&key, Some(&version), &RepositoryEntry { state: next }).await?;
        Ok(())
    }

    async fn holds_manifests(&self, name: &RepositoryName) -> Result<bool> {
        let prefix = layout::manifests_of(name);
        let mut after: Option<String> = None;
        loop {
            let (keys, more) = self.list_records(&prefix, after.as_deref(), |class| !class.is_dead()).await?;
            if !keys.keys.is_empty() || !more {
                return Ok(!keys.keys.is_empty());
            }
            after = keys.last;
        }
    }
}

struct ListedKeys {
    keys: Vec<Key>,
    last: Option<String>,
}
