//! Making bytes known: the publish attempt of `protocol.md` 2.1 and 2.2, and what follows a lost race.
//!
//! Each stretch of bytes gets one attempt, bound to one version of the blob record that was read before
//! the bytes existed or the session moved. Once that attempt is spent, own bytes are never written into
//! the blob record again (r1, r13), and a living link is rewritten only right after the blob record was
//! read (r8).

use entrepot_oci::{Digest, RepositoryName};
use entrepot_storage::{Key, Version};
use futures_util::future::try_join;

use crate::error::{Error, Result};
use crate::layout;
use crate::mutation::Mutation;
use crate::record::{ATTEMPTS, BlobThen, Draft, Life, Pointer, Slot, Swap};
use crate::registry::Inner;

/// The one publish attempt some bytes get.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The version the blob record must still have; `None` for absence.
    pub(crate) expect: Option<Version>,
    /// What it was then.
    pub(crate) was: BlobThen,
}

impl Attempt {
    /// The attempt bound to what was just read.
    pub(crate) fn bound_to(blob: &Slot<Pointer>) -> Self {
        let was = if visible(blob).is_some() { BlobThen::Taken } else { BlobThen::Free };
        Self { expect: blob.version.clone(), was }
    }
}

/// The records of an attempt. They may be on their way to the store while the bytes they name are, and are
/// written only after those are durable.
pub(crate) struct Drafts {
    /// What they say.
    own: Pointer,
    blob: Draft,
    link: Draft,
}

/// A record readers see, with its data key.
pub(crate) fn visible(slot: &Slot<Pointer>) -> Option<(&Pointer, &Key)> {
    let record = slot.record.as_ref()?;
    record.visible().map(|key| (record, key))
}

impl Inner {
    /// Drafts the records by which `own` will be published, if `attempt` and `link` let them be
    /// written as they are.
    pub(crate) fn draft_ahead_of_bytes(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        own: Pointer,
        attempt: &Attempt,
        link: &Slot<Pointer>,
    ) -> Option<Drafts> {
        if attempt.was == BlobThen::Taken || visible(link).is_some() {
            return None;
        }
        let blob = self.draft_ahead(&layout::blob(digest), &own);
        let link = self.draft_ahead(&layout::link(digest, name), &own);
        Some(Drafts { own, blob, link })
    }

    /// Publishes `own` under `digest` and links `name` to it, or to what is there already.
    ///
    /// `link` is the link as it was read beside the blob record. Two PUTs where nobody races.
    pub(crate) async fn publish(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        own: &Pointer,
        attempt: &Attempt,
        link: Slot<Pointer>,
        drafts: Option<Drafts>,
    ) -> Result<()> {
        if attempt.was == BlobThen::Taken {
            return self.settle(name, digest, own, Some(link)).await;
        }
        let drafts = drafts.filter(|drafts| drafts.own == *own).unwrap_or_else(|| Drafts {
            own: own.clone(),
            blob: self.draft(own),
            link: self.draft(own),
        });
        let blob_key = layout::blob(digest);
        let publish = self.swap_draft::<Pointer>(&blob_key, attempt.expect.as_ref(), drafts.blob);
        if visible(&link).is_some() {
            if self.broken(Mutation::PublishOverwritesLivingLink) {
                publish.await?;
                self.swap(&layout::link(digest, name), link.version.as_ref(), own).await?;
                return Ok(());
            }
            publish.await?;
            return self.settle(name, digest, own, None).await;
        }
        let link_key = layout::link(digest, name);
        let claim = self.swap_draft::<Pointer>(&link_key, link.version.as_ref(), drafts.link);
        let (published, claimed) = try_join(publish, claim).await?;
        if published.is_won() && claimed.is_won() {
            return Ok(());
        }
        if self.broken(Mutation::SecondAttemptSameInstance)
            && let Swap::Lost(_) = published
        {
            self.publish_again(digest, own).await?;
        }
        self.settle(name, digest, own, None).await
    }

    /// Step 5: links `name` to whatever the blob record names now. `claim` is what a new link says until
    /// the blob record has been read. `seen` is the link as it was read earlier in the same request: good
    /// for a compare-and-swap, but a link that was live then is read again.
    pub(crate) async fn settle(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        claim: &Pointer,
        seen: Option<Slot<Pointer>>,
    ) -> Result<()> {
        let link_key = layout::link(digest, name);
        let is_live = |link: &Pointer| link.state == Life::Live;
        let mut seen = seen.filter(|slot| !slot.record.as_ref().is_some_and(is_live));
        for attempt in 0..ATTEMPTS {
            if let Some((link, version)) = self.claim_link(&link_key, claim, seen.take()).await? {
                let Some(blob) = self.rescue_blob(digest).await? else {
                    return Err(Error::busy("the blob was collected under this push"));
                };
                if link.inst == blob.inst {
                    return Ok(());
                }
                // The blob record was read after the link: now, and only now, the link may be repaired.
                if self.swap(&link_key, version.as_ref(), &blob).await?.is_won() {
                    return Ok(());
                }
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many pushes of one blob at once"))
    }

    /// Reads the link, unless it was `seen`, and makes it live: creates a claim, or rescues a condemned
    /// one. `None` after a lost race.
    async fn claim_link(
        &self,
        key: &Key,
        claim: &Pointer,
        seen: Option<Slot<Pointer>>,
    ) -> Result<Option<(Pointer, Option<Version>)>> {
        let found = match seen {
            Some(seen) => seen,
            None => self.load::<Pointer>(key).await?,
        };
        let wanted = match &found.record {
            Some(link) if link.state == Life::Live => return Ok(Some((link.clone(), found.version))),
            Some(link) if link.visible().is_some() => link.in_state(Life::Live),
            _ => claim.clone(),
        };
        match self.swap(key, found.version.as_ref(), &wanted).await? {
            Swap::Won(version) => Ok(Some((wanted, Some(version)))),
            Swap::Lost(_) => Ok(None),
        }
    }

    /// Reads the blob record and makes sure that it is live. `None` where it is dead or absent.
    pub(crate) async fn rescue_blob(&self, digest: &Digest) -> Result<Option<Pointer>> {
        let key = layout::blob(digest);
        let mut found = self.load::<Pointer>(&key).await?;
        for attempt in 0..ATTEMPTS {
            let Some((blob, _)) = visible(&found) else { return Ok(None) };
            if blob.state == Life::Live {
                return Ok(Some(blob.clone()));
            }
            let rescued = blob.in_state(Life::Live);
            match self.swap(&key, found.version.as_ref(), &rescued).await? {
                Swap::Won(_) => return Ok(Some(rescued)),
                Swap::Lost(now) => found = now,
            }
            self.pause(attempt).await;
        }
        Err(Error::busy("too many changes of one blob at once"))
    }

    /// The mistake of r1, for the test of the tests.
    pub(crate) async fn publish_again(&self, digest: &Digest, own: &Pointer) -> Result<()> {
        let key = layout::blob(digest);
        let found = self.load::<Pointer>(&key).await?;
        if visible(&found).is_none() {
            self.swap(&key, found.version.as_ref(), own).await?;
        }
        Ok(())
    }
}
