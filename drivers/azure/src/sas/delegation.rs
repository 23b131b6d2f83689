//! User delegation keys: what signs URLs where we have no account key, fetched ahead and held.
//!
//! A key is asked for by its period, and periods are days: all replicas ask for the same one. Azure does
//! not promise that two askers with one identity get one key for one period. It keeps no keys, so the value
//! has to follow from identity and period, and Azurite's does; still, on Azure it is not verified.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use azure_core::http::RequestContent;
use azure_core::http::XmlFormat;
use azure_storage_blob::BlobServiceClient;
use azure_storage_blob::models::KeyInfo;
use entrepot_storage::{Error, ErrorKind, Result};

use super::instant;
use crate::error::{self, NAME};
use crate::shared_key::SigningKey;

const DAY: Duration = Duration::from_secs(86_400);
/// How far clocks may differ: a key is not used in the first hour of its day, when it would not be valid yet
/// by one that is late.
const SKEW: Duration = Duration::from_secs(3600);
/// How long a key lives from the beginning of its day. Azure allows seven days from now; a URL signed late
/// on a day with yesterday's key still lives for one.
const LIFE: Duration = Duration::from_secs(3 * 86_400 + SKEW.as_secs());
/// What a key is good for when the next day's takes over, an hour after the day's end.
pub(crate) const LONGEST: Duration = Duration::from_secs(2 * 86_400);
/// A key that ends sooner signs nothing any more.
const MARGIN: Duration = Duration::from_secs(3600);
/// How long a refusal holds for those who wait for a key: each of them asking again, one after the other,
/// would hold up every pull.
const REFUSAL: Duration = Duration::from_secs(5);
/// How long a failed renewal waits for the next: a valid key is held meanwhile.
const PAUSE: Duration = Duration::from_secs(30);

/// A key the service lent us for a while.
#[derive(Clone)]
pub(crate) struct DelegationKey {
    pub(crate) object_id: String,
    pub(crate) tenant_id: String,
    pub(crate) start: String,
    pub(crate) expiry: String,
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) expires_at: SystemTime,
    pub(crate) signing: SigningKey,
}

impl fmt::Debug for DelegationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelegationKey").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The keys held: today's, and yesterday's until today's is there.
pub(crate) struct Delegations {
    service: BlobServiceClient,
    held: Mutex<Held>,
    /// Held by whoever asks the service, so that only one does.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    /// With the day each is for. At most two.
    keys: Vec<(SystemTime, Arc<DelegationKey>)>,
    asked_at: Option<SystemTime>,
    /// When the service last refused, and how.
    refused: Option<(SystemTime, ErrorKind)>,
}

impl fmt::Debug for Delegations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delegations")
    }
}

