//! The contract through failures that are retried.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use entrepot_storage::conformance::{Subject, unreliable};
use entrepot_storage::decorate::{Effect, Fault, Operation, Retry, RetryPolicy, Rule};
use entrepot_storage::{ErrorKind, Key, StorageDriver as _};

use crate::account;

async fn store() -> Option<Subject> {
    let config = account::with_key()?;
    let open = async |seed| unreliable(Arc::new(account::open(&config).await), seed);
    Some(Subject::new(open(1).await).with_second(open(2).await))
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
