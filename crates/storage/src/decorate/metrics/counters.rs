//! A recorder for tests that count requests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Observation, Recorder};
use crate::decorate::{Class, Operation};

/// Counts calls by operation and by the first segment of their key. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    counts: Arc<Mutex<Counts>>,
}

/// How many calls there were, at one instant or between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    calls: BTreeMap<(Operation, String), u64>,
    bytes: BTreeMap<Operation, u64>,
}

impl Counters {
    /// What was counted until now.
    pub fn snapshot(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was counted since `earlier` was taken.
    pub fn since(&self, earlier: &Counts) -> Counts {
        self.snapshot().minus(earlier)
    }
}

impl Recorder for Counters {
    fn record(&self, observation: &Observation<'_>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let place = observation.subject.split('/').next().unwrap_or_default().to_owned();
        *counts.calls.entry((observation.operation, place)).or_default() += 1;
        *counts.bytes.entry(observation.operation).or_default() += observation.bytes;
    }
}

impl Counts {
    /// How many calls of `operation`, failed ones included.
    pub fn of(&self, operation: Operation) -> u64 {
        self.sum(|counted, _| counted == operation)
    }

    /// How many calls of `operation` on keys whose first segment is `place`.
    pub fn of_at(&self, operation: Operation, place: &str) -> u64 {
        self.sum(|counted, counted_place| counted == operation && counted_place == place)
    }

    /// How many calls that cost a store's request of `class`.
    pub fn of_class(&self, class: Class) -> u64 {
        self.sum(|counted, _| counted.class() == class)
    }

    /// How many calls on keys whose first segment is `place`, those that cost nothing excepted.
    pub fn at(&self, place: &str) -> u64 {
        self.sum(|counted, counted_place| counted.class() != Class::Local && counted_place == place)
    }

    /// How many calls, those that cost nothing excepted.
    pub fn total(&self) -> u64 {
        self.sum(|counted, _| counted.class() != Class::Local)
    }

    /// How many bytes of content `operation` moved.
    pub fn bytes_of(&self, operation: Operation) -> u64 {
        self.bytes.get(&operation).copied().unwrap_or_default()
    }

    fn sum(&self, wanted: impl Fn(Operation, &str) -> bool) -> u64 {
        self.calls
            .iter()
            .filter(|((operation, place), _)| wanted(*operation, place))
            .map(|(_, calls)| calls)
            .sum()
    }

    fn minus(mut self, earlier: &Counts) -> Counts {
        for (counted, calls) in &mut self.calls {
            *calls -= earlier.calls.get(counted).copied().unwrap_or_default();
        }
        for (operation, bytes) in &mut self.bytes {
            *bytes -= earlier.bytes_of(*operation);
        }
        self.calls.retain(|_, calls| *calls > 0);
        self.bytes.retain(|_, bytes| *bytes > 0);
        self
    }
}

impl fmt::Display for Counts {
    /// One line per operation and place, for a failed assertion's message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.calls
            .iter()
            .try_for_each(|((operation, place), calls)| writeln!(f, "{operation} {place}: {calls}"))
    }
}
