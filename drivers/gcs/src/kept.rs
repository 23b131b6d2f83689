//! URLs that were dear to make, kept until later ones take their place.
//!
//! Callers ask in spans: within one, all of them want the URL of its beginning. Of each purpose (object, lifetime
//! and content type) those of two instants are kept, the present span's and the next one's, so memory follows how
//! many objects are pulled and in how many ways, and not for how long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entrepot_storage::Key;
use moka::policy::EvictionPolicy;

/// How long what nobody asks for is kept.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// URLs kept of one purpose; about 1 KiB each.
const OF_ONE: usize = 2;

/// What a URL is for, but for its instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Purpose {
    pub(crate) key: Key,
    /// In seconds.
    pub(crate) lasting: u64,
    pub(crate) content_type: Option<String>,
}

/// The URLs of the purposes that were asked for last.
pub(crate) struct Kept(moka::sync::Cache<Purpose, Arc<Urls>>);

/// The URLs of one purpose, by their instants.
#[derive(Default)]
pub(crate) struct Urls(Mutex<Signed>);

#[derive(Default)]
struct Signed {
    /// In the order they were made.
    urls: Vec<(u64, Arc<str>)>,
    /// The instant somebody signs for before it is asked for.
    ahead: Option<u64>,
}

impl Signed {
    fn has(&self, at: u64) -> bool {
        self.urls.iter().any(|(of, _)| *of == at)
    }

    fn keep(&mut self, at: u64, url: Arc<str>) {
        self.urls.retain(|(of, _)| *of != at);
        self.urls.push((at, url));
        // Not the earliest instant: a clock that was set back asks for it from now on.
        let surplus = self.urls.len().saturating_sub(OF_ONE);
        self.urls.drain(..surplus);
    }
}

impl Kept {
    pub(crate) fn new(purposes: u64) -> Self {
        // By use alone: a policy that counts uses would prefer many objects of yesterday to a new one.
        let cache = moka::sync::Cache::builder().eviction_policy(EvictionPolicy::lru());
        Self(cache.max_capacity(purposes).time_to_idle(IDLE).build())
    }

    /// The URL of this purpose for this instant. Takes no room where there is none: pulls that get no URL would
    /// push out those of others.
    pub(crate) fn at(&self, purpose: &Purpose, at: u64) -> Option<Arc<str>> {
        self.0.get(purpose)?.at(at)
    }

    /// The URLs of this purpose, for who adds one.
    pub(crate) fn of(&self, purpose: &Purpose) -> Arc<Urls> {
        self.0.get_with_by_ref(purpose, Arc::default)
    }

    #[cfg(test)]
    pub(crate) fn purposes(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

impl Urls {
    /// The URL for this instant.
    pub(crate) fn at(&self, at: u64) -> Option<Arc<str>> {
        let signed = self.signed();
        signed.urls.iter().find(|(of, _)| *of == at).map(|(_, url)| Arc::clone(url))
    }

    pub(crate) fn keep(&self, at: u64, url: Arc<str>) {
        self.signed().keep(at, url);
    }

    /// Keeps what was signed ahead, unless another instant was claimed meanwhile: what comes late would push out
    /// the URL of the present span.
    pub(crate) fn keep_claimed(&self, at: u64, url: Arc<str>) {
        let mut signed = self.signed();
        if signed.ahead == Some(at) {
            signed.keep(at, url);
        }
    }

    /// Whether it is for the caller to sign for this instant ahead: it is not done, and nobody is at it.
    pub(crate) fn claim(&self, at: u64) -> bool {
        let mut signed = self.signed();
        let is_free = signed.ahead != Some(at) && !signed.has(at);
        if is_free {
            signed.ahead = Some(at);
        }
        is_free
    }

    /// Whether what was claimed is still to be done.
    pub(crate) fn is_claimed(&self, at: u64) -> bool {
        let signed = self.signed();
        signed.ahead == Some(at) && !signed.has(at)
    }

    /// Nobody is at it any more.
    pub(crate) fn release(&self, at: u64) {
        let mut signed = self.signed();
        signed.ahead.take_if(|ahead| *ahead == at);
    }

    /// No holder leaves it half changed, so a panic elsewhere does not spoil it.
    fn signed(&self) -> MutexGuard<'_, Signed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(number: u64) -> Purpose {
        Purpose { key: format!("data/{number}").parse().unwrap(), lasting: 60, content_type: None }
    }

    #[test]
    fn the_last_two_of_a_purpose_are_kept() {
        let kept = Kept::new(10);

        for at in 1..=3 {
            kept.of(&purpose(1)).keep(at, format!("url {at}").into());
        }

        let at = |at| kept.at(&purpose(1), at);
        assert_eq!((at(1), at(2), at(3)), (None, Some("url 2".into()), Some("url 3".into())));
        assert_eq!(kept.at(&purpose(2), 3), None);
    }

    /// What many had asked for in the past kept out whatever was new.
    #[test]
    fn new_purposes_push_out_old_ones_however_often_these_were_used() {
        let kept = Kept::new(10);
        for number in 0..10 {
            (0..100).for_each(|_| kept.of(&purpose(number)).keep(1, "old".into()));
        }

        for number in 100..200 {
            kept.of(&purpose(number)).keep(1, "new".into());
            kept.0.run_pending_tasks();
        }

        assert!(kept.purposes() <= 10);
        assert_eq!(kept.at(&purpose(199), 1), Some("new".into()));
    }

    #[test]
    fn one_signs_ahead_until_it_is_done_or_given_up() {
        let urls = Urls::default();

        assert!(urls.claim(1) && !urls.claim(1));
        urls.release(1);
        assert!(urls.claim(1), "it was given up");
        urls.keep(1, "url".into());
        urls.release(1);
        assert!(!urls.claim(1), "it is done");
        assert!(urls.claim(2));
    }

    #[test]
    fn what_was_claimed_before_another_instant_is_not_kept_any_more() {
        let urls = Urls::default();
        urls.claim(1);
        urls.claim(2);

        urls.keep_claimed(1, "late".into());
        urls.keep_claimed(2, "in time".into());

        assert!(!urls.is_claimed(1) && urls.at(1).is_none());
        assert_eq!(urls.at(2), Some("in time".into()));
    }
}
