//! Ending sessions nobody continues, and freeing what they leave: `protocol.md` 2.9 and 2.10.
//!
//! Clocks decide only when this begins, never whether it is safe: bytes are freed after the one thing that
//! could still make them known, a session or a blob record, was fenced by compare-and-swap.

use std::time::{Duration, SystemTime};

use entrepot_oci::Digest;
use entrepot_storage::{Key, ObjectMeta, Upload, UploadEntry};

use super::append::tombstone;
use crate::blobs::visible;
use crate::error::{Error, Result};
use crate::layout;
use crate::mutation::Mutation;
use crate::record::{ATTEMPTS, Class, Life, Pointer, SessionRecord, SessionState, Slot, Swap};
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

/// How far back a run looks for orphans. Whatever it is, all blob records are read where it finds bytes whose
/// session is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At all bytes. One read of each blob record.
    Everything,
    /// At bytes younger than this; the older ones were looked at when they were. Two reads for each.
    Younger(Duration),
}

/// What a run did, and how it ended.
pub(super) struct Run {
    pub(super) done: Expired,
    /// Whether it came to the end of what it was to look through for orphans.
    pub(super) looked: bool,
    /// The first thing that kept a part of it from being done.
    pub(super) outcome: Result<()>,
}

/// A run about to begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) expiry: &'a Expiry,
    pub(super) reach: Reach,
    /// How long tombstones of sessions stay: as long as bytes are looked at, which these tell the digest of.
    pub(super) tombstones: Duration,
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
    /// Things that were left because the store failed on them; the next run that looks tries again.
    pub failures: u64,
}

impl Expired {
    /// One thing the store fails on must not keep the others from being looked at.
    pub(super) fn note(&mut self, key: &str, outcome: Result<()>) {
        if let Err(error) = outcome {
            tracing::warn!(%error, %key, "what nobody needs could not be freed");
            self.failures += 1;
        }
    }
}

/// Keys asked for at once.
const PAGE: usize = 1000;

/// How old is what a probe of the store left behind. Probes take seconds.
const PROBE_OVER: Duration = Duration::from_secs(24 * 3600);

impl Registry {
    /// Ends sessions older than `expiry` says and frees orphaned bytes. Safe beside any number of pushes
    /// and of other runs. Lists all bytes, reads what is old of the sessions, and as much more as `reach`
    /// says.
    ///
    /// Fails where the store did in a way that kept a part of this from being done, after the rest was.
    pub async fn expire(&self, expiry: &Expiry, reach: Reach) -> Result<Expired> {
        let tombstones = match reach {
            Reach::Everything => Duration::ZERO,
            Reach::Younger(age) => age,
        };
        let run = self.0.run(Plan { expiry, reach, tombstones }).await;
        run.outcome.map(|()| run.done)
    }
}

impl Inner {
    /// How old something is. Without a time nothing is old: freeing too early is worse than too late.
    pub(super) fn age(&self, modified: Option<SystemTime>) -> Duration {
        modified.and_then(|at| self.clock.now().duration_since(at).ok()).unwrap_or_default()
    }

    fn is_older(&self, modified: Option<SystemTime>, age: Duration) -> bool {
        self.age(modified) > age
    }

    pub(super) async fn each_object<F>(&self, prefix: &str, mut visit: F) -> Result<()>
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

    /// None of the parts waits for another, so one the store fails on keeps nobody from the rest.
    pub(super) async fn run(&self, plan: Plan<'_>) -> Run {
        let (expiry, mut done) = (plan.expiry, Expired::default());
        let sessions = self.expire_sessions(&plan, &mut done).await;
        let orphans = self.sweep_orphans(expiry, plan.reach, &mut done).await;
        let uploads = self.abort_uploads(expiry, &mut done).await;
        let probes = self.sweep_probes(expiry, &mut done).await;
        Run { done, looked: orphans.is_ok(), outcome: sessions.and(orphans).and(uploads).and(probes) }
    }

    async fn expire_sessions(&self, plan: &Plan<'_>, done: &mut Expired) -> Result<()> {
        let expiry = plan.expiry;
        self.each_object(layout::UPLOADS, async |meta| {
            if !self.is_older(meta.modified, expiry.sessions) {
                return Ok(());
            }
            if Class::of_size(meta.size).is_dead() {
                let removed = self.remove_tombstone(&meta, plan).await;
                done.note(meta.key.as_str(), removed);
                return Ok(());
            }
            done.sessions += 1;
            if expiry.dry_run {
                return Ok(());
            }
            let ended = self.expire_session(&meta.key).await;
            done.note(meta.key.as_str(), ended);
            Ok(())
        })
        .await
    }

    /// A session's tombstone outlives every token that could name it; then it may go, by condition only.
    async fn remove_tombstone(&self, meta: &ObjectMeta, plan: &Plan<'_>) -> Result<()> {
        let named = self.config.session_retention + self.config.session_lifetime;
        let outlived = self.is_older(meta.modified, named.max(plan.tombstones));
        if plan.expiry.dry_run || !outlived || !self.store.capabilities().conditional_delete {
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

    async fn each_upload<F>(&self, prefix: &str, mut visit: F) -> Result<()>
    where
        F: AsyncFnMut(UploadEntry),
    {
        let mut after: Option<String> = None;
        loop {
            let entries = self.store.list_uploads(prefix, after.as_deref(), PAGE).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = Some(last.upload.key.as_str().to_owned());
            for entry in entries {
                visit(entry).await;
            }
        }
    }

    /// Uploads in parts whose session has ended: nobody will complete them.
    async fn abort_uploads(&self, expiry: &Expiry, done: &mut Expired) -> Result<()> {
        self.each_upload(layout::DATA, async |entry| {
            let aborted = self.abort_upload(&entry, expiry, done).await;
            done.note(entry.upload.key.as_str(), aborted);
        })
        .await
    }

    async fn abort_upload(&self, entry: &UploadEntry, expiry: &Expiry, done: &mut Expired) -> Result<()> {
        if self.is_older(entry.initiated, expiry.orphans) && !self.has_live_owner(&entry.upload.key).await? {
            self.drop_upload(&entry.upload, expiry, done).await;
        }
        Ok(())
    }

    /// What probes of the store leave whose process is killed.
    async fn sweep_probes(&self, expiry: &Expiry, done: &mut Expired) -> Result<()> {
        let uploads = self.each_upload(layout::PROBES, async |entry| {
            if self.is_older(entry.initiated, PROBE_OVER) {
                self.drop_upload(&entry.upload, expiry, done).await;
            }
        });
        let uploads = uploads.await;
        let objects = self.each_object(layout::PROBES, async |meta| {
            if self.is_older(meta.modified, PROBE_OVER) {
                self.drop_object(&meta.key, expiry, done).await;
            }
            Ok(())
        });
        uploads.and(objects.await)
    }

    /// Counts it, and aborts it unless this is a dry run.
    async fn drop_upload(&self, upload: &Upload, expiry: &Expiry, done: &mut Expired) {
        done.uploads += 1;
        if !expiry.dry_run {
            let aborted = self.store.upload_abort(upload).await;
            done.note(upload.key.as_str(), aborted.map_err(Error::from));
        }
    }

    /// Counts it, and deletes it unless this is a dry run.
    pub(super) async fn drop_object(&self, key: &Key, expiry: &Expiry, done: &mut Expired) {
        done.objects += 1;
        if !expiry.dry_run {
            let deleted = self.store.delete(key, None).await;
            done.note(key.as_str(), deleted.map_err(Error::from));
        }
    }
}
