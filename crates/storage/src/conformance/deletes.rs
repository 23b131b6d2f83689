//! Deleting.

use futures_util::future::join_all;

use super::trial::{Trial, assert_same, pattern};
use crate::{ErrorKind, Key, PutMode};

pub(super) async fn a_deleted_object_is_gone_for_every_process(trial: Trial) {
    let key = trial.key("object");
    trial.put(&key, &pattern(1, 10)).await;

    trial.driver.delete(&key, None).await.expect("it is deleted");

    trial.assert_absent(&key).await;
}

pub(super) async fn deleting_a_missing_object_succeeds(trial: Trial) {
    trial.driver.delete(&trial.key("never"), None).await.expect("a missing object is a success");
    trial.driver.delete(&trial.key("deep/never/was"), None).await.expect("a missing object is a success");
}

pub(super) async fn a_delete_leaves_its_neighbours_alone(trial: Trial) {
    for name in ["a", "ab", "a-b", "b/c", "b/d"] {
        trial.put(&trial.key(name), &pattern(1, 10)).await;
    }

    trial.driver.delete(&trial.key("a"), None).await.expect("it is deleted");
    trial.driver.delete(&trial.key("b/c"), None).await.expect("it is deleted");
    trial.driver.delete(&trial.key("b"), None).await.expect("no such object");

    assert_eq!(trial.names("", None, 10).await, ["a-b", "ab", "b/d"]);
}

pub(super) async fn a_delete_with_the_present_version_deletes(trial: Trial) {
    let key = trial.key("object");
    let written = trial.put(&key, &pattern(1, 10)).await;

    trial.other.delete(&key, written.version.as_ref()).await.expect("the version is the present one");

    trial.assert_absent(&key).await;
}

pub(super) async fn a_delete_with_another_version_changes_nothing(trial: Trial) {
    let key = trial.key("object");
    let old = trial.put(&key, &pattern(1, 10)).await;
    trial.put(&key, &pattern(2, 10)).await;

    let error = trial.driver.delete(&key, old.version.as_ref()).await.expect_err("the version is old");

    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(2, 10));
}

pub(super) async fn a_delete_with_a_version_where_nothing_is_fails(trial: Trial) {
    let key = trial.key("object");
    let gone = trial.put(&key, &pattern(1, 10)).await;
    trial.driver.delete(&key, None).await.expect("it is deleted");

    let error = trial.driver.delete(&key, gone.version.as_ref()).await.expect_err("it is gone");

    assert_eq!(error.kind(), ErrorKind::Precondition);
}

pub(super) async fn of_many_deletes_of_one_version_exactly_one_wins(trial: Trial) {
    let key = trial.key("object");
    for round in 0..12 {
        let version = trial.put(&key, &pattern(round, 10)).await.version;

        let outcomes = join_all((0..16).map(|racer| {
            let handle = if racer % 2 == 0 { &trial.driver } else { &trial.other };
            handle.delete(&key, version.as_ref())
        }))
        .await;

        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        assert!(lost.into_iter().all(|error| error.kind() == ErrorKind::Precondition));
    }
}

pub(super) async fn a_swap_and_a_delete_of_one_version_do_not_both_win(trial: Trial) {
    let key = trial.key("object");
    for round in 0..40 {
        let version = trial.put(&key, &pattern(100 + round, 10)).await.version.expect("a version");
        let swap = trial.driver.put(&key, pattern(1, 10), PutMode::IfMatch(version.clone()));
        let delete = trial.other.delete(&key, Some(&version));

        let (swapped, deleted) = futures_util::future::join(swap, delete).await;

        assert!(swapped.is_ok() != deleted.is_ok(), "exactly one of the two wins");
        assert_eq!(trial.read(&key).await.is_some(), swapped.is_ok());
    }
}

pub(super) async fn a_store_without_conditional_delete_says_so(trial: Trial) {
    let key = trial.key("object");
    let written = trial.put(&key, &pattern(1, 10)).await;

    let error = trial.driver.delete(&key, written.version.as_ref()).await.expect_err("it cannot tell");

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(trial.read(&key).await.is_some());
}

pub(super) async fn many_are_deleted_with_the_missing_among_them(trial: Trial) {
    let keys: Vec<Key> = (0..20).map(|n| trial.key(&format!("many/{n:02}"))).collect();
    for key in keys.iter().step_by(2) {
        trial.put(key, &pattern(1, 10)).await;
    }
    trial.put(&trial.key("many/keep"), &pattern(1, 10)).await;

    let failures = trial.driver.delete_many(&keys).await.expect("the call succeeds");

    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(trial.names("", None, 100).await, ["many/keep"]);
}

pub(super) async fn more_than_one_batch_is_deleted_whole(trial: Trial) {
    let count = trial.capabilities().delete_batch.min(5000) + 3;
    let keys: Vec<Key> = (0..count).map(|n| trial.key(&format!("batch/{n:06}"))).collect();
    for place in [0, count - 4, count - 3, count - 1] {
        trial.put(&keys[place], &pattern(1, 10)).await;
    }

    let failures = trial.driver.delete_many(&keys).await.expect("the call succeeds");

    assert!(failures.is_empty(), "{failures:?}");
    assert!(trial.names("", None, 100).await.is_empty());
}

pub(super) async fn deleting_no_keys_succeeds(trial: Trial) {
    assert!(trial.driver.delete_many(&[]).await.expect("nothing to do").is_empty());
}
