//! What is asked again, and what is not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entrepot_driver_memory::MemoryDriver;
use entrepot_storage::decorate::{
    Controls, Counters, Effect, Fault, Metrics, Operation, Retry, RetryPolicy, Rule,
};
use entrepot_storage::{ErrorKind, PutMode, ReadRange, StorageDriver};
use tokio::time::Instant;

use super::{key, with_still_clock};

const PASSING: ErrorKind = ErrorKind::Backend { retryable: true };

fn retrying(policy: RetryPolicy) -> (Retry, Controls, Counters) {
    let fault = Fault::new(MemoryDriver::new().shared(), "tester", 1);
    let controls = fault.controls();
    let counters = Counters::default();
    let counted = Metrics::new(Arc::new(fault), Arc::new(counters.clone()));
    (Retry::new(Arc::new(counted), policy), controls, counters)
}

#[test]
fn a_failure_that_passes_is_not_seen() {
    with_still_clock(async {
        let (store, controls, counters) = retrying(RetryPolicy::default());
        controls.add(Rule::new(Effect::FailBefore(PASSING)).on(Operation::Put).times(2));

        store.put(&key("a"), Bytes::from_static(b"x"), PutMode::Overwrite).await.unwrap();

        assert_eq!(counters.snapshot().of(Operation::Put), 3);
    });
}

#[test]
fn attempts_are_bounded() {
    with_still_clock(async {
        let (store, controls, counters) = retrying(RetryPolicy { attempts: 4, ..RetryPolicy::default() });
        controls.add(Rule::new(Effect::FailBefore(PASSING)));

        assert_eq!(store.stat(&key("a")).await.unwrap_err().kind(), PASSING);

        assert_eq!(counters.snapshot().of(Operation::Stat), 4);
    });
}

#[test]
fn what_will_not_pass_is_answered_at_once() {
    with_still_clock(async {
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::Precondition,
            ErrorKind::UploadGone,
            ErrorKind::PartMismatch,
            ErrorKind::RangeNotSatisfiable { size: 1 },
            ErrorKind::Unsupported,
            ErrorKind::Full,
            ErrorKind::Backend { retryable: false },
        ];
        for kind in kinds {
            let (store, controls, counters) = retrying(RetryPolicy::default());
            controls.add(Rule::new(Effect::FailBefore(kind)));

            assert_eq!(store.get(&key("a"), ReadRange::Whole).await.unwrap_err().kind(), kind);

            assert_eq!(counters.snapshot().total(), 1, "{kind:?}");
        }
    });
}

#[test]
fn a_lost_answer_to_a_conditional_put_shows_as_a_condition_lost_to_itself() {
    with_still_clock(async {
        let (store, controls, _) = retrying(RetryPolicy::default());
        controls.add(Rule::new(Effect::FailAfter(PASSING)).on(Operation::Put).nth(1));

        let outcome = store.put(&key("a"), Bytes::from_static(b"mine"), PutMode::IfAbsent).await;

        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let stored = store.get(&key("a"), ReadRange::Whole).await.unwrap().body.into_bytes().await.unwrap();
        assert_eq!(stored, "mine", "comparing tells the caller that it won");
    });
}

#[test]
fn a_store_that_says_how_long_to_wait_is_asked_no_sooner_and_not_by_all_at_once() {
    with_still_clock(async {
        let policy = RetryPolicy { longest_pause: Duration::from_secs(5), ..RetryPolicy::default() };
        let asked = Duration::from_secs(4);
        let mut waited = Vec::new();
        for _ in 0..20 {
            let (store, controls, _) = retrying(policy);
            let throttled = ErrorKind::Throttled { retry_after: Some(asked) };
            controls.add(Rule::new(Effect::FailBefore(throttled)).times(1));
            let begun = Instant::now();

            store.list("", None, 1).await.unwrap();

            waited.push(begun.elapsed());
        }

        assert!(waited.iter().all(|pause| (asked..=asked + asked / 2).contains(pause)), "{waited:?}");
        assert!(waited.iter().any(|pause| *pause != waited[0]), "{waited:?}");
    });
}

#[test]
fn a_store_that_asks_for_more_than_anybody_waits_is_not_asked_again() {
    with_still_clock(async {
        let (store, controls, counters) = retrying(RetryPolicy::default());
        let throttled = ErrorKind::Throttled { retry_after: Some(Duration::from_secs(60)) };
        controls.add(Rule::new(Effect::FailBefore(throttled)));

        assert_eq!(store.list("", None, 1).await.unwrap_err().kind(), throttled, "the wish is passed on");

        assert_eq!(counters.snapshot().of(Operation::List), 1);
    });
}

#[test]
fn a_store_that_throttles_without_a_word_is_given_a_second_and_more() {
    with_still_clock(async {
        let (store, controls, _) = retrying(RetryPolicy::default());
        let throttled = ErrorKind::Throttled { retry_after: None };
        controls.add(Rule::new(Effect::FailBefore(throttled)).times(2));
        let begun = Instant::now();

        store.list("", None, 1).await.unwrap();

        let waited = begun.elapsed();
        assert!((Duration::from_millis(1500)..=Duration::from_secs(3)).contains(&waited), "{waited:?}");
    });
}

#[test]
fn a_store_that_fails_everything_is_not_asked_many_times_as_often() {
    with_still_clock(async {
        let policy = RetryPolicy { attempts: 10, budget: 5, ..RetryPolicy::default() };
        let (store, controls, counters) = retrying(policy);
        controls.add(Rule::new(Effect::FailBefore(PASSING)));

        for _ in 0..20 {
            store.stat(&key("a")).await.unwrap_err();
        }

        assert_eq!(counters.snapshot().of(Operation::Stat), 20 + 5);
    });
}

#[test]
fn successes_earn_retries_back() {
    with_still_clock(async {
        let policy = RetryPolicy { budget: 1, earned_per_success: 0.5, ..RetryPolicy::default() };
        let (store, controls, counters) = retrying(policy);
        controls.add(Rule::new(Effect::FailBefore(PASSING)).on(Operation::Stat));
        store.stat(&key("a")).await.unwrap_err();
        let before = counters.snapshot();

        for _ in 0..2 {
            store.list("", None, 1).await.unwrap();
        }
        store.stat(&key("a")).await.unwrap_err();

        assert_eq!(counters.since(&before).of(Operation::Stat), 2, "one retry was earned");
    });
}

#[test]
fn a_body_that_fails_on_its_way_is_not_begun_again() {
    with_still_clock(async {
        let (store, controls, counters) = retrying(RetryPolicy::default());
        store.put(&key("a"), Bytes::from_static(b"12345"), PutMode::Overwrite).await.unwrap();
        controls.add(Rule::new(Effect::CutBody { after: 2 }));

        let object = store.get(&key("a"), ReadRange::Whole).await.unwrap();

        object.body.into_bytes().await.unwrap_err();
        assert_eq!(counters.snapshot().of(Operation::Get), 1);
    });
}
