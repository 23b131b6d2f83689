//! User delegation keys: what signs URLs where we have no account key, fetched ahead and held.
//!
//! The service is asked beside the calls, one question at a time: a call that is dropped does not end it, and
//! what comes of it is known to all. Who has no key waits for the answer no longer than a pull can bear, since
//! the registry sends the blob itself without one. Of a question that comes to nothing the first who waits for it
//! hears why, so that a log has it once; to all others there is no key.
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
use tokio::sync::watch;
use tokio::time::Instant;

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
/// How long a pull waits for a key, counted from the question: who comes late to a service that says nothing
/// does not wait again.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the service is given. Its key is still good for the pulls that follow.
const LONGEST_QUESTION: Duration = Duration::from_secs(30);
/// How long a refusal, or silence, holds for those who want a key: each of them asking again, one after the
/// other, would hold up every pull. They get none, and no failure that a retry would spend the store's budget on.
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
}

#[derive(Default)]
struct Held {
    /// With the day each is for. At most two.
    keys: Vec<(SystemTime, Arc<DelegationKey>)>,
    asked: Option<Question>,
    refused: Option<Refusal>,
    /// When the question was asked that somebody was told to be in vain.
    told: Option<Instant>,
}

/// When the service was asked, and what ends with the question.
type Question = (Instant, watch::Receiver<()>);

/// What is known without waiting.
enum AtOnce {
    Key(Arc<DelegationKey>),
    Refused,
    Asked(Question),
}

/// When the service last refused, and how.
struct Refusal {
    at: Instant,
    may_pass: bool,
    why: String,
}

impl Refusal {
    fn of(error: &Error) -> Self {
        let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        Self { at: Instant::now(), may_pass: error.is_retryable(), why }
    }
}

impl Held {
    /// The key for `day`, and any that is still good at `at`.
    fn good(
        &self,
        day: SystemTime,
        at: SystemTime,
    ) -> (Option<Arc<DelegationKey>>, Option<Arc<DelegationKey>>) {
        let mut good = self.keys.iter().filter(|(_, key)| key.expires_at > at + MARGIN);
        let exact = good.clone().find(|(of, _)| *of == day).map(|(_, key)| Arc::clone(key));
        (exact, good.next_back().map(|(_, key)| Arc::clone(key)))
    }

    /// The question that is still open, where one is.
    fn open_question(&self) -> Option<Question> {
        self.asked.clone().filter(|(_, question)| question.has_changed().is_ok())
    }

    /// The question that is open, or a new one that `ask` begins.
    fn question(&mut self, ask: impl FnOnce() -> Question) -> Question {
        let question = self.open_question().unwrap_or_else(ask);
        self.asked = Some(question.clone());
        question
    }

    /// Whether the caller is the first to hear that the question of `since` was in vain.
    fn is_news(&mut self, since: Instant) -> bool {
        self.told.replace(since) != Some(since)
    }

    fn refused_within(&self, time: Duration) -> Option<&Refusal> {
        self.refused.as_ref().filter(|refusal| refusal.at.elapsed() < time)
    }

    fn keep(&mut self, day: SystemTime, key: DelegationKey) {
        self.keys.retain(|(of, _)| *of != day);
        self.keys.push((day, Arc::new(key)));
        self.keys.sort_by_key(|(of, _)| *of);
        let surplus = self.keys.len().saturating_sub(2);
        self.keys.drain(..surplus);
    }
}

impl fmt::Debug for Delegations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delegations")
    }
}

impl Delegations {
    pub(crate) fn new(service: BlobServiceClient) -> Self {
        Self { service, held: Mutex::default() }
    }

    /// The key for the day of `signed_at`, or another that is valid while that one is fetched in the
    /// background. Waits for the service only where no valid key is held. `None` where the service gives none;
    /// the first who waited is told why. That is never retryable: nothing but time makes it better, and the
    /// budget for asking again is the store's.
    pub(crate) async fn key(self: &Arc<Self>, signed_at: SystemTime) -> Result<Option<Arc<DelegationKey>>> {
        let now = SystemTime::now();
        let day = day_for(signed_at, now);
        let (since, mut question) = match self.at_once(day, signed_at.max(now)) {
            AtOnce::Key(key) => return Ok(Some(key)),
            AtOnce::Refused => return Ok(None),
            AtOnce::Asked(question) => question,
        };
        // The error that ends the wait is the question's end.
        let waited = tokio::time::timeout_at(since + PATIENCE, question.changed()).await;
        let mut held = self.held();
        let (exact, other) = held.good(day, now);
        if let Some(key) = exact.or(other) {
            return Ok(Some(key));
        }
        if !held.is_news(since) {
            return Ok(None);
        }
        let refused = held.refused.as_ref().filter(|_| waited.is_ok());
        Err(failed(refused.map_or_else(|| silence(PATIENCE), |refusal| refusal.why.clone()), false))
    }

