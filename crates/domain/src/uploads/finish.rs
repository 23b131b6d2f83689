//! Closing a session: `protocol.md` 2.2, and 2.1 where one request carried everything.

use bytes::Bytes;
use entrepot_oci::{Algorithm, Digest, Hasher};
use entrepot_storage::{AppendState, ErrorKind, Key, ReadRange, Sealed};
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::future::{join, try_join};

use super::append::{Loss, Standing};
use super::{Finish, Phase, Session};
use crate::blobs::{Attempt, BodyError, Drafts, Intake, visible};
use crate::error::{Error, Result};
use crate::layout;
use crate::mutation::Mutation;
use crate::record::{Pointer, Publishing, SessionRecord, SessionState, Slot, Swap};
use crate::registry::{Inner, Registry};

impl Registry {
    /// Appends the body, compares digests and publishes the blob. May be repeated: a lost answer is
    /// answered again.
    ///
    /// Fails with [`Error::DigestMismatch`], and then the session is gone; with
    /// [`Error::OffsetMismatch`], and then it goes on.
    pub async fn finish_upload<S>(&self, session: &Session, finish: Finish, body: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        self.0.writable(&session.repository)?;
        if session.phase == Phase::Fresh && finish.offset.unwrap_or(0) == 0 {
            return self.0.finish_at_once(session, &finish, body).await;
        }
        self.0.finish_recorded(session, &finish, body).await
    }
}

impl Inner {
    /// The whole blob in this request, as far as its token tells: no session record is read.
    async fn finish_at_once<S>(&self, session: &Session, finish: &Finish, body: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let mut counted = Counted { body, received: 0 };
        let size = finish.body_size.or(finish.total_size);
        let name = &session.repository;
        let stored = self
            .put_blob(name, &finish.digest, size, Some(&session.id), &mut counted)
            .await
            .and_then(|received| {
                let total = finish.total_size.unwrap_or(received);
                if total == received { Ok(()) } else { Err(size_mismatch(total, received)) }
            });
        match stored {
            Err(Error::DigestMismatch { expected, computed }) => {
                let mismatch = Error::DigestMismatch { expected, computed };
                self.after_mismatch(session, finish, counted.received, mismatch).await
            }
            answer => answer,
        }
    }

    /// The body was not the whole blob. Either the session has bytes after all (the client kept using its
    /// first location), or this repeats a commit that was answered, or the digest is simply wrong.
    async fn after_mismatch(
        &self,
        session: &Session,
        finish: &Finish,
        received: u64,
        mismatch: Error,
    ) -> Result<()> {
        let (key, found) = self.load_session(session).await?;
        match found.record {
            Some(record) if record.state == SessionState::Dead => Err(Error::UploadUnknown),
            Some(_) if received == 0 => {
                self.finish_recorded(session, finish, futures_util::stream::empty()).await
            }
            Some(record) => Err(self.mismatch(session, record.offset)),
            None if received == 0
                && self.rely_on_blob(&session.repository, &finish.digest).await?.is_some() =>
            {
                Ok(())
            }
            None => {
                self.bury_fresh(&key, session).await?;
                Err(mismatch)
            }
        }
    }

    /// Closes a session that has a record.
    async fn finish_recorded<S>(&self, session: &Session, finish: &Finish, body: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let name = &session.repository;
        // The blob record is read before the session moves (r2).
        let ((key, found), (blob, link)) =
            try_join(self.load_session(session), self.load_pair(name, &finish.digest)).await?;
        match &found.record {
            Some(record) if record.is_publishing() => {
                self.repeat(session, &key, &found, record, &finish.digest, (blob, link), None).await
            }
            Some(record) if record.state == SessionState::Open => {
                let attempt = Attempt::bound_to(&blob);
                let draft = |own| self.draft_ahead_of_bytes(name, &finish.digest, own, &attempt, &link);
                let own = match self.seal(session, &key, &found, finish, body, draft).await {
                    Ok(own) => own,
                    Err(error) => {
                        return match self.loss(session, found.version.as_ref(), &error).await {
                            Some(Loss::Moved(now)) => {
                                self.join_attempt(session, &key, *now, &finish.digest, None).await
                            }
                            Some(Loss::Final) => Err(Error::UploadUnknown),
                            None => Err(error),
                        };
                    }
                };
                self.move_and_publish(session, &key, found, own, (finish.digest, blob, link)).await
            }
            // The session has ended: this repeats a commit that was answered, if the repository holds the
            // blob. Its link may still be the claim of a crashed attempt, so it is looked at as HEAD does.
            _ if self.rely_on_blob(name, &finish.digest).await?.is_some() => Ok(()),
            _ => Err(Error::UploadUnknown),
        }
    }

