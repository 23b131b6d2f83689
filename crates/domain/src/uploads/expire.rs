//! Ending sessions nobody continues, and freeing bytes nobody published: `protocol.md` 2.9 and 2.10.
//!
//! Clocks decide only when this begins, never whether it is safe: bytes are freed after the one thing that
//! could still make them known, a session or a blob record, was fenced by compare-and-swap.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use entrepot_oci::Digest;
use entrepot_storage::{Key, ObjectMeta, Upload, UploadEntry};

use super::append::tombstone;
use crate::blobs::visible;
use crate::error::{Error, Result};
use crate::layout;
use crate::mutation::Mutation;
use crate::record::{ATTEMPTS, Class, Life, Pointer, Publishing, SessionRecord, SessionState, Slot, Swap};
use crate::registry::{Inner, Registry};

/// When sessions and orphans are old enough to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// Sessions without a new byte for so long are ended. At least the life of a token.
    pub sessions: Duration,
    /// Bytes no session and no blob names are freed when older than this.
    pub orphans: Duration,
    /// Only count, change nothing.
    pub dry_run: bool,
}

/// What a run of the expiry did, or would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Sessions ended.
    pub sessions: u64,
    /// Objects freed.
    pub objects: u64,
    /// Uploads in parts aborted.
    pub uploads: u64,
    /// Things that were left because the store failed on them; the next run tries again.
    pub failures: u64,
}

impl Expired {
    /// One thing the store fails on must not keep the others from being looked at.
    fn note(&mut self, key: &Key, outcome: Result<()>) {
        if let Err(error) = outcome {
            tracing::warn!(%error, %key, "what nobody needs could not be freed");
            self.failures += 1;
        }
    }
}

/// Keys asked for at once.
const PAGE: usize = 1000;

impl Registry {
    /// Ends sessions older than `expiry` says and frees orphaned bytes. Safe beside any number of pushes
    /// and of other runs. Reads every session; reads blob records only where orphans are found.
    pub async fn expire(&self, expiry: &Expiry) -> Result<Expired> {
        let mut done = Expired::default();
        self.0.expire_sessions(expiry, &mut done).await?;
        self.0.sweep_orphans(expiry, &mut done).await?;
        self.0.abort_uploads(expiry, &mut done).await?;
        Ok(done)
    }
}

impl Inner {
    fn is_older(&self, modified: Option<SystemTime>, age: Duration) -> bool {
        // Without a time nothing is old: freeing too early is worse than too late.
        modified.is_some_and(|at| self.clock.now().duration_since(at).is_ok_and(|past| past > age))
    }

