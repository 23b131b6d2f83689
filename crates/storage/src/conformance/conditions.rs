//! Conditional puts, and several at once.

use bytes::Bytes;
use futures_util::future::join_all;

use super::trial::{Trial, assert_same, pattern};
use crate::{ErrorKind, Key, PutMode, Result, SharedDriver, StorageDriverExt, Version};

const RACERS: u64 = 32;

pub(super) async fn put_if_absent_creates_where_nothing_is(trial: Trial) {
    let key = trial.key("object");

    trial.driver.put(&key, pattern(1, 10), PutMode::IfAbsent).await.expect("nothing is there yet");

    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(1, 10));
}

pub(super) async fn put_if_absent_over_an_object_changes_nothing(trial: Trial) {
    let key = trial.key("object");
    let before = trial.put(&key, &pattern(1, 10)).await;

    let error = trial.other.put(&key, pattern(2, 10), PutMode::IfAbsent).await.expect_err("it exists");

    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(trial.driver.stat(&key).await.expect("it is there").version, before.version);
    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(1, 10));
}

pub(super) async fn put_if_absent_creates_again_after_a_delete(trial: Trial) {
    let key = trial.key("object");
    trial.put(&key, &pattern(1, 10)).await;
    trial.driver.delete(&key, None).await.expect("it is deleted");

    trial.driver.put(&key, pattern(2, 10), PutMode::IfAbsent).await.expect("it is absent again");

    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(2, 10));
}

pub(super) async fn a_fresh_put_creates_and_may_be_repeated(trial: Trial) {
    let key = trial.key("object");
    let first = trial.driver.put(&key, pattern(1, 10), PutMode::Fresh).await.expect("nothing is there yet");
    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(1, 10));

    // As after a lost answer.
    match trial.other.put(&key, pattern(1, 10), PutMode::Fresh).await {
        Ok(again) => assert_eq!(again.size, first.size),
        Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
    }
    assert_same(&trial.read(&key).await.expect("it is still there"), &pattern(1, 10));
}

pub(super) async fn put_if_match_replaces_the_version_it_names(trial: Trial) {
    let key = trial.key("object");
    let first = version(trial.put(&key, &pattern(1, 10)).await.version);

    let second = trial.other.put(&key, pattern(2, 20), PutMode::IfMatch(first.clone())).await;

    assert_ne!(version(second.expect("the version is the present one").version), first);
    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(2, 20));
}

pub(super) async fn put_if_match_of_another_version_changes_nothing(trial: Trial) {
    let key = trial.key("object");
    let old = version(trial.put(&key, &pattern(1, 10)).await.version);
    let present = trial.put(&key, &pattern(2, 10)).await;

    let error = trial.driver.put(&key, pattern(3, 10), PutMode::IfMatch(old)).await.expect_err("it is old");

    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(trial.driver.stat(&key).await.expect("it is there").version, present.version);
    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(2, 10));
}

pub(super) async fn put_if_match_where_nothing_is_fails(trial: Trial) {
    let key = trial.key("object");
    let gone = version(trial.put(&key, &pattern(1, 10)).await.version);
    trial.driver.delete(&key, None).await.expect("it is deleted");

    let error = trial.driver.put(&key, pattern(2, 10), PutMode::IfMatch(gone)).await.expect_err("it is gone");

    assert_eq!(error.kind(), ErrorKind::Precondition);
    trial.assert_absent(&key).await;
}

pub(super) async fn a_version_does_not_come_back_after_deletion(trial: Trial) {
    let key = trial.key("object");
    for round in 0..12 {
        let old = version(trial.put(&key, &pattern(2 * round, 10)).await.version);
        trial.driver.delete(&key, None).await.expect("it is deleted");
        trial.put(&key, &pattern(2 * round + 1, 10)).await;

        let lost = trial.driver.put(&key, pattern(99, 10), PutMode::IfMatch(old)).await;

        assert_eq!(lost.expect_err("another object has its place").kind(), ErrorKind::Precondition);
    }
}

