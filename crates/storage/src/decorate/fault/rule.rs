//! Which calls fail, and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ErrorKind;
use crate::decorate::Operation;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails and was not applied.
    FailBefore(ErrorKind),
    /// It was applied, as far as the store would, and its answer is lost.
    FailAfter(ErrorKind),
    /// It waits before it is applied.
    Delay(Duration),
    /// The body of a `get` fails after so many bytes. A body that is shorter ends well.
    CutBody {
        /// Bytes that still arrive.
        after: u64,
    },
    /// One byte of a `get`'s body arrives changed.
    FlipByte {
        /// Its place in the body.
        at: u64,
    },
    /// The process dies before the call is applied.
    CrashBefore,
    /// The process dies when the call was applied, without learning it.
    CrashAfter,
}

type Predicate = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Says which calls have an [`Effect`]. Without further words: every call.
#[derive(Clone)]
pub struct Rule {
    effect: Effect,
    operations: Vec<Operation>,
    subject: Option<Predicate>,
    occurrence: Occurrence,
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum Occurrence {
    Always,
    Nth(u64),
    First(u64),
    Probability(f64),
}

impl Rule {
    /// Every call has this effect.
    pub fn new(effect: Effect) -> Self {
        Self { effect, operations: Vec::new(), subject: None, occurrence: Occurrence::Always, seen: 0 }
    }

    /// Only calls of `operation`; said several times, any of them.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Only calls whose key, or prefix for listings, begins with `prefix`.
    #[must_use]
    pub fn at_prefix(self, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        self.at(move |subject| subject.starts_with(&prefix))
    }

    /// Only calls whose key, or prefix for listings, satisfies `wanted`.
    #[must_use]
    pub fn at(mut self, wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.subject = Some(Arc::new(wanted));
        self
    }

    /// Only the `n`th of the calls meant so far, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.occurrence = Occurrence::Nth(n);
        self
    }

    /// Only the first `n` of the calls meant so far.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.occurrence = Occurrence::First(n);
        self
    }

    /// Each of the calls meant so far with this probability, as the handle's seed decides.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.occurrence = Occurrence::Probability(probability);
        self
    }

    /// The effect on this call, if there is one. Asked once per call, because it counts them.
    pub(super) fn apply(
        &mut self,
        operation: Operation,
        subject: &str,
        fraction: impl FnOnce() -> f64,
    ) -> Option<Effect> {
        let meant = (self.operations.is_empty() || self.operations.contains(&operation))
            && self.subject.as_ref().is_none_or(|wanted| wanted(subject));
        if !meant {
            return None;
        }
        self.seen += 1;
        let strikes = match self.occurrence {
            Occurrence::Always => true,
            Occurrence::Nth(n) => self.seen == n,
            Occurrence::First(n) => self.seen <= n,
            Occurrence::Probability(probability) => fraction() < probability,
        };
        strikes.then_some(self.effect)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("effect", &self.effect)
            .field("operations", &self.operations)
            .field("occurrence", &self.occurrence)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