impl Delegations {
    pub(crate) fn new(service: BlobServiceClient) -> Self {
        Self { service, held: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// The key for the day of `signed_at`, or another that is valid while that one is fetched in the
    /// background. Waits for the service only where no valid key is held.
    pub(crate) async fn key(self: &Arc<Self>, signed_at: SystemTime) -> Result<Arc<DelegationKey>> {
        let now = SystemTime::now();
        let day = day_for(signed_at, now);
        let (exact, other) = self.look(day, signed_at.max(now));
        match (exact, other) {
            (Some(key), _) => Ok(key),
            (None, Some(key)) => {
                self.renew(day, now);
                Ok(key)
            }
            (None, None) => self.fetch(day).await,
        }
    }

    /// The key for `day`, and any that is still good at `at`.
    fn look(
        &self,
        day: SystemTime,
        at: SystemTime,
    ) -> (Option<Arc<DelegationKey>>, Option<Arc<DelegationKey>>) {
        let held = self.held();
        let mut good = held.keys.iter().filter(|(_, key)| key.expires_at > at + MARGIN);
        let exact = good.clone().find(|(of, _)| *of == day).map(|(_, key)| Arc::clone(key));
        (exact, good.next_back().map(|(_, key)| Arc::clone(key)))
    }

    /// Fetches the key for `day` without anybody waiting for it.
    fn renew(self: &Arc<Self>, day: SystemTime, now: SystemTime) {
        let is_pausing = |asked: SystemTime| now.duration_since(asked).is_ok_and(|since| since < PAUSE);
        {
            let mut held = self.held();
            if held.asked_at.is_some_and(is_pausing) {
                return;
            }
            held.asked_at = Some(now);
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = this.fetch(day).await {
                tracing::warn!(%error, "the key that signs URLs could not be renewed; the present one goes on");
            }
        });
    }

    async fn fetch(&self, day: SystemTime) -> Result<Arc<DelegationKey>> {
        let _asking = self.asking.lock().await;
        // Somebody else may have been quicker while we waited.
        if let (Some(key), _) = self.look(day, SystemTime::now()) {
            return Ok(key);
        }
        self.repeat_refusal()?;
        let asked = self.ask(day).await;
        let mut held = self.held();
        held.refused = asked.as_ref().err().map(|error| (SystemTime::now(), error.kind()));
        let key = Arc::new(asked?);
        held.keys.retain(|(of, _)| *of != day);
        held.keys.push((day, Arc::clone(&key)));
        held.keys.sort_by_key(|(of, _)| *of);
        let surplus = held.keys.len().saturating_sub(2);
        held.keys.drain(..surplus);
        Ok(key)
    }

    /// Fails as the service did a moment ago.
    fn repeat_refusal(&self) -> Result<()> {
        match self.held().refused {
            Some((at, kind)) if at.elapsed().is_ok_and(|since| since < REFUSAL) => {
                Err(Error::new(NAME, kind).because("no key to sign URLs with was given a moment ago"))
            }
            _ => Ok(()),
        }
    }

    async fn ask(&self, day: SystemTime) -> Result<DelegationKey> {
        let (start, expiry) = (Some(day.into()), Some((day + LIFE).into()));
        let period = KeyInfo { start, expiry, ..Default::default() };
        let content: RequestContent<KeyInfo, XmlFormat> =
            period.try_into().map_err(|error| error::meaning(&error))?;
        let answer = self.service.get_user_delegation_key(content, None).await;
        let key = answer
            .and_then(azure_core::http::Response::into_model)
            .map_err(|error| error::meaning(&error))?;
        let missing =
            || Error::new(NAME, ErrorKind::Backend { retryable: false }).because("half a delegation key");
        let value = key.value.ok_or_else(missing)?;
        let (start, expiry) = key.signed_start.zip(key.signed_expiry).ok_or_else(missing)?;
        Ok(DelegationKey {
            object_id: key.signed_oid.ok_or_else(missing)?,
            tenant_id: key.signed_tid.ok_or_else(missing)?,
            start: instant(start.into()),
            expiry: instant(expiry.into()),
            service: key.signed_service.ok_or_else(missing)?,
            version: key.signed_version.ok_or_else(missing)?,
            expires_at: expiry.into(),
            signing: SigningKey::new(&value).map_err(|_| missing())?,
        })
    }

    /// No holder leaves it half changed, so a panic elsewhere does not spoil it.
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The day whose key signs a URL, the same on every replica.
fn day_for(signed_at: SystemTime, now: SystemTime) -> SystemTime {
    let day = day_of(signed_at.min(now));
    // A URL that was asked for days ago cannot be signed by a key of its own day.
    if day + LIFE > now + MARGIN { day } else { day_of(now) }
}

/// The day that began an hour ago or earlier.
fn day_of(at: SystemTime) -> SystemTime {
    let at = at.checked_sub(SKEW).unwrap_or(SystemTime::UNIX_EPOCH);
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since - since % DAY.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn at(hours: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * DAY.as_secs() + hours * HOUR)
    }

    /// At midnight a key was fetched whose time began at that moment, and Azure's clock was behind.
    #[test]
    fn no_key_is_used_in_the_first_hour_of_its_life() {
        let nearly_one = at(25) - Duration::from_secs(1);

        for (now, day) in [(at(24), at(0)), (nearly_one, at(0)), (at(25), at(24)), (at(47), at(24))] {
            assert_eq!(day_for(now, now), day);
        }
    }

    #[test]
    fn what_a_day_promises_its_key_holds_at_any_hour() {
        for minutes in 0..2 * 24 * 60 {
            let now = at(24) + Duration::from_secs(minutes * 60);

            assert!(day_for(now, now) + LIFE >= now + LONGEST, "{minutes}");
        }
    }

    #[test]
    fn a_url_of_long_ago_is_signed_by_a_key_of_today() {
        assert_eq!(day_for(at(24), at(240)), at(216));
        assert_eq!(day_for(at(30), at(54)), at(24), "one of yesterday by its own");
    }

    #[test]
    fn a_key_lives_no_longer_than_azure_allows() {
        assert!(LIFE <= 7 * DAY);
    }
}
