//! A store that fails, and a caller that asks again.

use std::sync::Arc;
use std::time::Duration;

use crate::decorate::{Effect, Fault, Operation, Retry, RetryPolicy, Rule};
use crate::{ErrorKind, SharedDriver};

/// Calls whose answer may be lost without a trace, when they are made again. Conditional writes are not among
/// them, because callers settle those, which the cases do not; nor are beginnings, whose lost uploads would be
/// listed.
const SAFE: [Operation; 7] = [
    Operation::Stat,
    Operation::Get,
    Operation::List,
    Operation::UploadPart,
    Operation::UploadComplete,
    Operation::UploadAbort,
    Operation::DeleteMany,
];

/// `driver` through failures that are retried: a fifth of all calls is refused before the store sees it, and a
/// fifth of those that may be repeated loses its answer. `seed` decides which.
pub fn unreliable(driver: SharedDriver, seed: u64) -> SharedDriver {
    let fault = Fault::new(driver, "tester", seed);
    let (lost, busy) = (ErrorKind::Backend { retryable: true }, ErrorKind::Throttled { retry_after: None });
    fault.controls().add(Rule::new(Effect::FailBefore(busy)).with_probability(0.2));
    let rule = SAFE.into_iter().fold(Rule::new(Effect::FailAfter(lost)), Rule::on);
    fault.controls().add(rule.with_probability(0.2));
    asking_again(Arc::new(fault))
}

/// `driver` below the decorator that asks again, soon and often.
pub fn asking_again(driver: SharedDriver) -> SharedDriver {
    let policy = RetryPolicy {
        attempts: 30,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
        budget: 100_000,
        ..RetryPolicy::default()
    };
    Arc::new(Retry::new(driver, policy))
}
