//! Signatures by IAM: each attempt is bounded, and a failure is remembered.
//!
//! Such a signature is a request on the way of a pull, which goes on without: the blob is then sent by the
//! registry itself. Where IAM refuses or is silent, it does so for every pull, so for a while nobody asks it
//! again, and then one does before all.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entrepot_storage::{Error, ErrorKind, Result};
use google_cloud_auth::signer;
use tokio::time::Instant;

use crate::NAME;

/// How long a pull waits for a signature, the account's name included. A signature takes a tenth of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// How long a failure holds.
pub(crate) const REST: Duration = Duration::from_secs(30);

/// What is known about IAM's willingness.
#[derive(Debug, Default)]
pub(crate) struct Iam(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    /// Nobody asks before; `None` while it signs.
    rests_until: Option<Instant>,
    /// When a failure was last logged.
    told_at: Option<Instant>,
}

impl Iam {
    /// Whether it failed a moment ago.
    pub(crate) fn rests(&self) -> bool {
        self.standing().rests_until.is_some_and(|end| Instant::now() < end)
    }

    /// Whether the caller may ask now. After a failure it is one at a time who finds out whether it is over,
    /// so that a silent IAM holds up one pull and not all.
    pub(crate) fn takes(&self) -> bool {
        let (now, mut standing) = (Instant::now(), self.standing());
        match &mut standing.rests_until {
            None => true,
            Some(end) if now < *end => false,
            Some(end) => {
                // Whoever asks may be dropped before it knows, so this ends by itself too.
                *end = now + PATIENCE;
                true
            }
        }
    }

    /// Forgets a failure, for who wants to know how it is now.
    pub(crate) fn wake(&self) {
        self.standing().rests_until = None;
    }

    /// Waits for `work`, and remembers what became of it. A failure is never retryable: nothing but time
    /// makes it better, and the budget for asking again is the store's.
    pub(crate) async fn ask<T>(&self, work: impl Future<Output = signer::Result<T>>) -> Result<T> {
        let why = match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(signed)) => {
                self.wake();
                return Ok(signed);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        self.rest(&why);
        let kind = ErrorKind::Backend { retryable: false };
        Err(Error::new(NAME, kind).because(format!("no signature by IAM: {why}")))
    }

    fn rest(&self, why: &str) {
        let now = Instant::now();
        let mut standing = self.standing();
        standing.rests_until = Some(now + REST);
        if standing.told_at.is_some_and(|told| now.duration_since(told) < REST) {
            return;
        }
        standing.told_at = Some(now);
        drop(standing);
        tracing::warn!(
            error = why,
            "IAM signs no URLs, so blobs are sent by the registry itself; it is asked again after {REST:?}. Grant \
             roles/iam.serviceAccountTokenCreator on the signing account to whoever the registry is, and enable \
             the API iamcredentials.googleapis.com"
        );
    }

    /// No holder leaves it half changed, so a panic elsewhere does not spoil it.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