    /// Appends the rest, compares digests, and decides what the bytes consist of. `draft` is called once the
    /// digest is known to be right, with what will point to them.
    async fn seal<S>(
        &self,
        session: &Session,
        key: &Key,
        found: &Slot<SessionRecord>,
        finish: &Finish,
        mut body: S,
        draft: impl Fn(Pointer) -> Option<Drafts>,
    ) -> Result<Own>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let record = found.record.as_ref().ok_or(Error::UploadUnknown)?;
        let standing = Standing::of(session, found.clone())?;
        if finish.offset.is_some_and(|offset| offset != standing.offset) {
            return Err(self.mismatch(session, standing.offset));
        }
        let hasher = standing.hasher.ok_or(Error::UploadUnknown)?;
        let keys = self.data_keys(Some(&session.id), Some(finish.digest));
        let mut intake = Intake::open(self, standing.append, hasher, standing.offset, keys).await?;
        intake.take_all(self, &mut body).await?;
        let (begin, received) = (standing.offset, intake.received);
        if let Some(expected) = finish.body_size.filter(|expected| *expected != received - begin) {
            return Err(size_mismatch(expected, received - begin));
        }
        if let Some(expected) = finish.total_size.filter(|expected| *expected != received) {
            return Err(size_mismatch(expected, received));
        }
        let computed = intake.hasher.clone().finish();
        if computed.algorithm() != finish.digest.algorithm() {
            return Ok(Own { claimed: true, ..Own::from(intake.seal().await?) });
        }
        if computed != finish.digest {
            // The session ends before its bytes do: until then another request may publish them.
            self.kill_open(key, found, record).await?;
            intake.abandon().await;
            return Err(Error::DigestMismatch { expected: finish.digest, computed });
        }
        let drafts = draft(intake.destination());
        Ok(Own { drafts, ..Own::from(intake.seal().await?) })
    }

    /// Makes the bytes of a session visible that is being published, and hashes them where their digest was only
    /// claimed. Only what the session says is completed: of two that close it at once, one has recorded its parts,
    /// and a store would take the other's for the same if they are as long.
    async fn bring_about(
        &self,
        key: &Key,
        found: &Slot<SessionRecord>,
        record: &SessionRecord,
        closer: Closer<'_>,
    ) -> Result<()> {
        let publish = record.publish.as_ref().ok_or(Error::UploadUnknown)?;
        if let Some(state) = &record.append
            && let Err(error) = state.complete(&self.store).await
        {
            match (error.kind(), closer) {
                // Somebody else sent the last part anew. If it was the same bytes, he completes the upload with his;
                // if not, whoever repeats this finds out.
                (ErrorKind::PartMismatch, Closer::Recorder) => {
                    return Err(Error::busy("another request closes the same upload"));
                }
                (ErrorKind::PartMismatch, Closer::Other(Some(own)))
                    if own.upload == state.upload && own != state && !publish.claimed =>
                {
                    let own = SessionRecord { append: Some(own.clone()), ..record.clone() };
                    return self.complete_by_own_parts(key, found, &own).await;
                }
                (ErrorKind::PartMismatch | ErrorKind::UploadGone, _) => {
                    return self.give_up(key, found, record, &error).await;
                }
                _ => return Err(error.into()),
            }
        }
        if !publish.claimed {
            return Ok(());
        }
        let computed = self.rehash(&publish.inst, publish.size, publish.digest.algorithm()).await?;
        if computed == publish.digest {
            return Ok(());
        }
        self.expire_publishing(key, found, record).await?;
        Err(Error::DigestMismatch { expected: publish.digest, computed })
    }

    /// Two requests closed the session with the same bytes, and the store holds the last part of the one that did
    /// not record it: both lists hash to the digest, so the session is told of the one that is there.
    async fn complete_by_own_parts(
        &self,
        key: &Key,
        found: &Slot<SessionRecord>,
        own: &SessionRecord,
    ) -> Result<()> {
        let Swap::Won(version) = self.swap(key, found.version.as_ref(), own).await? else {
            return Err(Error::busy("several requests close the same upload"));
        };
        let state = own.append.as_ref().ok_or(Error::UploadUnknown)?;
        match state.complete(&self.store).await {
            Err(error) if matches!(error.kind(), ErrorKind::PartMismatch | ErrorKind::UploadGone) => {
                let moved = Slot { version: Some(version), ..found.clone() };
                self.give_up(key, &moved, own, &error).await
            }
            outcome => Ok(outcome?),
        }
    }

    /// Nobody can complete the upload any more, so the session is ended, and the client begins anew.
    async fn give_up(
        &self,
        key: &Key,
        found: &Slot<SessionRecord>,
        record: &SessionRecord,
        why: &entrepot_storage::Error,
    ) -> Result<()> {
        tracing::warn!(error = %why, %key, "an upload cannot be completed and is given up");
        self.expire_publishing(key, found, record).await?;
        Err(Error::UploadUnknown)
    }

    async fn rehash(&self, key: &Key, size: u64, algorithm: Algorithm) -> Result<Digest> {
        let mut hasher = Hasher::new(algorithm);
        if size > 0 {
            let mut stream = self.store.get(key, ReadRange::Whole).await?.body.into_stream();
            while let Some(chunk) = stream.next().await {
                hasher.update(&chunk?);
            }
        }
        Ok(hasher.finish())
    }

    /// Steps 2 and 3: binds the attempt to the blob record as it was read, then publishes.
    async fn move_and_publish(
        &self,
        session: &Session,
        key: &Key,
        found: Slot<SessionRecord>,
        own: Own,
        (digest, mut blob, link): (Digest, Slot<Pointer>, Slot<Pointer>),
    ) -> Result<()> {
        let attempt = Attempt::bound_to(&blob);
        let record = self.publishing(session, &own, &digest, &attempt)?;
        let moved = match self.swap(key, found.version.as_ref(), &record).await? {
            Swap::Won(version) => Slot { version: Some(version), ..found },
            Swap::Lost(now) if now.record.is_none() && self.broken(Mutation::SessionRecreated) => {
                return self.recreate(key, found).await;
            }
            // Another replica closes the same session: its attempt is continued, not a second one begun.
            Swap::Lost(now) => {
                let parts = own.completion.filter(|_| !own.claimed);
                return self.join_attempt(session, key, now, &digest, parts).await;
            }
        };
        // The session names nothing of what was replaced any more, whatever becomes of it.
        let discarded = self.discard(own.superseded);
        if let Err(error) = self.bring_about(key, &moved, &record, Closer::Recorder).await {
            discarded.await;
            return Err(error);
        }
        let mut attempt = attempt;
        if self.broken(Mutation::VersionReadAfterSessionMoved) {
            blob = self.load(&layout::blob(&digest)).await?;
            attempt = Attempt::bound_to(&blob);
        }
        let publish = self.publish(&session.repository, &digest, &own.pointer, &attempt, link, own.drafts);
        join(publish, discarded).await.0
    }

    fn publishing(
        &self,
        session: &Session,
        own: &Own,
        digest: &Digest,
        attempt: &Attempt,
    ) -> Result<SessionRecord> {
        let inst = own.pointer.visible().ok_or(Error::UploadUnknown)?.clone();
        let publish = Publishing {
            digest: *digest,
            inst,
            size: own.pointer.size,
            expect: attempt.expect.clone(),
            was: attempt.was,
            claimed: own.claimed,
        };
        // A replica that does not know what is left to do must not take it for done.
        let is_visible = own.completion.is_none() && !own.claimed;
        Ok(SessionRecord {
            state: if is_visible { SessionState::Publishing } else { SessionState::Completing },
            repository: session.repository.clone(),
            offset: own.pointer.size,
            hash: String::new(),
            append: own.completion.clone(),
            publish: Some(publish),
        })
    }

    /// Continues what another request began meanwhile. `own` is what ours would have been completed by.
    async fn join_attempt(
        &self,
        session: &Session,
        key: &Key,
        now: Slot<SessionRecord>,
        digest: &Digest,
        own: Option<AppendState>,
    ) -> Result<()> {
        match &now.record {
            Some(record) if record.is_publishing() => {
                let records = self.load_pair(&session.repository, digest).await?;
                self.repeat(session, key, &now, record, digest, records, own.as_ref()).await
            }
            Some(record) if record.state == SessionState::Open => Err(self.mismatch(session, record.offset)),
            _ => Err(Error::UploadUnknown),
        }
    }

    /// A session that is being published already: the attempt recorded there is continued (r3).
    #[expect(clippy::too_many_arguments, reason = "a session, an attempt, and what is known of both")]
    async fn repeat(
        &self,
        session: &Session,
        key: &Key,
        found: &Slot<SessionRecord>,
        record: &SessionRecord,
        digest: &Digest,
        (blob, link): (Slot<Pointer>, Slot<Pointer>),
        own: Option<&AppendState>,
    ) -> Result<()> {
        let publish = record.publish.as_ref().ok_or(Error::UploadUnknown)?;
        if publish.digest != *digest {
            return Err(Error::DigestMismatch { expected: *digest, computed: publish.digest });
        }
        // What a blob record names was brought about before it did.
        if visible(&blob).is_none_or(|(_, inst)| *inst != publish.inst) {
            self.bring_about(key, found, record, Closer::Other(own)).await?;
        }
        let own = Pointer::live(publish.inst.clone(), publish.size);
        let mut attempt = Attempt { expect: publish.expect.clone(), was: publish.was };
        if self.broken(Mutation::RepeatedPutStartsNewAttempt) {
            let blob = self.load(&layout::blob(&publish.digest)).await?;
            attempt = Attempt::bound_to(&blob);
            let again = Publishing { expect: attempt.expect.clone(), was: attempt.was, ..publish.clone() };
            let again = SessionRecord { publish: Some(again), ..record.clone() };
            self.swap(key, found.version.as_ref(), &again).await?;
        }
        if self.broken(Mutation::RepeatedPutAnnouncesAgain) {
            self.publish_again(&publish.digest, &own).await?;
        }
        self.publish(&session.repository, &publish.digest, &own, &attempt, link, None).await
    }
}

