//! Ports with an answer the test knows: clock, randomness, cache, and somebody at the door.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use entrepot_auth::{
    Access, Action, Actions, Authenticator, Authorizer, Challenge, Credentials, Error, Identity,
};
use entrepot_domain::ports::{Cache, CacheKey, CacheValue, Clock, Entropy};

/// A clock that stands until it is told to go on.
#[derive(Debug)]
pub struct FixedClock(AtomicU64);

impl FixedClock {
    /// A clock at so many seconds after 1970.
    pub const fn at(seconds: u64) -> Self {
        Self(AtomicU64::new(seconds))
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// Random bytes that are none: 1, 2, 3 and so on, never the same twice.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::SeqCst).wrapping_add(1).to_be_bytes();
        buffer.fill(0);
        let length = buffer.len().min(number.len());
        let (from, to) = (number.len() - length, buffer.len() - length);
        buffer[to..].copy_from_slice(&number[from..]);
    }
}

/// A cache that forgets nothing by itself: the longest-lived cache a registry may be put behind.
#[derive(Debug, Default)]
pub struct StoredCache(Mutex<HashMap<CacheKey, CacheValue>>);

impl StoredCache {
    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<CacheKey, CacheValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cache for StoredCache {
    async fn get(&self, key: &CacheKey) -> Option<CacheValue> {
        self.entries().get(key).cloned()
    }

    async fn put(&self, key: CacheKey, value: CacheValue, _: Duration) {
        self.entries().insert(key, value);
    }

    async fn invalidate(&self, key: &CacheKey) {
        self.entries().remove(key);
    }
}

/// Lets `ann` do everything, and outside `private/` `bob` pull and `carl` do everything. Everybody else is
/// asked who he is. Tokens are the names: `Authorization: Bearer ann`.
#[derive(Debug)]
pub struct Doorman;

#[async_trait]
impl Authenticator for Doorman {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Identity, Error> {
        match credentials.authorization {
            None => Ok(Identity::anonymous()),
            Some("Bearer ann") => Ok(Identity::named("ann")),
            Some("Bearer bob") => Ok(Identity::named("bob")),
            Some("Bearer carl") => Ok(Identity::named("carl")),
            Some(_) => Err(Error::Unauthenticated("unknown token")),
        }
    }

    fn challenges(&self, access: &Access) -> Vec<Challenge> {
        vec![Challenge::bearer("https://auth.example/token", "registry").scope(access.scope())]
    }
}

#[async_trait]
impl Authorizer for Doorman {
    async fn authorize(&self, identity: &Identity, access: &Access) -> Result<(), Error> {
        let allowed = match identity.name() {
            Some("carl") => Actions::of(&Action::ALL),
            _ => Actions::of(&[Action::Pull]),
        };
        match (identity.name(), access) {
            (None, _) => Err(Error::Unauthenticated("credentials are missing")),
            (Some("ann"), _) | (_, Access::Registry) => Ok(()),
            (_, Access::Repository { repository, actions })
                if allowed.includes(*actions) && !repository.as_str().starts_with("private/") =>
            {
                Ok(())
            }
            _ => Err(Error::Denied("not for you".to_owned())),
        }
    }
}
