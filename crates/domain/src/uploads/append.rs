//! Appending to a session, and giving it up.

use bytes::Bytes;
use entrepot_oci::Hasher;
use entrepot_storage::{AppendState, ErrorKind, Key, Version};
use futures_core::Stream;
use futures_util::StreamExt;

use super::{Phase, Progress, Session};
use crate::blobs::{BodyError, Intake};
use crate::error::{Error, Result};
use crate::layout;
use crate::record::{SessionRecord, SessionState, Slot, Swap};
use crate::registry::{Inner, Registry};

impl Registry {
    /// Appends the body and answers how far the session has come.
    ///
    /// `offset` is where the client says its bytes begin; where the session stands elsewhere nothing is
    /// read and [`Error::OffsetMismatch`] tells. Of two appends at once one wins and the other learns the
    /// true offset. A body that breaks off is kept as far as it came, and then [`Error::BodyBroken`] is
    /// answered. Bytes are durable when this answers.
    pub async fn append<S>(
        &self,
        session: &Session,
        offset: Option<u64>,
        size: Option<u64>,
        body: S,
    ) -> Result<Progress>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let inner = &self.0;
        inner.writable(&session.repository)?;
        let found = inner.open_record(session, offset.unwrap_or(0)).await?;
        let standing = Standing::of(session, found)?;
        if offset.is_some_and(|offset| offset != standing.offset) {
            return Err(inner.mismatch(session, standing.offset));
        }
        inner.check_blob_size(standing.offset.saturating_add(size.unwrap_or(0)))?;
        let seen = standing.version.clone();
        match inner.append(session, standing, size, body).await {
            Err(error) => match inner.loss(session, seen.as_ref(), &error).await {
                Some(Loss::Moved(now)) => Err(inner.lost_to(session, *now)),
                Some(Loss::Final) => Err(Error::UploadUnknown),
                None => Err(error),
            },
            progress => progress,
        }
    }

    /// Gives a session up and frees its bytes. A session that has ended is unknown.
    pub async fn cancel_upload(&self, session: &Session) -> Result<()> {
        let (key, found) = self.0.load_session(session).await?;
        match &found.record {
            Some(record) if record.state == SessionState::Open => {
                self.0.kill_open(&key, &found, record).await
            }
            None if session.phase == Phase::Fresh => self.0.bury_fresh(&key, session).await,
            _ => Err(Error::UploadUnknown),
        }
    }
}

/// Where a session stands before a request's own bytes.
pub(super) struct Standing {
    pub(super) offset: u64,
    pub(super) hasher: Option<Hasher>,
    pub(super) append: Option<AppendState>,
    pub(super) version: Option<Version>,
}

impl Standing {
    /// The standing of an open session. One that has ended is unknown.
    pub(super) fn of(session: &Session, found: Slot<SessionRecord>) -> Result<Self> {
        match found.record {
            None if session.phase == Phase::Fresh => {
                Ok(Self { offset: 0, hasher: None, append: None, version: None })
            }
            Some(record) if record.state == SessionState::Open => {
                let hasher = Hasher::restore(&record.hash).ok_or_else(|| Error::Record {
                    key: format!("{}{}", layout::UPLOADS, session.id),
                    reason: "the hash state was written by another version".into(),
                })?;
                let (offset, append) = (record.offset, record.append);
                Ok(Self { offset, hasher: Some(hasher), append, version: found.version })
            }
            _ => Err(Error::UploadUnknown),
        }
    }
}

impl Inner {
    /// The session's record, not asked for where it cannot exist yet: a token made at the opening is
    /// used by the first request only, and a second one is found out when the record is written.
    async fn open_record(&self, session: &Session, offset: u64) -> Result<Slot<SessionRecord>> {
        if session.phase == Phase::Fresh && offset == 0 {
            return Ok(Slot::absent());
        }
        Ok(self.load_session(session).await?.1)
    }

