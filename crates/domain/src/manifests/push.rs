//! Pushing a manifest: `protocol.md` 2.5. Announce the tags and the manifest, verify what it names, commit
//! it, move the tags.
//!
//! An announcement tells every collector "I am about to name this"; only what was announced before it was
//! verified may be committed, and only against the version our own announcement got (r10).

use std::time::{SystemTime, UNIX_EPOCH};

use entrepot_oci::manifest::{self, Kind, Manifest};
use entrepot_oci::{Descriptor, Digest, Reference, RepositoryName, Tag};
use entrepot_storage::Version;
use futures_util::future::{try_join, try_join_all};

use super::read::served;
use super::{ManifestPush, ManifestPushed, TagCondition, rules};
use crate::error::{Error, Result};
use crate::layout;
use crate::mutation::Mutation;
use crate::ports::{CacheKey, CacheValue};
use crate::record::{
    ATTEMPTS, Announcement, Life, ManifestRecord, ManifestState, Nonce, RepositoryEntry, Slot, Swap,
    TagRecord,
};
use crate::registry::{Inner, Registry};

/// Announcements older than this were left behind by a crash and make room for new ones, in seconds.
const STALE_ANNOUNCEMENT_SECONDS: u64 = 600;

impl Registry {
    /// Stores a manifest and moves its tags. Atomic for readers: a tag never names what cannot be pulled.
    ///
    /// Fails with [`Error::ReferencesUnknown`] where the repository lacks something the manifest names.
    /// Repeating the request is safe, and writes nothing where everything is in place.
    pub async fn put_manifest(&self, name: &RepositoryName, push: ManifestPush) -> Result<ManifestPushed> {
        let inner = &self.0;
        inner.writable(name)?;
        let limit = inner.config.max_manifest_bytes;
        if push.bytes.len() as u64 > limit {
            return Err(Error::TooLarge { limit });
        }
        let parsed = rules::read(&inner.config.manifests, push.content_type.as_ref(), &push.bytes)?;
        rules::check_urls(&inner.config.manifests, &parsed)?;
        let pushing = Pushing::new(inner, name, push, parsed)?;
        pushing.run().await?;
        Ok(ManifestPushed { digest: pushing.digest, subject: pushing.pending.subject, tags: pushing.tags })
    }
}

/// One push, with everything that stays the same over its attempts.
struct Pushing<'a> {
    inner: &'a Inner,
    name: &'a RepositoryName,
    digest: Digest,
    tags: Vec<Tag>,
    condition: TagCondition,
    parsed: Manifest,
    pending: ManifestRecord,
    /// Names this push in the tags' announcements.
    push: Nonce,
}

/// A tag with the version it was last seen or left in.
struct TagSlot {
    record: TagRecord,
    version: Option<Version>,
}

/// How one attempt ended.
enum Outcome {
    Done,
    /// A race was lost; everything is read again.
    Again,
}

impl<'a> Pushing<'a> {
    fn new(inner: &'a Inner, name: &'a RepositoryName, push: ManifestPush, parsed: Manifest) -> Result<Self> {
        let ManifestPush { reference, mut tags, bytes, condition, .. } = push;
        let digest = match &reference {
            Reference::Tag(_) => Digest::sha256(&bytes),
            Reference::Digest(digest) => Digest::of(digest.algorithm(), &bytes),
        };
        match reference {
            Reference::Digest(expected) if expected != digest => {
                return Err(Error::DigestMismatch { expected, computed: digest });
            }
            Reference::Digest(_) => {}
            Reference::Tag(tag) => tags.push(tag),
        }
        tags.sort();
        tags.dedup();
        let limit = inner.config.max_tags_per_push;
        if tags.len() > limit {
            return Err(Error::TooManyTags { limit });
        }
        let mut refs: Vec<Digest> = parsed.references.iter().map(|named| named.descriptor.digest).collect();
        refs.sort();
        refs.dedup();
        let pending = ManifestRecord {
            state: ManifestState::Pending,
            media_type: parsed.media_type.clone(),
            refs,
            is_index: parsed.kind == Kind::Index,
            depth: 0,
            subject: parsed.subject.as_ref().map(|subject| subject.digest),
            bytes,
        };
        Ok(Self { inner, name, digest, tags, condition, parsed, pending, push: inner.nonce() })
    }