    /// Whether the service gives a key for now, for who wants to know why it does not: waits until the question
    /// ends, whatever came of the last. A failure is retryable where it may pass by itself.
    pub(crate) async fn inspect(self: &Arc<Self>) -> Result<()> {
        let now = SystemTime::now();
        let day = day_for(now, now);
        let (_, mut question) = {
            let mut held = self.held();
            if held.good(day, now).1.is_some() {
                return Ok(());
            }
            held.question(|| self.ask_beside(day))
        };
        // It is never answered, only ended.
        let _ = question.changed().await;
        let held = self.held();
        match (held.good(day, now).1, &held.refused) {
            (Some(_), _) => Ok(()),
            (None, Some(Refusal { why, may_pass, .. })) => Err(failed(why.clone(), *may_pass)),
            (None, None) => Err(failed(silence(LONGEST_QUESTION), true)),
        }
    }

    fn at_once(self: &Arc<Self>, day: SystemTime, at: SystemTime) -> AtOnce {
        let mut held = self.held();
        match held.good(day, at) {
            (Some(key), _) => AtOnce::Key(key),
            (None, Some(key)) => {
                if held.refused_within(PAUSE).is_none() {
                    held.question(|| self.ask_beside(day));
                }
                AtOnce::Key(key)
            }
            (None, None) if held.refused_within(REFUSAL).is_some() => AtOnce::Refused,
            (None, None) => AtOnce::Asked(held.question(|| self.ask_beside(day))),
        }
    }

    fn ask_beside(self: &Arc<Self>, day: SystemTime) -> Question {
        let this = Arc::clone(self);
        let (open, question) = watch::channel(());
        tokio::spawn(async move {
            let answer = tokio::time::timeout(LONGEST_QUESTION, this.ask(day)).await;
            this.learn(day, answer.unwrap_or_else(|_| Err(failed(silence(LONGEST_QUESTION), true))));
            drop(open);
        });
        (Instant::now(), question)
    }

