//! Series found once and kept: several numbers are noted per request, and each would otherwise be looked
//! up by its labels.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

/// Series by what their labels are made of. Never forgets one, so the labels must have few values.
#[derive(Debug)]
pub(super) struct SeriesOf<K, S>(RwLock<HashMap<K, Arc<S>>>);

impl<K, S> Default for SeriesOf<K, S> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Copy + Eq + Hash, S> SeriesOf<K, S> {
    /// The series of `key`, which `make` finds the first time. Two threads that come first make it twice,
    /// which finds the same counters.
    pub(super) fn find(&self, key: K, make: impl FnOnce() -> S) -> Arc<S> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let made = Arc::new(make());
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&made));
        made
    }
}