    /// What it means for the session that the store no longer has bytes of it, where `error` says so.
    ///
    /// It may be the other side of a lost race: whoever won has freed the bytes both requests began with. A
    /// session that still stands as it was `seen` can never be closed, whoever tries: it is ended here, so that
    /// the client hears of it and begins anew.
    pub(super) async fn loss(
        &self,
        session: &Session,
        seen: Option<&Version>,
        error: &Error,
    ) -> Option<Loss> {
        let Error::Store(failure) = error else { return None };
        if !matches!(failure.kind(), ErrorKind::NotFound | ErrorKind::UploadGone | ErrorKind::PartMismatch) {
            return None;
        }
        let (key, now) = self.load_session(session).await.ok()?;
        if now.version.as_ref() != seen {
            return Some(Loss::Moved(Box::new(now)));
        }
        let record = now.record.as_ref().filter(|record| record.state == SessionState::Open)?;
        tracing::warn!(%error, %key, "the store has lost bytes of an upload, which is given up");
        self.kill_open(&key, &now, record).await.ok().map(|()| Loss::Final)
    }

    /// What an append that lost is told: where the session stands now, if it goes on.
    fn lost_to(&self, session: &Session, now: Slot<SessionRecord>) -> Error {
        match now.record {
            Some(other) if other.repository == session.repository && other.state == SessionState::Open => {
                self.mismatch(session, other.offset)
            }
            _ => Error::UploadUnknown,
        }
    }

    pub(super) fn mismatch(&self, session: &Session, offset: u64) -> Error {
        // A session nothing has arrived for may have no record yet: its first token stays the right one.
        let session = if offset == 0 { session.clone() } else { self.started(session) };
        Error::OffsetMismatch { offset, session }
    }

    async fn append<S>(
        &self,
        session: &Session,
        standing: Standing,
        size: Option<u64>,
        mut body: S,
    ) -> Result<Progress>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let begin = standing.offset;
        let hasher = standing.hasher.unwrap_or_else(|| Hasher::new(session.algorithm));
        let keys = self.data_keys(Some(&session.id), None);
        let was_fresh = standing.version.is_none();
        let mut saved = Saved { version: standing.version, uncertain: false };
        let mut intake = Intake::open(self, standing.append, hasher, begin, keys).await?;

