//! Puts that were told ahead.

use super::trial::{Trial, assert_same, pattern};
use crate::{ErrorKind, PutMode};

pub(super) async fn a_prepared_put_is_seen_by_nobody_before_it_comes(trial: Trial) {
    let (key, content) = (trial.key("deep/below/object"), pattern(1, 1000));

    let prepared = trial.driver.prepare_put(&key, &content);

    trial.assert_absent(&key).await;
    assert!(trial.names("", None, 10).await.is_empty());
    trial.driver.put(&key, content.clone(), PutMode::Overwrite).await.expect("it is written");
    drop(prepared);
    assert_same(&trial.read(&key).await.expect("it was just written"), &content);
}

pub(super) async fn a_put_that_was_prepared_meets_its_condition_or_fails(trial: Trial) {
    let (key, content) = (trial.key("object"), pattern(1, 10));
    let prepared = trial.driver.prepare_put(&key, &content);
    let before = trial.put(&key, &pattern(2, 10)).await;

    let error = trial.driver.put(&key, content.clone(), PutMode::IfAbsent).await.expect_err("it exists");

    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(trial.driver.stat(&key).await.expect("it is there").version, before.version);
    drop(prepared);
    let prepared = trial.driver.prepare_put(&key, &content);
    let mode = PutMode::IfMatch(before.version.expect("a put tells its version"));
    trial.driver.put(&key, content.clone(), mode).await.expect("it is the version that is there");
    drop(prepared);
    assert_same(&trial.read(&key).await.expect("it is there"), &content);
}

pub(super) async fn a_put_of_other_bytes_or_elsewhere_writes_its_own(trial: Trial) {
    let (key, other, content) = (trial.key("object"), trial.key("other"), pattern(1, 10));
    let _prepared = trial.driver.prepare_put(&key, &content);

    trial.put(&key, &pattern(2, 10)).await;
    trial.put(&other, &content).await;

    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(2, 10));
    assert_same(&trial.read(&other).await.expect("it is there"), &content);
}

pub(super) async fn a_prepared_put_that_never_comes_changes_nothing(trial: Trial) {
    let (key, content) = (trial.key("a/object"), pattern(1, 10));

    drop(trial.driver.prepare_put(&key, &content));
    drop(trial.other.prepare_put(&key, &content));

    trial.assert_absent(&key).await;
    trial.put(&key, &content).await;
    assert_same(&trial.read(&key).await.expect("it was just written"), &content);
}
