//! The collector of `protocol.md` 2.11, as a double: condemn, then scan, then kill, each by
//! compare-and-swap. No grace, no quarantine, any moment: harsher than a real one may be.
//!
//! A double gives up on the first surprise. What it leaves half done is what a crash would leave.

use bytes::Bytes;
use entrepot_domain::layout;
use entrepot_domain::ports::Entropy;
use entrepot_domain::record::{
    Life, ManifestRecord, ManifestState, Nonce, Pointer, Record, SessionRecord, TagRecord,
};
use entrepot_storage::{Key, PutMode, Result, SharedDriver, StorageDriverExt, Version};

use crate::words::{Blob, Label, Man, Repo};

/// A collector with its own way to the store.
pub(crate) struct Collector<'a> {
    pub(crate) store: &'a SharedDriver,
    pub(crate) entropy: &'a dyn Entropy,
    /// The rule it breaks on purpose.
    pub(crate) careless: Option<Careless>,
}

/// A rule of section 2.11 that a collector can break. Whoever writes one must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Careless {
    /// It scans without having condemned.
    CondemnsNothing,
    /// It scans, and condemns afterwards.
    ScansFirst,
    /// It kills whatever stands there.
    KillsAnyway,
    /// It does not look for parents of a manifest among indexes.
    IgnoresIndexes,
    /// It removes a tombstone whatever stands there now.
    BuriesAnyway,
}

impl Careless {
    pub(crate) const ALL: [Careless; 5] = [
        Careless::CondemnsNothing,
        Careless::ScansFirst,
        Careless::KillsAnyway,
        Careless::IgnoresIndexes,
        Careless::BuriesAnyway,
    ];
}