    async fn each_object<F>(&self, prefix: &str, mut visit: F) -> Result<()>
    where
        F: AsyncFnMut(ObjectMeta) -> Result<()>,
    {
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(prefix, after.as_deref(), PAGE).await?;
            after = page.objects.last().map(|meta| meta.key.as_str().to_owned());
            for meta in page.objects {
                visit(meta).await?;
            }
            if !page.more || after.is_none() {
                return Ok(());
            }
        }
    }

    async fn expire_sessions(&self, expiry: &Expiry, done: &mut Expired) -> Result<()> {
        self.each_object(layout::UPLOADS, async |meta| {
            if !self.is_older(meta.modified, expiry.sessions) {
                return Ok(());
            }
            if Class::of_size(meta.size).is_dead() {
                return self.remove_tombstone(&meta, expiry).await;
            }
            done.sessions += 1;
            if expiry.dry_run {
                return Ok(());
            }
            let ended = self.expire_session(&meta.key).await;
            done.note(&meta.key, ended);
            Ok(())
        })
        .await
    }

    /// A session's tombstone outlives every token that could name it; then it may go, by condition only.
    async fn remove_tombstone(&self, meta: &ObjectMeta, expiry: &Expiry) -> Result<()> {
        let outlived =
            self.is_older(meta.modified, self.config.session_retention + self.config.session_lifetime);
        if expiry.dry_run || !outlived || !self.store.capabilities().conditional_delete {
            return Ok(());
        }
        let found = self.load::<SessionRecord>(&meta.key).await?;
        if !found.record.is_some_and(|record| record.state == SessionState::Dead) {
            return Ok(());
        }
        match self.store.delete(&meta.key, found.version.as_ref()).await {
            Err(error) if !error.is_lost_condition() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// 2.9: an open session named no digest, so its bytes go at once; a publishing one is fenced.
    pub(crate) async fn expire_session(&self, key: &Key) -> Result<()> {
        let found = self.load::<SessionRecord>(key).await?;
        let Some(record) = &found.record else { return Ok(()) };
        match record.state {
            SessionState::Dead => Ok(()),
            SessionState::Open => match self.kill_open(key, &found, record).await {
                // Somebody writes to it: it is not old after all.
                Err(Error::Busy { .. }) => Ok(()),
                answer => answer,
            },
            SessionState::Completing | SessionState::Publishing => {
                self.expire_publishing(key, &found, record).await
            }
        }
    }

    pub(super) async fn expire_publishing(
        &self,
        key: &Key,
        found: &Slot<SessionRecord>,
        record: &SessionRecord,
    ) -> Result<()> {
        let Some(publish) = &record.publish else { return Ok(()) };
        // The grave remembers the attempt: whoever finds the bytes after a crash has to fence them as well.
        let dead = SessionRecord { publish: record.publish.clone(), ..tombstone(record.repository.clone()) };
        let Swap::Won(_) = self.swap(key, found.version.as_ref(), &dead).await? else { return Ok(()) };
        let upload = record.append.as_ref().and_then(|state| state.upload.as_ref());
        self.fence(&publish.digest, &publish.inst, upload).await
    }

    /// 2.10: frees bytes that may have been about to be published. A blob record that does not name them
    /// is first written anew where it could still accept an attempt bound to its present version. `upload` is
    /// what would make them visible yet, if anything.
    pub(crate) async fn fence(&self, digest: &Digest, bytes: &Key, upload: Option<&Upload>) -> Result<()> {
        let key = layout::blob(digest);
        let mut found = self.load::<Pointer>(&key).await?;
        for attempt in 0..ATTEMPTS {
            if let Some((_, inst)) = visible(&found) {
                if inst == bytes {
                    return Ok(());
                }
                return self.drop_bytes(bytes, upload).await;
            }
            if self.broken(Mutation::ReaperWithoutFence) {
                return self.drop_bytes(bytes, upload).await;
            }
            let grave = Pointer { state: Life::Dead, inst: Some(bytes.clone()), size: 0 };
            match self.swap(&key, found.version.as_ref(), &grave).await? {
                Swap::Won(_) => return self.drop_bytes(bytes, upload).await,
                Swap::Lost(now) => found = now,
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many changes of one blob at once"))
    }

    /// The upload first: completed in between, it would bring the bytes back.
    async fn drop_bytes(&self, bytes: &Key, upload: Option<&Upload>) -> Result<()> {
        if let Some(upload) = upload {
            self.store.upload_abort(upload).await?;
        }
        Ok(self.store.delete(bytes, None).await?)
    }

    /// Frees bytes that lie under no session and that no blob record names.
    async fn sweep_orphans(&self, expiry: &Expiry, done: &mut Expired) -> Result<()> {
        let mut nameless: Vec<(Key, String)> = Vec::new();
        let mut known: Vec<(Key, Digest)> = Vec::new();
        self.each_object(layout::DATA, async |meta| {
            if !self.is_older(meta.modified, expiry.orphans) {
                return Ok(());
            }
            match layout::parse_data(&meta.key) {
                Some(layout::DataKey { digest: Some(digest), .. }) => known.push((meta.key, digest)),
                Some(layout::DataKey { owner: Some(owner), .. }) => nameless.push((meta.key, owner)),
                _ => {}
            }
            Ok(())
        })
        .await?;
        for (key, digest) in known {
            let swept = self.sweep_known(&key, &digest, expiry, done).await;
            done.note(&key, swept);
        }
        self.sweep_nameless(nameless, expiry, done).await
    }

    async fn sweep_known(
        &self,
        key: &Key,
        digest: &Digest,
        expiry: &Expiry,
        done: &mut Expired,
    ) -> Result<()> {
        let blob = self.load::<Pointer>(&layout::blob(digest)).await?;
        if visible(&blob).is_some_and(|(_, inst)| inst == key) || self.has_live_owner(key).await? {
            return Ok(());
        }
        done.objects += 1;
        if expiry.dry_run {
            return Ok(());
        }
        self.fence(digest, key, None).await
    }

    /// Whether a session that has not ended may still publish these bytes. Its own expiry decides then.
    async fn has_live_owner(&self, key: &Key) -> Result<bool> {
        let Some(owner) = layout::parse_data(key).and_then(|parsed| parsed.owner) else { return Ok(false) };
        let Some(session) = layout::upload(&owner) else { return Ok(false) };
        let found = self.load::<SessionRecord>(&session).await?;
        Ok(found.record.is_some_and(|record| record.state != SessionState::Dead))
    }

    /// Bytes whose digest their key does not tell: their session is made dead first, then all blob records
    /// are read, and what none names is freed (r12).
    async fn sweep_nameless(
        &self,
        candidates: Vec<(Key, String)>,
        expiry: &Expiry,
        done: &mut Expired,
    ) -> Result<()> {
        if candidates.is_empty() {
            return Ok(());
        }
        let early = match self.broken(Mutation::OrphanSweepScansFirst) {
            true => Some(self.named_instances().await?),
            false => None,
        };
        let mut ownerless = Vec::new();
        for (key, owner) in candidates {
            match self.owner(&owner, expiry.dry_run).await {
                Ok(Owner::Alive) => {}
                // An attempt to publish these very bytes may still be on its way.
                Ok(Owner::Ended(Some(publish))) if publish.inst == key => {
                    let swept = self.sweep_known(&key, &publish.digest, expiry, done).await;
                    done.note(&key, swept);
                }
                Ok(Owner::Ended(_)) => ownerless.push(key),
                Err(error) => done.note(&key, Err(error)),
            }
        }
        if ownerless.is_empty() {
            return Ok(());
        }
        let named = match early {
            Some(named) => named,
            None => self.named_instances().await?,
        };
        for key in ownerless.into_iter().filter(|key| !named.contains(key)) {
            done.objects += 1;
            if !expiry.dry_run {
                let deleted = self.store.delete(&key, None).await;
                done.note(&key, deleted.map_err(Error::from));
            }
        }
        Ok(())
    }

    /// What has become of a session. One that is absent is made dead now.
    async fn owner(&self, owner: &str, dry_run: bool) -> Result<Owner> {
        let Some(key) = layout::upload(owner) else { return Ok(Owner::Alive) };
        let found = self.load::<SessionRecord>(&key).await?;
        match found.record {
            Some(record) if record.state == SessionState::Dead => Ok(Owner::Ended(record.publish)),
            Some(_) => Ok(Owner::Alive),
            None if dry_run => Ok(Owner::Ended(None)),
            None => {
                let grave = tombstone("orphan".parse().expect("a constant in the grammar"));
                let buried = self.swap(&key, None, &grave).await?.is_won();
                Ok(if buried { Owner::Ended(None) } else { Owner::Alive })
            }
        }
    }

    async fn named_instances(&self) -> Result<HashSet<Key>> {
        let mut named = HashSet::new();
        self.each_object("blobs/", async |meta| {
            if Class::of_size(meta.size).is_dead() {
                return Ok(());
            }
            let found = self.load::<Pointer>(&meta.key).await?;
            named.extend(found.record.and_then(|record| record.inst));
            Ok(())
        })
        .await?;
        Ok(named)
    }

    /// Uploads in parts whose session has ended: nobody will complete them.
    async fn abort_uploads(&self, expiry: &Expiry, done: &mut Expired) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let entries = self.store.list_uploads(layout::DATA, after.as_deref(), PAGE).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = Some(last.upload.key.as_str().to_owned());
            for entry in entries {
                let aborted = self.abort_upload(&entry, expiry, done).await;
                done.note(&entry.upload.key, aborted);
            }
        }
    }

    async fn abort_upload(&self, entry: &UploadEntry, expiry: &Expiry, done: &mut Expired) -> Result<()> {
        if !self.is_older(entry.initiated, expiry.orphans) || self.has_live_owner(&entry.upload.key).await? {
            return Ok(());
        }
        done.uploads += 1;
        if !expiry.dry_run {
            self.store.upload_abort(&entry.upload).await?;
        }
        Ok(())
    }
}

/// The session some bytes belong to.
enum Owner {
    /// It may still publish them, or its own expiry will free them.
    Alive,
    /// It takes nothing more. What it was publishing, if it came to that.
    Ended(Option<Publishing>),
}