impl Inner {
    /// The mistake of r12, for the test of the tests.
    async fn recreate(&self, key: &Key, found: Slot<SessionRecord>) -> Result<()> {
        let record = found.record.ok_or(Error::UploadUnknown)?;
        self.swap(key, None, &record).await?;
        Err(Error::busy("the session was made anew"))
    }
}

/// Who completes the upload of a session that is being published.
#[derive(Clone, Copy)]
enum Closer<'a> {
    /// Whoever recorded the parts just now.
    Recorder,
    /// Somebody else, with parts of his own if he closed it at the same time.
    Other(Option<&'a AppendState>),
}

/// Bytes of our own, durable, of which it is decided what they consist of.
struct Own {
    pointer: Pointer,
    superseded: Vec<Key>,
    drafts: Option<Drafts>,
    /// What makes them visible at their key, where they are not.
    completion: Option<AppendState>,
    /// Their digest is not known to be the one they are closed with.
    claimed: bool,
}

impl From<Sealed> for Own {
    fn from(Sealed { finished, completion }: Sealed) -> Self {
        let pointer = Pointer::live(finished.key, finished.size);
        Self { pointer, superseded: finished.superseded, drafts: None, completion, claimed: false }
    }
}

/// A body that counts what passed.
struct Counted<S> {
    body: S,
    received: u64,
}

impl<S> Stream for Counted<S>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        let polled = self.body.poll_next_unpin(cx);
        if let std::task::Poll::Ready(Some(Ok(chunk))) = &polled {
            self.received += chunk.len() as u64;
        }
        polled
    }
}

const fn size_mismatch(expected: u64, actual: u64) -> Error {
    Error::SizeMismatch { expected, actual }
}
