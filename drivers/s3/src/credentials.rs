//! Credentials, cached so that a URL can be signed without waiting, and renewed before they expire.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::config::{Region, SharedHttpClient};

use crate::config::{Config, CredentialSource};

/// So long before they expire, credentials are renewed beside the work. The services that hand them out have
/// new ones five minutes before the old ones end.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// So long before they expire, they are not used any more: a request has to arrive.
const UNUSABLE_BEFORE: Duration = Duration::from_secs(10);
/// Between two attempts to renew what still works.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// Where credentials come from. Nothing is fetched yet.
pub(crate) async fn source(config: &Config, http: &SharedHttpClient) -> SharedCredentialsProvider {
    match &config.credentials {
        CredentialSource::Static(known) => SharedCredentialsProvider::new(Credentials::new(
            known.access_key.clone(),
            known.secret_key.clone(),
            known.session_token.clone(),
            None,
            "configuration",
        )),
        CredentialSource::Chain => {
            let region = Region::new(config.region.clone());
            let provider =
                ProviderConfig::default().with_http_client(http.clone()).with_region(Some(region.clone()));
            let chain = DefaultCredentialsChain::builder().region(region).configure(provider);
            SharedCredentialsProvider::new(chain.build().await)
        }
    }
}

/// The last credentials the source gave.
pub(crate) struct CachedCredentials {
    source: SharedCredentialsProvider,
    limit: Duration,
    known: RwLock<Known>,
    /// One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    credentials: Option<Credentials>,
    not_renewed_before: Option<SystemTime>,
}

impl CachedCredentials {
    /// An empty cache. A fetch may take as long as `limit`.
    pub(crate) fn new(source: SharedCredentialsProvider, limit: Duration) -> Self {
        Self { source, limit, known: RwLock::default(), fetching: tokio::sync::Mutex::new(()) }
    }

    /// Credentials that work now. Waits for the source only where there are none; near their end they are
    /// renewed by a task of its own.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Credentials, CredentialsError> {
        let now = SystemTime::now();
        let Some(credentials) = self.usable(now) else {
            return self.fetch(now).await;
        };
        if lasts(&credentials, now, RENEW_BEFORE) || !self.claim_renewal(now) {
            return Ok(credentials);
        }
        let renewing = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = renewing.fetch_from_source().await {
                tracing::warn!(%error, "credentials of the store could not be renewed; the old ones still work");
            }
        });
        Ok(credentials)
    }

    fn usable(&self, now: SystemTime) -> Option<Credentials> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.credentials.clone().filter(|credentials| lasts(credentials, now, UNUSABLE_BEFORE))
    }

    /// Whether it is our turn to renew.
    fn claim_renewal(&self, now: SystemTime) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_due = known.not_renewed_before.is_none_or(|instant| instant <= now);
        if is_due {
            known.not_renewed_before = Some(now + RENEWAL_PAUSE);
        }
        is_due
    }

    /// The store says that they have expired, whatever our clock does: the next call waits for others. Not often,
    /// since the source may have no others.
    pub(crate) fn forget(&self) {
        if self.claim_renewal(SystemTime::now()) {
            self.known.write().unwrap_or_else(PoisonError::into_inner).credentials = None;
        }
    }

    async fn fetch(&self, now: SystemTime) -> Result<Credentials, CredentialsError> {
        let _turn = self.fetching.lock().await;
        match self.usable(now) {
            // Somebody else fetched while we waited for our turn.
            Some(credentials) => Ok(credentials),
            None => self.fetch_from_source().await,
        }
    }

    async fn fetch_from_source(&self) -> Result<Credentials, CredentialsError> {
        let fetched = tokio::time::timeout(self.limit, self.source.provide_credentials()).await;
        let credentials = fetched.map_err(|_| CredentialsError::provider_timed_out(self.limit))??;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.credentials = Some(credentials.clone());
        Ok(credentials)
    }
}

fn lasts(credentials: &Credentials, now: SystemTime, so_long: Duration) -> bool {
    credentials.expiry().is_none_or(|end| end > now + so_long)
}

impl fmt::Debug for CachedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachedCredentials")
    }
}

/// The cache as the SDK asks it.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<CachedCredentials>);

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.0.get())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Hands out credentials of a given lifetime and counts how often.
    #[derive(Debug)]
    struct Source {
        lifetime: Duration,
        asked: Arc<AtomicUsize>,
    }

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let end = SystemTime::now() + self.lifetime;
            let credentials = Credentials::new(format!("AK{number}"), "secret", None, Some(end), "test");
            future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    fn cache(lifetime: Duration) -> (Arc<CachedCredentials>, Arc<AtomicUsize>) {
        let asked = Arc::default();
        let source = SharedCredentialsProvider::new(Source { lifetime, asked: Arc::clone(&asked) });
        (Arc::new(CachedCredentials::new(source, Duration::from_secs(5))), asked)
    }

    #[tokio::test]
    async fn credentials_that_last_are_fetched_once() {
        let (cache, asked) = cache(Duration::from_secs(3600));

        for _ in 0..10 {
            assert_eq!(cache.get().await.unwrap().access_key_id(), "AK0");
        }

        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn credentials_near_their_end_are_renewed_beside_the_work() {
        let (cache, asked) = cache(Duration::from_secs(120));
        cache.get().await.unwrap();

        assert_eq!(cache.get().await.unwrap().access_key_id(), "AK0", "the old ones still work");
        while asked.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }

        assert_eq!(cache.get().await.unwrap().access_key_id(), "AK1");
        assert_eq!(asked.load(Ordering::SeqCst), 2, "no more than once in a while");
    }

    /// Where this machine's clock is slow.
    #[tokio::test]
    async fn credentials_the_store_calls_expired_are_fetched_anew_once_in_a_while() {
        let (cache, asked) = cache(Duration::from_secs(3600));
        cache.get().await.unwrap();

        cache.forget();
        assert_eq!(cache.get().await.unwrap().access_key_id(), "AK1");
        cache.forget();
        assert_eq!(cache.get().await.unwrap().access_key_id(), "AK1");

        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn credentials_at_their_end_are_not_used() {
        let (cache, _) = cache(Duration::from_secs(5));
        cache.get().await.unwrap();

        assert_eq!(cache.get().await.unwrap().access_key_id(), "AK1");
    }
}