pub(super) async fn of_many_creators_exactly_one_wins(trial: Trial) {
    for round in 0..4 {
        let key = trial.key(&format!("deep/new-{round}/object"));

        let outcomes = join_all((0..RACERS).map(|racer| put(&trial, racer, &key, PutMode::IfAbsent))).await;

        let winner = sole_winner(&outcomes, ErrorKind::AlreadyExists);
        assert_same(&trial.read(&key).await.expect("it is there"), &content_of(winner));
    }
}

pub(super) async fn of_many_with_one_version_exactly_one_wins(trial: Trial) {
    let key = trial.key("object");
    for round in 0..4 {
        let base = version(trial.put(&key, &pattern(1000 + round, 10)).await.version);

        let outcomes =
            join_all((0..RACERS).map(|racer| put(&trial, racer, &key, PutMode::IfMatch(base.clone())))).await;

        let winner = sole_winner(&outcomes, ErrorKind::Precondition);
        assert_same(&trial.read(&key).await.expect("it is there"), &content_of(winner));
    }
}

pub(super) async fn a_counter_kept_by_compare_and_swap_is_exact(trial: Trial) {
    const WORKERS: u64 = 8;
    const STEPS: u64 = 6;
    let key = trial.key("counter");
    trial.put(&key, &Bytes::from_static(b"0")).await;

    join_all((0..WORKERS).map(|worker| {
        let (handle, key) = (handle(&trial, worker), &key);
        async move {
            for _ in 0..STEPS {
                increment(handle, key).await;
            }
        }
    }))
    .await;

    assert_eq!(trial.read(&key).await.expect("it is there"), (WORKERS * STEPS).to_string());
}

pub(super) async fn a_winner_of_compare_and_swap_is_not_lost_to_an_overwrite(trial: Trial) {
    let key = trial.key("object");
    for round in 0..10 {
        let base = version(trial.put(&key, &pattern(500 + round, 10)).await.version);
        let swap = trial.driver.put(&key, pattern(1, 10), PutMode::IfMatch(base));
        let overwrite = trial.other.put(&key, pattern(2, 10), PutMode::Overwrite);

        let (swapped, overwritten) = futures_util::future::join(swap, overwrite).await;

        // Either the swap came first and was overwritten, or the overwrite came first and it lost.
        overwritten.expect("an overwrite knows no condition");
        assert!(swapped.is_ok() || swapped.is_err_and(|error| error.kind() == ErrorKind::Precondition));
        assert_same(&trial.read(&key).await.expect("it is there"), &pattern(2, 10));
    }
}

fn version(version: Option<Version>) -> Version {
    version.expect("stores with conditions tell versions")
}

fn handle(trial: &Trial, racer: u64) -> &SharedDriver {
    if racer.is_multiple_of(2) { &trial.driver } else { &trial.other }
}

fn content_of(racer: u64) -> Bytes {
    pattern(racer + 1, 200)
}

async fn put(trial: &Trial, racer: u64, key: &Key, mode: PutMode) -> Result<u64> {
    handle(trial, racer).put(key, content_of(racer), mode).await.map(|_| racer)
}

fn sole_winner(outcomes: &[Result<u64>], lost: ErrorKind) -> u64 {
    let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    assert_eq!(winners.len(), 1, "exactly one wins");
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(error.kind(), lost, "{error}");
    }
    winners[0]
}

async fn increment(driver: &SharedDriver, key: &Key) {
    loop {
        let (bytes, meta) = driver.read(key).await.expect("it reads").expect("it is there");
        let count: u64 = std::str::from_utf8(&bytes).expect("digits").parse().expect("a number");
        let next = Bytes::from((count + 1).to_string());
        match driver.put(key, next, PutMode::IfMatch(version(meta.version))).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Precondition, "{error}"),
        }
    }
}