        let broken = match self.take_body(session, &mut intake, &mut saved, &mut body).await {
            Ok(()) => None,
            // What arrived is kept: the client resumes from there.
            Err(Error::BodyBroken(reason)) => Some(Error::BodyBroken(reason)),
            Err(error) => {
                if was_fresh && saved.is_unheard_of() {
                    intake.abandon().await;
                }
                return Err(error);
            }
        };
        let received = intake.received - begin;
        if received == 0 && was_fresh {
            return broken.map_or_else(|| Ok(Progress { offset: 0, session: session.clone() }), Err);
        }
        let offset = intake.received;
        if received > 0 {
            self.save(session, intake, &mut saved).await?;
        }
        if let Some(error) = broken {
            return Err(error);
        }
        if let Some(size) = size
            && size != received
        {
            return Err(Error::SizeMismatch { expected: size, actual: received });
        }
        Ok(Progress { offset, session: self.started(session) })
    }

    async fn take_body<S>(
        &self,
        session: &Session,
        intake: &mut Intake,
        saved: &mut Saved,
        body: &mut S,
    ) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| Error::BodyBroken(error.to_string()))?;
            intake.take(self, chunk).await?;
            if intake.wants_checkpoint(self.config.checkpoint_bytes)
                && let Some(point) = intake.checkpoint().await?
            {
                let record =
                    self.open_session_record(session, point.offset, &point.hasher, Some(point.append));
                self.save_record(session, saved, &record).await?;
            }
        }
        Ok(())
    }

    /// Makes everything durable, then the record.
    async fn save(&self, session: &Session, intake: Intake, saved: &mut Saved) -> Result<()> {
        let (offset, hasher) = (intake.received, intake.hasher.clone());
        let suspended = intake.suspend().await?;
        let record = self.open_session_record(session, offset, &hasher, Some(suspended.state.clone()));
        if let Err(error) = self.save_record(session, saved, &record).await {
            if saved.is_unheard_of() {
                self.free(&suspended.state).await;
            }
            return Err(error);
        }
        // Only now does nobody need what the new state replaced.
        self.discard(suspended.superseded).await;
        Ok(())
    }

    async fn save_record(&self, session: &Session, saved: &mut Saved, record: &SessionRecord) -> Result<()> {
        let key = layout::upload(&session.id).ok_or(Error::UploadUnknown)?;
        saved.uncertain = true;
        let swap = self.swap(&key, saved.version.as_ref(), record).await?;
        saved.uncertain = false;
        match swap {
            Swap::Won(version) => saved.version = Some(version),
            Swap::Lost(now) => {
                return Err(self.lost_to(session, now));
            }
        }
        Ok(())
    }

    pub(super) fn open_session_record(
        &self,
        session: &Session,
        offset: u64,
        hasher: &Hasher,
        append: Option<AppendState>,
    ) -> SessionRecord {
        SessionRecord {
            state: SessionState::Open,
            repository: session.repository.clone(),
            offset,
            hash: hasher.save(),
            append,
            publish: None,
        }
    }

    /// Ends an open session: its bytes never were known under a digest, so no blob record names them.
    pub(super) async fn kill_open(
        &self,
        key: &Key,
        found: &Slot<SessionRecord>,
        record: &SessionRecord,
    ) -> Result<()> {
        match self.swap(key, found.version.as_ref(), &tombstone(record.repository.clone())).await? {
            Swap::Won(_) => {
                if let Some(state) = &record.append {
                    self.free(state).await;
                }
                Ok(())
            }
            Swap::Lost(_) => Err(Error::busy("the upload is being written to")),
        }
    }

    /// Ends a session that has no record, so that its token opens nothing any more.
    pub(super) async fn bury_fresh(&self, key: &Key, session: &Session) -> Result<()> {
        match self.swap(key, None, &tombstone(session.repository.clone())).await? {
            Swap::Won(_) => Ok(()),
            Swap::Lost(_) => Err(Error::UploadUnknown),
        }
    }

    /// Frees what an append state holds. Best effort: the orphan sweep finds what stays.
    pub(super) async fn free(&self, state: &AppendState) {
        if let Some(upload) = &state.upload
            && let Err(error) = self.store.upload_abort(upload).await
        {
            tracing::debug!(%error, key = %upload.key, "an upload is left to the orphan sweep");
        }
        self.discard(state.tail.iter().map(|tail| tail.key.clone()).collect()).await;
    }

    pub(super) async fn discard(&self, keys: Vec<Key>) {
        for key in keys {
            if let Err(error) = self.store.delete(&key, None).await {
                tracing::debug!(%error, %key, "parked bytes are left to the orphan sweep");
            }
        }
    }
}

/// What the loss of a session's bytes came from.
pub(super) enum Loss {
    /// Another request moved the session, and this is how it stands now.
    Moved(Box<Slot<SessionRecord>>),
    /// Nobody can have them back. The session is ended.
    Final,
}

/// The record version a request's next save must meet.
struct Saved {
    version: Option<Version>,
    /// A save failed in a way that does not tell whether it was applied, or will be.
    uncertain: bool,
}

impl Saved {
    /// Whether no record of the session, now or later, can name the bytes of this request.
    const fn is_unheard_of(&self) -> bool {
        self.version.is_none() && !self.uncertain
    }
}

pub(super) fn tombstone(repository: entrepot_oci::RepositoryName) -> SessionRecord {
    SessionRecord {
        state: SessionState::Dead,
        repository,
        offset: 0,
        hash: String::new(),
        append: None,
        publish: None,
    }
}