    fn learn(&self, day: SystemTime, answer: Result<DelegationKey>) {
        let mut held = self.held();
        match answer {
            Ok(key) => {
                held.refused = None;
                held.keep(day, key);
            }
            Err(error) => {
                if held.good(day, SystemTime::now()).1.is_some() {
                    tracing::warn!(%error, "the key that signs URLs could not be renewed; the present one goes on");
                }
                held.refused = Some(Refusal::of(&error));
            }
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

fn silence(time: Duration) -> String {
    format!("no good key to sign URLs with within {time:?}")
}

fn failed(why: String, retryable: bool) -> Error {
    Error::new(NAME, ErrorKind::Backend { retryable }).because(why)
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use azure_core::http::headers::Headers;
    use azure_core::http::{
        AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, StatusCode, Transport,
    };
    use azure_storage_blob::BlobServiceClientOptions;
    use entrepot_storage::decorate::{Retry, RetryPolicy};
    use entrepot_storage::{PresignOptions, StorageDriver as _};

    use super::*;
    use crate::{AzureDriver, Config, Credentials};

    const HOUR: u64 = 3600;

    /// A service that does as it is told, and counts.
    #[derive(Debug)]
    struct Service {
        asked: AtomicUsize,
        mood: Mutex<Mood>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Mood {
        Hangs,
        Refuses,
        /// Has no time.
        Throttles,
        /// Gives a key after this time.
        Gives(Duration),
    }

    #[async_trait]
    impl HttpClient for Service {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let mood = *self.mood.lock().unwrap();
            let answer =
                |status, body: String| Ok(AsyncRawResponse::from_bytes(status, Headers::new(), body));
            match mood {
                Mood::Hangs => std::future::pending().await,
                Mood::Refuses => answer(StatusCode::Forbidden, String::new()),
                Mood::Throttles => answer(StatusCode::ServiceUnavailable, String::new()),
                Mood::Gives(pause) => {
                    tokio::time::sleep(pause).await;
                    answer(StatusCode::Ok, lent())
                }
            }
        }
    }

    impl Service {
        fn becomes(&self, mood: Mood) {
            *self.mood.lock().unwrap() = mood;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    /// A key of today, as the service writes it.
    fn lent() -> String {
        let day = day_of(SystemTime::now());
        let (start, end) = (instant(day), instant(day + LIFE));
        format!(
            "<UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid><SignedStart>{start}</SignedStart>\
             <SignedExpiry>{end}</SignedExpiry><SignedService>b</SignedService><SignedVersion>2026-04-06</SignedVersion>\
             <Value>a2V5</Value></UserDelegationKey>"
        )
    }

    fn lender(mood: Mood) -> (Arc<Service>, Arc<Delegations>) {
        let service = Arc::new(Service { asked: AtomicUsize::default(), mood: mood.into() });
        let client_options = ClientOptions {
            transport: Some(Transport::new(Arc::clone(&service) as _)),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let options = BlobServiceClientOptions { client_options, ..Default::default() };
        let url = "https://example.blob.core.windows.net".parse().unwrap();
        let client = BlobServiceClient::new(url, None, Some(options)).unwrap();
        (service, Arc::new(Delegations::new(client)))
    }

    fn options() -> PresignOptions {
        PresignOptions {
            signed_at: SystemTime::now(),
            expires_in: Duration::from_secs(60),
            content_type: None,
        }
    }

    /// A driver whose keys are lent by this one.
    fn signing_by(lender: Arc<Delegations>) -> AzureDriver {
        let config = Config::new("example", "images", Credentials::SharedKey("a2V5".into()));
        AzureDriver::open(&config).unwrap().signing_by(lender)
    }

    async fn key(lender: &Arc<Delegations>) -> Result<Option<Arc<DelegationKey>>> {
        lender.key(SystemTime::now()).await
    }

    /// Each pull waited for as long as it was allowed to, and three times, since nobody remembered.
    #[tokio::test(start_paused = true)]
    async fn a_silent_service_is_waited_for_once_and_in_seconds() {
        let (service, lender) = lender(Mood::Hangs);
        let began = Instant::now();

        let all = futures_util::future::join_all((0..10).map(|_| key(&lender))).await;
        let late = key(&lender).await.unwrap();

        assert_eq!(began.elapsed(), PATIENCE);
        let told: Vec<_> = all.iter().filter_map(|key| key.as_ref().err()).collect();
        let [told] = told[..] else { panic!("one is told, for the log: {told:?}") };
        assert!(!told.is_retryable(), "{told}");
        assert!(all.iter().all(|key| matches!(key, Err(_) | Ok(None))));
        assert!(late.is_none());
        assert_eq!(service.asked(), 1);
        tokio::time::sleep(LONGEST_QUESTION - PATIENCE + Duration::from_millis(1)).await;
        assert!(key(&lender).await.unwrap().is_none(), "silence is a refusal");
        assert_eq!(service.asked(), 1);
        service.becomes(Mood::Gives(Duration::ZERO));
        tokio::time::sleep(REFUSAL).await;
        assert!(key(&lender).await.unwrap().is_some(), "it is asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_does_not_end_the_question() {
        let (service, lender) = lender(Mood::Gives(Duration::from_secs(2)));

        let dropped = tokio::time::timeout(Duration::from_secs(1), key(&lender)).await;
        let began = Instant::now();
        let next = key(&lender).await;

        assert!(dropped.is_err());
        assert!(matches!(next, Ok(Some(_))), "{next:?}");
        assert_eq!(began.elapsed(), Duration::from_secs(1), "it had been asked for");
        assert_eq!(service.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_comes_late_signs_what_follows() {
        let (service, lender) = lender(Mood::Gives(2 * PATIENCE));
        key(&lender).await.unwrap_err();

        tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;

        assert!(key(&lender).await.unwrap().is_some());
        assert_eq!(service.asked(), 1);
    }

    /// Each pull paused and spent what the store's own calls may be repeated with, while a refusal held that
    /// might pass.
    #[tokio::test(start_paused = true)]
    async fn a_refusal_holds_for_those_who_come_after_it_and_costs_no_retries() {
        for mood in [Mood::Refuses, Mood::Throttles] {
            let (service, lender) = lender(mood);
            let driver = Arc::new(signing_by(lender));
            let retried = Retry::new(driver, RetryPolicy::default());
            let began = Instant::now();
            let url = async || retried.presign_get(&"data/a".parse().unwrap(), &options()).await;

            let first = url().await.unwrap_err();
            let second = url().await.unwrap();

            assert_eq!(first.kind(), ErrorKind::Backend { retryable: false });
            assert!(first.to_string().contains("403") || first.to_string().contains("503"), "{first}");
            assert!(second.is_none());
            assert_eq!((service.asked(), began.elapsed()), (1, Duration::ZERO));
            tokio::time::advance(REFUSAL).await;
            url().await.unwrap_err();
            assert_eq!(service.asked(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_inspection_waits_for_a_slow_key_and_is_told_what_may_pass() {
        let (_, slow) = lender(Mood::Gives(4 * PATIENCE));
        assert!(slow.inspect().await.is_ok());

        for (mood, may_pass) in [(Mood::Hangs, true), (Mood::Throttles, true), (Mood::Refuses, false)] {
            let (service, lender) = lender(mood);
            let _ = key(&lender).await;

            let told = lender.inspect().await.unwrap_err();

            assert_eq!(told.is_retryable(), may_pass, "{told}");
            service.becomes(Mood::Gives(Duration::ZERO));
            assert!(lender.inspect().await.is_ok(), "it asks whatever was refused before");
        }
    }

    /// A good key of yesterday's, and a service that says nothing about today's.
    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_is_not_answered_holds_up_nobody() {
        let (service, lender) = lender(Mood::Gives(Duration::ZERO));
        let held = key(&lender).await.unwrap().unwrap();
        lender.held().keys[0].0 -= DAY;
        service.becomes(Mood::Hangs);
        let began = Instant::now();

        for _ in 0..100 {
            assert!(Arc::ptr_eq(&key(&lender).await.unwrap().unwrap(), &held));
            tokio::task::yield_now().await;
        }

        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(service.asked(), 2, "one question is open at a time");
    }

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
