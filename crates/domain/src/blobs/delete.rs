//! Deleting a blob: its link in one repository (`protocol.md` 2.8). Bytes are left to the collector.

use entrepot_oci::{Digest, RepositoryName};

use crate::error::{Error, Result};
use crate::layout;
use crate::ports::CacheKey;
use crate::record::{ATTEMPTS, Life, Pointer, Swap};
use crate::registry::Registry;

impl Registry {
    /// Takes the blob out of the repository. Fails with [`Error::StillReferenced`] while a manifest of
    /// the repository names it: deleting it would leave a manifest that cannot be pulled.
    pub async fn delete_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        self.0.deletable(name)?;
        let key = layout::link(digest, name);
        // Shared caches forget first: an entry that outlived the link would open it again.
        self.0.cache.invalidate(&CacheKey::Link(name.clone(), *digest)).await;
        for attempt in 0..ATTEMPTS {
            let found = self.0.load::<Pointer>(&key).await?;
            let Some(link) = found.record.filter(|link| link.state != Life::Dead) else {
                if attempt > 0 {
                    // Another delete or a collector finished what this one began.
                    return Ok(());
                }
                return Err(self.0.blob_unknown(name.clone(), *digest));
            };
            let condemned = link.in_state(Life::Condemned);
            let Swap::Won(version) = self.0.swap(&key, found.version.as_ref(), &condemned).await? else {
                self.0.pause(attempt).await;
                continue;
            };
            // The search begins after the condemnation was answered: whoever names the blob from now on
            // has to rescue the link first, and then the kill below fails.
            if let Some(by) = self.0.manifest_naming(name, digest, false).await? {
                self.0.swap(&key, Some(&version), &link.in_state(Life::Live)).await?;
                return Err(Error::StillReferenced { by });
            }
            let killed = self.0.swap(&key, Some(&version), &link.in_state(Life::Dead)).await?;
            self.0.cache.invalidate(&CacheKey::Link(name.clone(), *digest)).await;
            match killed {
                // A push rescued it, or a collector that saw an older state healed it. The two look alike,
                // and a delete that was acknowledged for the second would never have happened.
                Swap::Lost(now) if now.record.as_ref().is_some_and(|link| link.state != Life::Dead) => {
                    self.0.pause(attempt).await;
                }
                Swap::Won(_) | Swap::Lost(_) => return Ok(()),
            }
        }
        Err(Error::busy("too many changes of one blob at once"))
    }
}
