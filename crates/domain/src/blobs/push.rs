//! Pushing a blob in one request: `protocol.md` 2.1.

use bytes::Bytes;
use entrepot_oci::{Digest, Hasher, RepositoryName};
use entrepot_storage::{AppendOptions, AppendState, Appender, Finished, Sealed, Suspended};
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::future::try_join;

use super::BodyError;
use super::publish::{Attempt, Drafts, visible};
use crate::error::{Error, Result};
use crate::layout;
use crate::mutation::Mutation;
use crate::record::{Pointer, Slot};
use crate::registry::{Inner, Registry};

impl Registry {
    /// Stores the body under `digest` and links `name` to it. `size` is the announced length, if any.
    ///
    /// The body is hashed as it arrives and nothing becomes visible before it has the right digest. Where
    /// the blob is known already its bytes are checked but not stored. No session record is written;
    /// repeating the request is safe. Three PUTs and two GETs for a new blob.
    pub async fn put_blob<S>(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        size: Option<u64>,
        body: S,
    ) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        self.0.put_blob(name, digest, size, None, body).await.map(|_| ())
    }
}

impl Inner {
    /// As [`Registry::put_blob`]. `owner` is the session whose token was used, if any. Answers the number
    /// of bytes received.
    pub(crate) async fn put_blob<S>(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        size: Option<u64>,
        owner: Option<&str>,
        body: S,
    ) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        self.writable(name)?;
        self.check_blob_size(size.unwrap_or(0))?;
        // The blob record is read before the bytes exist anywhere (r2).
        let (mut blob, link) = self.load_pair(name, digest).await?;
        if self.is_intact(&blob).await? {
            let received = self.drain(digest, size, body).await?;
            let (known, _) = visible(&blob).expect("an intact blob is visible");
            self.settle(name, digest, known, Some(link)).await?;
            return Ok(received);
        }
        let mut attempt = self.attempt_over(&blob);
        let draft = |own| self.draft_ahead_of_bytes(name, digest, own, &attempt, &link);
        let (own, drafts) = self.store_bytes(digest, size, owner, body, draft).await?;
        if self.broken(Mutation::VersionReadAfterData) {
            blob = self.load(&layout::blob(digest)).await?;
            attempt = self.attempt_over(&blob);
        }
        let received = own.size;
        self.publish(name, digest, &own, &attempt, link, drafts).await?;
        Ok(received)
    }

    /// The attempt of bytes that were stored although a record existed: one whose bytes are damaged is
    /// published over, as if it were dead.
    fn attempt_over(&self, blob: &Slot<Pointer>) -> Attempt {
        let mut attempt = Attempt::bound_to(blob);
        if visible(blob).is_some() && !self.broken(Mutation::VersionReadAfterData) {
            tracing::warn!(inst = ?blob.record.as_ref().and_then(|record| record.inst.clone()), "blob_repaired");
            attempt.was = crate::record::BlobThen::Free;
        }
        attempt
    }

    pub(crate) async fn load_pair(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<(Slot<Pointer>, Slot<Pointer>)> {
        let (blob_key, link_key) = (layout::blob(digest), layout::link(digest, name));
        try_join(self.load(&blob_key), self.load(&link_key)).await
    }

    /// Whether the record is visible and its bytes are there in full. Bytes that vanished or were cut
    /// under the registry are what a client means to repair by sending them again.
    async fn is_intact(&self, blob: &Slot<Pointer>) -> Result<bool> {
        let Some((record, key)) = visible(blob) else { return Ok(false) };
        use entrepot_storage::StorageDriverExt as _;
        let stored = self.store.stat_if_present(key).await?;
        Ok(stored.is_some_and(|meta| meta.size == record.size))
    }

    /// Hashes a body that need not be stored.
    async fn drain<S>(&self, digest: &Digest, size: Option<u64>, mut body: S) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let mut hasher = Hasher::new(digest.algorithm());
        let mut received = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| Error::BodyBroken(error.to_string()))?;
            received += chunk.len() as u64;
            self.check_blob_size(received)?;
            hasher.update(&chunk);
        }
        check(digest, &hasher.finish(), size, received)?;
        Ok(received)
    }

    /// Streams a body to fresh bytes that become visible only once their digest is right. `draft` is
    /// called once it is, with what will point to them.
    async fn store_bytes<S>(
        &self,
        digest: &Digest,
        size: Option<u64>,
        owner: Option<&str>,
        mut body: S,
        draft: impl Fn(Pointer) -> Option<Drafts>,
    ) -> Result<(Pointer, Option<Drafts>)>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let hasher = Hasher::new(digest.algorithm());
        let mut intake = Intake::open(self, None, hasher, 0, self.data_keys(owner, Some(*digest))).await?;
        let stored = intake
            .take_all(self, &mut body)
            .await
            .and_then(|()| check(digest, &intake.hasher.clone().finish(), size, intake.received));
        match stored {
            Ok(()) => {
                let drafts = draft(intake.destination());
                let finished = intake.finish().await?;
                Ok((Pointer::live(finished.key, finished.size), drafts))
            }
            Err(error) => {
                intake.abandon().await;
                Err(error)
            }
        }
    }

    /// Makes keys for fresh bytes; none is ever made twice.
    pub(crate) fn data_keys(
        &self,
        owner: Option<&str>,
        digest: Option<Digest>,
    ) -> impl FnMut() -> entrepot_storage::Key + Send + 'static {
        let owner = owner.map(str::to_owned);
        let entropy = std::sync::Arc::clone(&self.entropy);
        let reused = self.broken(Mutation::DataKeyReused);
        move || {
            let mut raw = [0; 16];
            entropy.fill(&mut raw);
            let random = match digest {
                Some(digest) if reused => digest.hex()[..32].to_owned(),
                _ => format!("{:032x}", u128::from_be_bytes(raw)),
            };
            layout::data(owner.as_deref(), &random, digest.as_ref())
        }
    }

    pub(crate) fn check_blob_size(&self, size: u64) -> Result<()> {
        match self.config.max_blob_bytes {
            Some(limit) if size > limit => Err(Error::TooLarge { limit }),
            _ => Ok(()),
        }
    }

    pub(crate) fn append_options(&self) -> AppendOptions {
        AppendOptions {
            part_size: self.config.part_bytes,
            parts_in_flight: self.config.parts_in_flight,
            budget: self.budget.clone(),
        }
    }
}

