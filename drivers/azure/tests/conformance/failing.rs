//! The contract through retries, over a store of whose calls a third fails before it is applied.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_driver_azure::Config;
use entrepot_storage::conformance::Subject;
use entrepot_storage::decorate::{Effect, Fault, Operation, Retry, RetryPolicy, Rule};
use entrepot_storage::{ErrorKind, Key, SharedDriver, StorageDriver as _};

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

#[tokio::test]
async fn a_commit_whose_answer_was_lost_answers_the_object_when_it_is_repeated() {
    let Some(config) = account::with_key() else { return };
    let fault = Fault::new(Arc::new(account::open(&config).await), "one", 1);
    let lost = ErrorKind::Backend { retryable: true };
    fault.controls().add(Rule::new(Effect::FailAfter(lost)).on(Operation::UploadComplete).times(1));
    let driver = Retry::new(Arc::new(fault), RetryPolicy::default());
    let upload = driver.upload_begin(&unused_key()).await.unwrap();
    let part = driver.upload_part(&upload, 1, vec![Bytes::from_static(b"block")]).await.unwrap();

    let meta = driver.upload_complete(&upload, &[part]).await.unwrap();

    assert_eq!(meta, driver.stat(&upload.key).await.unwrap());
}

/// A key nobody has used.
fn unused_key() -> Key {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a date");
    format!("failing/{}", since.as_nanos()).parse().expect("a key")
}
