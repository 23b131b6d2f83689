//! Which stored bytes were found to have their digest, so that not every pull hashes them again.
//!
//! Remembered is one version of one object, for a while: content that rots under an unchanged version is
//! found out when the time is over. Nothing is shared between processes, nothing survives one.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use entrepot_storage::{Key, ObjectMeta, Version};

/// Objects remembered in one generation; there are two. About 4 MiB when both are full.
const GENERATION: usize = 8192;

/// The objects whose bytes were hashed lately.
#[derive(Debug, Default)]
pub(crate) struct Verified(Mutex<Generations>);

/// The older half is forgotten at once when the younger is full: cheaper than to keep an order, and what
/// is read often is soon noted again.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Seen>,
    old: HashMap<Key, Seen>,
}

#[derive(Debug)]
struct Seen {
    version: Version,
    at: SystemTime,
}

impl Verified {
    /// Whether this version of the object was found good no longer than `lasting` before `now`.
    pub(crate) fn contains(&self, object: &ObjectMeta, now: SystemTime, lasting: Duration) -> bool {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = generations.young.get(&object.key).or_else(|| generations.old.get(&object.key));
        seen.is_some_and(|seen| {
            object.version.as_ref() == Some(&seen.version)
                && now.duration_since(seen.at).is_ok_and(|age| age < lasting)
        })
    }

    /// Remembers that this version of the object was found good. One without a version cannot be told from
    /// what replaces it.
    pub(crate) fn note(&self, object: &ObjectMeta, now: SystemTime) {
        let Some(version) = object.version.clone() else { return };
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= GENERATION {
            generations.old = mem::take(&mut generations.young);
        }
        generations.young.insert(object.key.clone(), Seen { version, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn object(key: &str, version: &str) -> ObjectMeta {
        let version = Some(Version(version.into()));
        ObjectMeta { key: key.parse().unwrap(), size: 1, version, modified: None }
    }

    #[test]
    fn one_version_is_remembered_and_for_a_while() {
        let (verified, start) = (Verified::default(), SystemTime::UNIX_EPOCH + HOUR);

        verified.note(&object("a", "1"), start);

        assert!(verified.contains(&object("a", "1"), start, HOUR));
        assert!(verified.contains(&object("a", "1"), start + HOUR / 2, HOUR));
        assert!(!verified.contains(&object("a", "2"), start, HOUR), "other bytes");
        assert!(!verified.contains(&object("b", "1"), start, HOUR));
        assert!(!verified.contains(&object("a", "1"), start + HOUR, HOUR), "too long ago");
        assert!(!verified.contains(&object("a", "1"), start, Duration::ZERO), "always again");
        assert!(!verified.contains(&object("a", "1"), start - HOUR, HOUR), "a clock that was set back");
    }

    #[test]
    fn an_object_without_a_version_is_hashed_each_time() {
        let verified = Verified::default();
        let nameless = ObjectMeta { version: None, ..object("a", "1") };

        verified.note(&nameless, SystemTime::UNIX_EPOCH);

        assert!(!verified.contains(&nameless, SystemTime::UNIX_EPOCH, HOUR));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let (verified, now) = (Verified::default(), SystemTime::UNIX_EPOCH);

        for number in 0..3 * GENERATION {
            verified.note(&object(&number.to_string(), "1"), now);
        }

        assert!(!verified.contains(&object("0", "1"), now, HOUR));
        assert!(verified.contains(&object(&(3 * GENERATION - 1).to_string(), "1"), now, HOUR));
        let generations = verified.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }
}
