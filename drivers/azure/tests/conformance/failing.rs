//! The contract through retries, over a store of whose calls a third fails before it is applied.

use std::sync::Arc;
use std::time::Duration;

use entrepot_driver_azure::Config;
use entrepot_storage::conformance::Subject;
use entrepot_storage::decorate::{Effect, Fault, Retry, RetryPolicy, Rule};
use entrepot_storage::{ErrorKind, SharedDriver};

use crate::account;

async fn unreliable(config: &Config, actor: &str, seed: u64) -> SharedDriver {
    let fault = Fault::new(Arc::new(account::open(config).await), actor, seed);
    let throttled = ErrorKind::Throttled { retry_after: Some(Duration::from_millis(1)) };
    fault.controls().add(Rule::new(Effect::FailBefore(throttled)).with_probability(0.3));
    let first_pause = Duration::from_millis(1);
    let policy = RetryPolicy { attempts: 20, first_pause, budget: 100_000, ..RetryPolicy::default() };
    Arc::new(Retry::new(Arc::new(fault), policy))
}

async fn store() -> Option<Subject> {
    let config = account::with_key()?;
    Some(Subject::new(unreliable(&config, "one", 1).await).with_second(unreliable(&config, "other", 2).await))
}

entrepot_storage::conformance_tests!(store);