/// Compares what arrived with what was announced.
pub(crate) fn check(expected: &Digest, computed: &Digest, size: Option<u64>, received: u64) -> Result<()> {
    if let Some(size) = size
        && size != received
    {
        return Err(Error::SizeMismatch { expected: size, actual: received });
    }
    if expected != computed {
        return Err(Error::DigestMismatch { expected: *expected, computed: *computed });
    }
    Ok(())
}

/// A body on its way to the store: hashed once, cut into parts once, never gathered.
pub(crate) struct Intake {
    appender: Appender,
    /// The hash over everything received, earlier requests included.
    pub(crate) hasher: Hasher,
    /// Bytes received, earlier requests included.
    pub(crate) received: u64,
    /// The hash at the ends of parts that are not yet known to be durable.
    marks: std::collections::VecDeque<(u64, Hasher)>,
    checkpointed: u64,
}

/// Where a body stood at a moment when that was made durable.
pub(crate) struct Checkpoint {
    pub(crate) offset: u64,
    pub(crate) hasher: Hasher,
    pub(crate) append: AppendState,
}

impl Intake {
    pub(crate) async fn open(
        registry: &Inner,
        state: Option<AppendState>,
        hasher: Hasher,
        received: u64,
        keys: impl FnMut() -> entrepot_storage::Key + Send + 'static,
    ) -> Result<Self> {
        let store = std::sync::Arc::clone(&registry.store);
        let appender = Appender::open(store, state, keys, &registry.append_options()).await?;
        Ok(Self { appender, hasher, received, marks: Default::default(), checkpointed: received })
    }

    /// Takes one chunk, of which the next checkpoint can tell.
    pub(crate) async fn take(&mut self, registry: &Inner, chunk: Bytes) -> Result<()> {
        self.take_in_parts(registry, chunk, |intake| {
            intake.marks.push_back((intake.received, intake.hasher.clone()));
        })
        .await
    }

    /// Takes one chunk, cut at part ends.
    async fn take_in_parts(
        &mut self,
        registry: &Inner,
        mut chunk: Bytes,
        filled: impl Fn(&mut Self),
    ) -> Result<()> {
        registry.check_blob_size(self.received + chunk.len() as u64)?;
        while !chunk.is_empty() {
            let room = usize::try_from(self.appender.room()).unwrap_or(usize::MAX);
            let piece = chunk.split_to(room.min(chunk.len()));
            let fills = piece.len() == room;
            self.hasher.update(&piece);
            self.received += piece.len() as u64;
            self.appender.append(piece).await?;
            if fills {
                filled(self);
            }
        }
        Ok(())
    }

    /// Takes a whole body, without checkpoints: a mark for each part would stay to the end.
    pub(crate) async fn take_all<S>(&mut self, registry: &Inner, body: &mut S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| Error::BodyBroken(error.to_string()))?;
            self.take_in_parts(registry, chunk, |_| {}).await?;
        }
        Ok(())
    }

    /// Whether enough has arrived since the last checkpoint for another.
    pub(crate) fn wants_checkpoint(&self, every: u64) -> bool {
        self.received - self.checkpointed >= every
    }

    /// Makes everything up to the last part's end durable and says where that is.
    pub(crate) async fn checkpoint(&mut self) -> Result<Option<Checkpoint>> {
        self.checkpointed = self.received;
        let Some(append) = self.appender.checkpoint().await? else { return Ok(None) };
        let offset = append.size();
        while self.marks.front().is_some_and(|(at, _)| *at < offset) {
            self.marks.pop_front();
        }
        match self.marks.front() {
            Some((at, hasher)) if *at == offset => {
                Ok(Some(Checkpoint { offset, hasher: hasher.clone(), append }))
            }
            _ => Ok(None),
        }
    }

    /// What will point to the bytes once they are finished.
    pub(crate) fn destination(&mut self) -> Pointer {
        Pointer::live(self.appender.destination(), self.received)
    }

    pub(crate) async fn suspend(self) -> Result<Suspended> {
        Ok(self.appender.suspend().await?)
    }

    pub(crate) async fn finish(self) -> Result<Finished> {
        Ok(self.appender.finish().await?)
    }

    pub(crate) async fn seal(self) -> Result<Sealed> {
        Ok(self.appender.seal().await?)
    }

    /// Gives up bytes nobody was told of. What cannot be deleted now is found by the orphan sweep.
    pub(crate) async fn abandon(self) {
        if let Err(error) = self.appender.abandon().await {
            tracing::debug!(%error, "an abandoned upload is left to the orphan sweep");
        }
    }
}