impl Collector<'_> {
    /// Collects a repository's link if no manifest of the repository names the blob.
    pub(crate) async fn link(&self, repo: Repo, blob: Blob) -> Result<()> {
        let key = layout::link(&blob.digest(), &repo.name());
        let Some((link, version)) = self.load::<Pointer>(&key).await? else { return Ok(()) };
        if link.visible().is_none() {
            return Ok(());
        }
        let Some(condemned) = self.condemn(&key, &version, &link.in_state(Life::Condemned)).await? else {
            return Ok(());
        };
        match self.is_named(repo, &blob.digest()).await? {
            true => self.swap(&key, &condemned, &link.in_state(Life::Live)).await?,
            false => self.kill(&key, &condemned, &link.in_state(Life::Dead)).await?,
        };
        Ok(())
    }

    /// Collects a blob record nobody links to, and its bytes at once.
    pub(crate) async fn blob(&self, blob: Blob) -> Result<()> {
        let key = layout::blob(&blob.digest());
        let Some((record, version)) = self.load::<Pointer>(&key).await? else { return Ok(()) };
        let Some(inst) = record.visible() else { return Ok(()) };
        if self.is(Careless::ScansFirst) && self.is_linked(blob).await? {
            return Ok(());
        }
        let Some(condemned) = self.condemn(&key, &version, &record.in_state(Life::Condemned)).await? else {
            return Ok(());
        };
        if !self.is(Careless::ScansFirst) && self.is_linked(blob).await? {
            self.swap(&key, &condemned, &record.in_state(Life::Live)).await?;
            return Ok(());
        }
        if self.kill(&key, &condemned, &record.in_state(Life::Dead)).await?.is_some() {
            self.store.delete(inst, None).await?;
        }
        Ok(())
    }

    /// Collects a manifest no tag and no index names; drops an announcement without looking.
    pub(crate) async fn manifest(&self, repo: Repo, man: Man) -> Result<()> {
        let key = layout::manifest(&repo.name(), &man.digest());
        let Some((record, version)) = self.load::<ManifestRecord>(&key).await? else { return Ok(()) };
        match record.state {
            ManifestState::Dead => return Ok(()),
            ManifestState::Pending => {
                self.swap(&key, &version, &record.in_state(ManifestState::Dead)).await?;
                return Ok(());
            }
            ManifestState::Committed | ManifestState::Condemned => {}
        }
        let marked = record.in_state(ManifestState::Condemned);
        let Some(condemned) = self.condemn(&key, &version, &marked).await? else { return Ok(()) };
        let is_kept = self.is_tagged(repo, man).await?
            || (!self.is(Careless::IgnoresIndexes) && self.is_named(repo, &man.digest()).await?);
        match is_kept {
            true => self.swap(&key, &condemned, &record.in_state(ManifestState::Committed)).await?,
            false => self.kill(&key, &condemned, &record.in_state(ManifestState::Dead)).await?,
        };
        Ok(())
    }

    /// Drops a tag's announcements as stale.
    pub(crate) async fn announcements(&self, repo: Repo, label: Label) -> Result<()> {
        let key = layout::tag(&repo.name(), &label.tag());
        let Some((mut tag, version)) = self.load::<TagRecord>(&key).await? else { return Ok(()) };
        if !tag.next.is_empty() {
            tag.next.clear();
            self.swap(&key, &version, &tag).await?;
        }
        Ok(())
    }

    /// Removes tombstones of a repository's links, manifests and tags, each by conditional delete.
    pub(crate) async fn tombstones(&self, repo: Repo) -> Result<()> {
        for blob in Blob::ALL {
            let key = layout::link(&blob.digest(), &repo.name());
            self.bury(&key, |link: &Pointer| link.state == Life::Dead).await?;
        }
        for man in Man::ALL {
            let key = layout::manifest(&repo.name(), &man.digest());
            self.bury(&key, |record: &ManifestRecord| record.state == ManifestState::Dead).await?;
        }
        for label in Label::ALL {
            let key = layout::tag(&repo.name(), &label.tag());
            self.bury(&key, |tag: &TagRecord| tag.cur.is_none() && tag.next.is_empty()).await?;
        }
        Ok(())
    }

    /// Removes the record of a session that was published: what 2.2 step 4 allows right after the 201.
    pub(crate) async fn forget_session(&self, id: &str) -> Result<()> {
        let key = layout::upload(id).expect("an id the domain made");
        self.bury(&key, SessionRecord::is_publishing).await
    }

    async fn bury<R: Record>(&self, key: &Key, is_due: impl Fn(&R) -> bool) -> Result<()> {
        match self.load::<R>(key).await? {
            Some((record, version)) if is_due(&record) => {
                let condition = (!self.is(Careless::BuriesAnyway)).then_some(&version);
                self.store.delete(key, condition).await
            }
            _ => Ok(()),
        }
    }

    fn is(&self, careless: Careless) -> bool {
        self.careless == Some(careless)
    }

    /// Marks a record that will be scanned for. Answers the version the kill has to meet.
    async fn condemn<R: Record>(&self, key: &Key, version: &Version, marked: &R) -> Result<Option<Version>> {
        if self.is(Careless::CondemnsNothing) {
            return Ok(Some(version.clone()));
        }
        self.swap(key, version, marked).await
    }

    async fn kill<R: Record>(&self, key: &Key, condemned: &Version, dead: &R) -> Result<Option<Version>> {
        if self.is(Careless::KillsAnyway) {
            return Ok(self.store.put(key, dead.encode(Nonce(0)), PutMode::Overwrite).await?.version);
        }
        self.swap(key, condemned, dead).await
    }

    /// Whether any repository's link to the blob is not dead.
    async fn is_linked(&self, blob: Blob) -> Result<bool> {
        for key in self.keys(&layout::links_of(&blob.digest())).await? {
            if self.load::<Pointer>(&key).await?.is_some_and(|(link, _)| link.state != Life::Dead) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_tagged(&self, repo: Repo, man: Man) -> Result<bool> {
        for key in self.keys(&layout::tags_of(&repo.name())).await? {
            if self.load::<TagRecord>(&key).await?.is_some_and(|(tag, _)| tag.names(&man.digest())) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a manifest in any state but dead names `digest`.
    async fn is_named(&self, repo: Repo, digest: &entrepot_oci::Digest) -> Result<bool> {
        for key in self.keys(&layout::manifests_of(&repo.name())).await? {
            let found = self.load::<ManifestRecord>(&key).await?;
            if found.is_some_and(|(it, _)| it.state != ManifestState::Dead && it.refs.contains(digest)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<Key>> {
        let page = self.store.list(prefix, None, 1000).await?;
        assert!(!page.more, "the programs are small");
        Ok(page.objects.into_iter().map(|meta| meta.key).collect())
    }

    async fn load<R: Record>(&self, key: &Key) -> Result<Option<(R, Version)>> {
        let Some((bytes, meta)) = self.store.read(key).await? else { return Ok(None) };
        let (record, _) = R::decode(&bytes).expect("the domain writes what it can read");
        Ok(Some((record, meta.version.expect("memory knows its versions"))))
    }

    /// One attempt. `None` where it was lost.
    async fn swap<R: Record>(&self, key: &Key, expected: &Version, record: &R) -> Result<Option<Version>> {
        let mut nonce = [0; 16];
        self.entropy.fill(&mut nonce);
        let body: Bytes = record.encode(Nonce(u128::from_be_bytes(nonce)));
        match self.store.put(key, body, PutMode::IfMatch(expected.clone())).await {
            Ok(meta) => Ok(meta.version),
            Err(error) if error.is_lost_condition() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
