//! Mounting a blob from another repository: `protocol.md` 2.3. No byte moves.

use entrepot_oci::{Digest, RepositoryName};
use futures_util::future::try_join;

use super::publish::visible;
use crate::error::Result;
use crate::layout;
use crate::record::{ATTEMPTS, Life, Pointer, Slot, Swap};
use crate::registry::{Inner, Registry};

/// How a mount ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// The repository now holds the blob.
    Mounted,
    /// It does not: the source has no such blob, or it is going away. The client uploads instead.
    Declined,
}

/// How many repositories are looked through for one the caller may read.
const CANDIDATES: usize = 100;

impl Registry {
    /// Links `name` to a blob of `from`. Whether the caller may read `from` is decided before.
    pub async fn mount_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: &RepositoryName,
    ) -> Result<Mount> {
        self.0.writable(name)?;
        let source_key = layout::link(digest, from);
        let (source, (blob, link)) =
            try_join(self.0.load::<Pointer>(&source_key), self.0.load_pair(name, digest)).await?;
        if visible(&source).is_none() {
            return Ok(Mount::Declined);
        }
        self.0.mount(name, digest, blob, link).await
    }

    /// Repositories that hold the blob, at most 100 of them: where a mount without a source may look.
    pub async fn holders(&self, digest: &Digest) -> Result<Vec<RepositoryName>> {
        let prefix = layout::links_of(digest);
        let page = self.0.store.list(&prefix, None, CANDIDATES).await?;
        let live = page.objects.iter().filter(|meta| crate::record::Class::of_size(meta.size).is_visible());
        Ok(live.filter_map(|meta| layout::repository_of(layout::last_segment(&meta.key))).collect())
    }
}

impl Inner {
    async fn mount(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        blob: Slot<Pointer>,
        mut link: Slot<Pointer>,
    ) -> Result<Mount> {
        let Some((seen, _)) = visible(&blob) else { return Ok(Mount::Declined) };
        let link_key = layout::link(digest, name);
        let mut claim = seen.in_state(Life::Live);
        for attempt in 0..ATTEMPTS {
            let wanted = match &link.record {
                Some(live) if live.state == Life::Live => None,
                Some(condemned) if condemned.visible().is_some() => Some(condemned.in_state(Life::Live)),
                _ => Some(claim.clone()),
            };
            let held = match wanted {
                None => link,
                Some(wanted) => match self.swap(&link_key, link.version.as_ref(), &wanted).await? {
                    Swap::Won(version) => {
                        Slot { record: Some(wanted), version: Some(version), ..Slot::absent() }
                    }
                    Swap::Lost(now) => {
                        link = now;
                        self.pause(attempt).await;
                        continue;
                    }
                },
            };
            // The blob record is read once more, after the link was written (r6, r8).
            let Some(blob) = self.rescue_blob(digest).await? else { return Ok(Mount::Declined) };
            if held.record.as_ref().is_some_and(|link| link.inst == blob.inst) {
                return Ok(Mount::Mounted);
            }
            match self.swap(&link_key, held.version.as_ref(), &blob).await? {
                Swap::Won(_) => return Ok(Mount::Mounted),
                Swap::Lost(now) => link = now,
            }
            claim = blob;
            self.pause(attempt).await;
        }
        // Too much contention: the client uploads instead, which always works.
        Ok(Mount::Declined)
    }
}
