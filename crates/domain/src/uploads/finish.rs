//! Closing a session: `protocol.md` 2.2, and 2.1 where one request carried everything.

use bytes::Bytes;
use entrepot_oci::{Algorithm, Digest, Hasher};
use entrepot_storage::{Finished, Key, ReadRange};
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::future::try_join;

use super::append::Standing;
use super::{Finish, Phase, Session};
use crate::blobs::{Attempt, BodyError, Drafts, Intake};
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
            Some(record) if record.state == SessionState::Publishing => {
                self.repeat(session, &key, &found, record, finish, link).await
            }
            Some(record) if record.state == SessionState::Open => {
                let attempt = Attempt::bound_to(&blob);
                let draft = |own| self.draft_ahead_of_bytes(name, &finish.digest, own, &attempt, &link);
                let own = match self.complete(session, &key, &found, finish, body, draft).await {
                    Ok(own) => own,
                    Err(error) => {
                        let now = self.moved_meanwhile(session, found.version.as_ref(), &error).await;
                        let Some(now) = now else { return Err(error) };
                        return self.join_attempt(session, &key, now, &finish.digest).await;
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

    /// Appends the rest, compares digests, makes the bytes visible at their own key. `draft` is called
    /// once the digest is known to be right, with what will point to them.
    async fn complete<S>(
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
            return self.complete_rehashed(intake, &finish.digest).await;
        }
        if computed != finish.digest {
            // The session ends before its bytes do: until then another request may publish them.
            self.kill_open(key, found, record).await?;
            intake.abandon().await;
            return Err(Error::DigestMismatch { expected: finish.digest, computed });
        }
        let drafts = draft(intake.destination());
        Ok(Own { drafts, ..Own::from(intake.finish().await?) })
    }

    /// The session was hashed with one algorithm and is closed with another's digest: the bytes are read
    /// once more. Nothing names them yet, so a wrong digest leaves nothing behind but an orphan.
    async fn complete_rehashed(&self, intake: Intake, digest: &Digest) -> Result<Own> {
        let own = Own::from(intake.finish().await?);
        let computed = self.rehash(&own.pointer, digest.algorithm()).await?;
        if computed != *digest {
            return Err(Error::DigestMismatch { expected: *digest, computed });
        }
        Ok(own)
    }

    async fn rehash(&self, pointer: &Pointer, algorithm: Algorithm) -> Result<Digest> {
        let key = pointer.visible().ok_or(Error::UploadUnknown)?;
        let mut hasher = Hasher::new(algorithm);
        if pointer.size > 0 {
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
        match self.swap(key, found.version.as_ref(), &record).await? {
            Swap::Won(_) => {}
            Swap::Lost(now) if now.record.is_none() && self.broken(Mutation::SessionRecreated) => {
                return self.recreate(key, found).await;
            }
            // Another replica closes the same session: its attempt is continued, not a second one begun.
            Swap::Lost(now) => return self.join_attempt(session, key, now, &digest).await,
        }
        let mut attempt = attempt;
        if self.broken(Mutation::VersionReadAfterSessionMoved) {
            blob = self.load(&layout::blob(&digest)).await?;
            attempt = Attempt::bound_to(&blob);
        }
        self.publish(&session.repository, &digest, &own.pointer, &attempt, link, own.drafts).await?;
        self.discard(own.superseded).await;
        Ok(())
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
        };
        Ok(SessionRecord {
            state: SessionState::Publishing,
            repository: session.repository.clone(),
            offset: own.pointer.size,
            hash: String::new(),
            append: None,
            publish: Some(publish),
        })
    }

    async fn join_attempt(
        &self,
        session: &Session,
        key: &Key,
        now: Slot<SessionRecord>,
        digest: &Digest,
    ) -> Result<()> {
        match &now.record {
            Some(record) if record.state == SessionState::Publishing => {
                let link = self.load(&layout::link(digest, &session.repository)).await?;
                let finish = Finish { digest: *digest, offset: None, body_size: None, total_size: None };
                self.repeat(session, key, &now, record, &finish, link).await
            }
            Some(record) if record.state == SessionState::Open => Err(self.mismatch(session, record.offset)),
            _ => Err(Error::UploadUnknown),
        }
    }

    /// A session that is being published already: the attempt recorded there is continued (r3).
    async fn repeat(
        &self,
        session: &Session,
        key: &Key,
        found: &Slot<SessionRecord>,
        record: &SessionRecord,
        finish: &Finish,
        link: Slot<Pointer>,
    ) -> Result<()> {
        let publish = record.publish.as_ref().ok_or(Error::UploadUnknown)?;
        if publish.digest != finish.digest {
            return Err(Error::DigestMismatch { expected: finish.digest, computed: publish.digest });
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

/// Bytes of our own, complete at their key.
struct Own {
    pointer: Pointer,
    superseded: Vec<Key>,
    drafts: Option<Drafts>,
}

impl From<Finished> for Own {
    fn from(finished: Finished) -> Self {
        let pointer = Pointer::live(finished.key, finished.size);
        Self { pointer, superseded: finished.superseded, drafts: None }
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