    async fn run(&self) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            match self.attempt().await {
                Ok(Outcome::Done) => return Ok(()),
                Ok(Outcome::Again) => self.inner.pause(attempt).await,
                Err(error) => {
                    self.withdraw_tags().await;
                    return Err(error);
                }
            }
        }
        self.withdraw_tags().await;
        Err(Error::busy("too many pushes of one tag or manifest at once"))
    }

    async fn attempt(&self) -> Result<Outcome> {
        let (tags, found) = try_join(self.load_tags(), self.load_manifest()).await?;
        for (tag, slot) in self.tags.iter().zip(&tags) {
            self.check_condition(tag, &slot.record)?;
        }
        let Some((tags, announced)) = self.announce(tags, found).await? else { return Ok(Outcome::Again) };
        let Announced::Verify(version) = announced else {
            return self.conclude(tags, announced).await;
        };
        let verified = try_join(self.inner.verify(self.name, &self.parsed), self.enter_catalog()).await;
        let (depth, ()) = match verified {
            Ok(verified) => verified,
            Err(error) => {
                self.withdraw_manifest(version).await;
                return Err(error);
            }
        };
        let Some(committed) = self.commit(version, depth).await? else { return Ok(Outcome::Again) };
        self.conclude(tags, committed).await
    }

    async fn load_tags(&self) -> Result<Vec<TagSlot>> {
        let load = |tag| async move {
            let found = self.inner.load::<TagRecord>(&layout::tag(self.name, tag)).await?;
            Ok(TagSlot { record: found.record.unwrap_or_default(), version: found.version })
        };
        try_join_all(self.tags.iter().map(load)).await
    }

    async fn load_manifest(&self) -> Result<Slot<ManifestRecord>> {
        self.inner.load(&layout::manifest(self.name, &self.digest)).await
    }

    fn check_condition(&self, tag: &Tag, record: &TagRecord) -> Result<()> {
        let cur = record.cur.as_ref().map(|cur| cur.digest);
        let holds = match &self.condition {
            TagCondition::None => true,
            TagCondition::Absent => cur.is_none(),
            TagCondition::Current(wanted) if wanted.is_empty() => cur.is_some(),
            TagCondition::Current(wanted) => cur.is_some_and(|cur| wanted.contains(&cur)),
        };
        if holds { Ok(()) } else { Err(Error::ConditionFailed { tag: tag.to_string() }) }
    }

    /// Steps 1 and 2. `None` after a lost race.
    async fn announce(
        &self,
        tags: Vec<TagSlot>,
        mut found: Slot<ManifestRecord>,
    ) -> Result<Option<(Vec<TagSlot>, Announced)>> {
        let in_place = |slot: &TagSlot| slot.record.cur.as_ref().is_some_and(|cur| cur.digest == self.digest);
        let is_there =
            |slot: &Slot<ManifestRecord>| slot.record.as_ref().is_some_and(ManifestRecord::is_visible);
        if !tags.is_empty() && tags.iter().all(in_place) {
            // The tag was read before: only a manifest read now can be relied on.
            found = self.load_manifest().await?;
            if state_of(&found) == Some(ManifestState::Committed) {
                return Ok(Some((tags, Announced::InPlace)));
            }
        }
        if !is_there(&found) {
            return self.announce_both(tags, found).await;
        }
        if self.inner.broken(Mutation::TagMovedAfterEarlierManifestRead) {
            return Ok(Some((tags, Announced::Committed)));
        }
        let Some(tags) = self.announce_tags(tags).await? else { return Ok(None) };
        if !tags.is_empty() {
            // Announced first, read afterwards: a collector that began before now sees the announcement.
            found = self.load_manifest().await?;
        }
        match state_of(&found) {
            Some(ManifestState::Committed) => Ok(Some((tags, Announced::Committed))),
            Some(ManifestState::Condemned) => {
                let rescued = found.record.map(|record| record.in_state(ManifestState::Committed));
                let rescued = rescued.expect("a state was read from it");
                let swap = self.swap_manifest(found.version.as_ref(), &rescued).await?;
                Ok(swap.is_won().then_some((tags, Announced::Committed)))
            }
            _ => match self.swap_manifest(found.version.as_ref(), &self.pending).await? {
                Swap::Won(version) => Ok(Some((tags, Announced::Verify(Some(version))))),
                Swap::Lost(_) => Ok(None),
            },
        }
    }

    /// Tags and manifest side by side, where the manifest is not there yet.
    async fn announce_both(
        &self,
        tags: Vec<TagSlot>,
        found: Slot<ManifestRecord>,
    ) -> Result<Option<(Vec<TagSlot>, Announced)>> {
        if self.inner.broken(Mutation::ManifestNotAnnounced) {
            let tags = self.announce_tags(tags).await?;
            return Ok(tags.map(|tags| (tags, Announced::Verify(found.version))));
        }
        let announce = self.swap_manifest(found.version.as_ref(), &self.pending);
        match try_join(self.announce_tags(tags), announce).await? {
            (Some(tags), Swap::Won(version)) => Ok(Some((tags, Announced::Verify(Some(version))))),
            _ => Ok(None),
        }
    }

    async fn swap_manifest(
        &self,
        expected: Option<&Version>,
        record: &ManifestRecord,
    ) -> Result<Swap<ManifestRecord>> {
        self.inner.swap(&layout::manifest(self.name, &self.digest), expected, record).await
    }

    /// Adds this push to every tag's announcements. `None` if any of them was lost.
    async fn announce_tags(&self, tags: Vec<TagSlot>) -> Result<Option<Vec<TagSlot>>> {
        if self.inner.broken(Mutation::TagWithoutAnnouncement) {
            return Ok(Some(tags));
        }
        let pairs = self.tags.iter().zip(tags);
        let announced = try_join_all(pairs.map(|(tag, slot)| self.announce_tag(tag, slot))).await?;
        Ok(announced.into_iter().collect())
    }

    async fn announce_tag(&self, tag: &Tag, mut slot: TagSlot) -> Result<Option<TagSlot>> {
        if slot.record.next.iter().any(|announced| announced.push == self.push) {
            return Ok(Some(slot));
        }
        let now = seconds(self.inner.clock.now());
        if slot.record.next.len() >= TagRecord::MAX_ANNOUNCEMENTS {
            slot.record.next.retain(|left| now.saturating_sub(left.at) < STALE_ANNOUNCEMENT_SECONDS);
        }
        if slot.record.next.len() >= TagRecord::MAX_ANNOUNCEMENTS {
            return Err(Error::busy("too many pushes to one tag at once"));
        }
        slot.record.next.push(Announcement { digest: self.digest, push: self.push, at: now });
        match self.inner.swap(&layout::tag(self.name, tag), slot.version.as_ref(), &slot.record).await? {
            Swap::Won(version) => Ok(Some(TagSlot { record: slot.record, version: Some(version) })),
            Swap::Lost(_) => Ok(None),
        }
    }

    /// Step 5. `None` where the announcement was overtaken and everything has to be verified again.
    async fn commit(&self, announced: Option<Version>, depth: u32) -> Result<Option<Announced>> {
        let committed = ManifestRecord { state: ManifestState::Committed, depth, ..self.pending.clone() };
        let version = match self.inner.broken(Mutation::CommitAgainstRereadVersion) {
            true => self.load_manifest().await?.version,
            false => announced,
        };
        match self.swap_manifest(version.as_ref(), &committed).await? {
            Swap::Won(_) => Ok(Some(Announced::Committed)),
            Swap::Lost(now) if state_of(&now) == Some(ManifestState::Committed) => {
                Ok(Some(Announced::Committed))
            }
            Swap::Lost(_) => Ok(None),
        }
    }

    /// Step 6: moves the tags, then what is derived from the manifest, then the cache.
    async fn conclude(&self, tags: Vec<TagSlot>, announced: Announced) -> Result<Outcome> {
        if let Announced::Committed = announced {
            let moves = self.tags.iter().zip(tags).map(|(tag, slot)| self.move_tag(tag, slot));
            if !try_join_all(moves).await?.into_iter().all(|moved| moved) {
                return Ok(Outcome::Again);
            }
        }
        // Also where everything was in place: the push that put it there may have stopped before this.
        self.list_referrer().await?;
        self.remember().await;
        Ok(Outcome::Done)
    }

    async fn move_tag(&self, tag: &Tag, mut slot: TagSlot) -> Result<bool> {
        let key = layout::tag(self.name, tag);
        for attempt in 0..ATTEMPTS {
            self.check_condition(tag, &slot.record)?;
            let mut moved = slot.record.clone();
            moved.next.retain(|announced| announced.push != self.push);
            moved.prev = moved.cur.take().map(|before| before.digest);
            moved.cur = Some(self.descriptor());
            moved.seq += 1;
            match self.inner.swap(&key, slot.version.as_ref(), &moved).await? {
                Swap::Won(_) => return Ok(true),
                Swap::Lost(now) => {
                    let record = now.record.unwrap_or_default();
                    let announced = record.next.iter().any(|announced| announced.push == self.push);
                    if !announced && !self.inner.broken(Mutation::TagWithoutAnnouncement) {
                        return Ok(false);
                    }
                    slot = TagSlot { record, version: now.version };
                }
            }
            self.inner.pause(attempt).await;
        }
        Ok(false)
    }

    fn descriptor(&self) -> Descriptor {
        self.pending.descriptor(self.digest)
    }

    /// Lists this manifest among the referrers of its subject, whether or not the subject exists.
    async fn list_referrer(&self) -> Result<()> {
        let Some(subject) = self.pending.subject else { return Ok(()) };
        let size = self.pending.bytes.len() as u64;
        let entry = manifest::referrer_descriptor(&self.parsed, self.digest, size);
        self.inner.enter_referrer(self.name, &subject, &entry).await
    }

    /// Enters the repository into the catalog. Runs after the manifest was announced: whoever takes the
    /// repository out looks for manifests afterwards and finds the announcement.
    async fn enter_catalog(&self) -> Result<()> {
        self.inner.enter_catalog(self.name).await
    }

    async fn remember(&self) {
        let manifest = served(self.pending.clone(), self.digest);
        let config = &self.inner.config;
        if !config.tag_ttl.is_zero() {
            for tag in &self.tags {
                let key = CacheKey::Tag(self.name.clone(), tag.clone());
                let value = CacheValue::Tag(std::sync::Arc::clone(&manifest.descriptor));
                self.inner.cache.put(key, value, config.tag_ttl).await;
            }
        }
        let key = CacheKey::Manifest(self.name.clone(), self.digest);
        self.inner.cache.put(key, CacheValue::Manifest(manifest), config.manifest_ttl).await;
    }

    /// Takes back the announcement of a manifest that was refused. Best effort: what stays is invisible.
    async fn withdraw_manifest(&self, announced: Option<Version>) {
        let dead = self.pending.in_state(ManifestState::Dead);
        if let Err(error) = self.swap_manifest(announced.as_ref(), &dead).await {
            tracing::debug!(%error, "an announcement stays behind");
        }
    }

    /// Takes back this push's announcements. Best effort, as above.
    async fn withdraw_tags(&self) {
        for tag in &self.tags {
            let key = layout::tag(self.name, tag);
            let Ok(found) = self.inner.load::<TagRecord>(&key).await else { continue };
            let Some(mut record) = found.record else { continue };
            let before = record.next.len();
            record.next.retain(|announced| announced.push != self.push);
            if record.next.len() < before
                && let Err(error) = self.inner.swap(&key, found.version.as_ref(), &record).await
            {
                tracing::debug!(%error, "an announcement stays behind");
            }
        }
    }
}

/// What stands after the announcements.
enum Announced {
    /// Tags and manifest are as the push wants them; nothing was written.
    InPlace,
    /// The manifest is committed; the tags are to be moved.
    Committed,
    /// The manifest is announced under this version and has to be verified.
    Verify(Option<Version>),
}

fn state_of(slot: &Slot<ManifestRecord>) -> Option<ManifestState> {
    slot.record.as_ref().map(|record| record.state)
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Inner {
    /// Makes the catalog entry of `name` live. One read; one write for a repository's first manifest.
    pub(crate) async fn enter_catalog(&self, name: &RepositoryName) -> Result<()> {
        let key = layout::repository(name);
        let mut found = self.load::<RepositoryEntry>(&key).await?;
        for attempt in 0..ATTEMPTS {
            if found.record.as_ref().is_some_and(|entry| entry.state == Life::Live) {
                return Ok(());
            }
            let entry = RepositoryEntry { state: Life::Live };
            match self.swap(&key, found.version.as_ref(), &entry).await? {
                Swap::Won(_) => return Ok(()),
                Swap::Lost(now) => found = now,
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many changes of one repository at once"))
    }
}
