//! Faults strike where they are told to, and nowhere else.

use std::sync::Arc;

use bytes::Bytes;
use entrepot_driver_memory::{Config, MemoryDriver};
use entrepot_storage::decorate::{Effect, Fault, Operation, Point, Rule, Stepper};
use entrepot_storage::{ErrorKind, PutMode, ReadRange, StorageDriver};
use futures_util::{StreamExt, poll};

use super::{content, key, with_still_clock};

const FAILED: ErrorKind = ErrorKind::Backend { retryable: true };
const DEAD: ErrorKind = ErrorKind::Backend { retryable: false };

fn faulty() -> (MemoryDriver, Fault) {
    let store = MemoryDriver::with(Config { stream_chunk_bytes: 10, ..Config::default() });
    let fault = Fault::new(store.shared(), "tester", 42);
    (store, fault)
}

async fn put(store: &Fault, name: &str) -> Result<(), ErrorKind> {
    let outcome = store.put(&key(name), Bytes::from_static(b"content"), PutMode::Overwrite).await;
    outcome.map(|_| ()).map_err(|error| error.kind())
}

#[test]
fn a_failure_before_is_not_applied_and_one_after_is() {
    with_still_clock(async {
        let (store, fault) = faulty();
        fault.controls().add(Rule::new(Effect::FailBefore(ErrorKind::Full)).at_prefix("before/"));
        fault.controls().add(Rule::new(Effect::FailAfter(FAILED)).at_prefix("after/"));

        assert_eq!(put(&fault, "before/a").await, Err(ErrorKind::Full));
        assert_eq!(put(&fault, "after/a").await, Err(FAILED));
        assert_eq!(put(&fault, "neither/a").await, Ok(()));

        assert_eq!(store.keys(), [key("after/a"), key("neither/a")]);
        assert_eq!(fault.controls().struck(), 2);
    });
}

#[test]
fn rules_count_only_the_calls_they_mean() {
    with_still_clock(async {
        let (_, fault) = faulty();
        fault.controls().add(Rule::new(Effect::FailBefore(FAILED)).on(Operation::Put).at_prefix("x/").nth(2));

        fault.list("x/", None, 1).await.unwrap();
        assert_eq!(put(&fault, "y/1").await, Ok(()));
        assert_eq!(put(&fault, "x/1").await, Ok(()));
        assert_eq!(put(&fault, "x/2").await, Err(FAILED));
        assert_eq!(put(&fault, "x/3").await, Ok(()));
    });
}

#[test]
fn one_seed_gives_one_sequence_of_faults() {
    with_still_clock(async {
        let mut runs = Vec::new();
        for seed in [7, 7, 8] {
            let fault = Fault::new(MemoryDriver::new().shared(), "tester", seed);
            fault.controls().add(Rule::new(Effect::FailBefore(FAILED)).with_probability(0.5));
            let mut outcomes = Vec::new();
            for _ in 0..64 {
                outcomes.push(put(&fault, "a").await.is_ok());
            }
            runs.push(outcomes);
        }

        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
        assert!(runs[0].contains(&true) && runs[0].contains(&false));
    });
}

#[test]
fn a_body_is_cut_after_exactly_so_many_bytes() {
    with_still_clock(async {
        let (store, fault) = faulty();
        store.plant(&key("a"), vec![7; 35]);
        for after in [0, 1, 10, 25, 34] {
            fault.controls().clear();
            fault.controls().add(Rule::new(Effect::CutBody { after }));

            let mut body = fault.get(&key("a"), ReadRange::Whole).await.unwrap().body.into_stream();

            let mut arrived = 0;
            let error = loop {
                match body.next().await.expect("a cut body ends with an error") {
                    Ok(chunk) => arrived += chunk.len() as u64,
                    Err(error) => break error,
                }
            };
            assert_eq!((arrived, error.kind()), (after, FAILED));
            assert!(body.next().await.is_none());
        }
    });
}

#[test]
fn exactly_one_byte_of_a_body_is_changed() {
    with_still_clock(async {
        let (store, fault) = faulty();
        for size in [5, 35] {
            store.plant(&key("a"), vec![8; size]);
            let at = size as u64 - 2;
            fault.controls().clear();
            fault.controls().add(Rule::new(Effect::FlipByte { at }));

            let arrived = content(fault.get(&key("a"), ReadRange::Whole).await.unwrap()).await;

            let changed: Vec<_> = (0..size).filter(|place| arrived[*place] != 8).collect();
            assert_eq!((arrived.len(), changed), (size, vec![size - 2]));
        }
    });
}

#[test]
fn a_crashed_handle_does_nothing_more_and_others_go_on() {
    with_still_clock(async {
        let (store, fault) = faulty();
        store.plant(&key("a"), vec![7; 35]);
        let mut body = fault.get(&key("a"), ReadRange::Whole).await.unwrap().body.into_stream();
        fault.controls().add(Rule::new(Effect::CrashAfter).on(Operation::Put));

        assert_eq!(put(&fault, "b").await, Err(DEAD));
        assert_eq!(put(&fault, "c").await, Err(DEAD));
        assert!(body.next().await.unwrap().is_err(), "a body that is being read dies too");

        assert!(fault.controls().is_crashed());
        assert_eq!(store.keys(), [key("a"), key("b")], "what was applied stays");
        assert!(Fault::new(store.shared(), "another", 1).stat(&key("b")).await.is_ok());
    });
}

#[test]
fn a_crash_before_applies_nothing() {
    with_still_clock(async {
        let (store, fault) = faulty();
        fault.controls().add(Rule::new(Effect::CrashBefore).on(Operation::Put));

        assert_eq!(put(&fault, "a").await, Err(DEAD));

        assert!(store.keys().is_empty());
    });
}

#[test]
fn a_scheduler_decides_which_call_is_applied_first() {
    with_still_clock(async {
        let (store, one) = faulty();
        let other = Fault::new(store.shared(), "other", 1);
        let stepper = Stepper::before_and_after();
        one.controls().step_by(&stepper);
        other.controls().step_by(&stepper);
        let key = key("a");
        let mut first = one.put(&key, Bytes::from_static(b"1"), PutMode::IfAbsent);
        let mut second = other.put(&key, Bytes::from_static(b"2"), PutMode::IfAbsent);
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        let waiting = stepper.waiting();
        assert_eq!(waiting.iter().map(|ticket| &*ticket.actor).collect::<Vec<_>>(), ["tester", "other"]);
        assert!(waiting.iter().all(|ticket| ticket.operation == Operation::Put && ticket.subject == "a"));

        stepper.release(waiting[1].id);
        assert!(poll!(&mut second).is_pending(), "applied, and waiting to learn of it");
        assert_eq!(store.peek(&key).unwrap(), "2");
        assert_eq!(stepper.waiting()[1].point, Point::After);
        stepper.release_all();
        assert!(poll!(&mut first).is_pending());
        stepper.release_all();

        assert!(second.await.is_ok());
        assert_eq!(first.await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    });
}

#[test]
fn a_crash_reaches_a_call_that_waits_before_it_is_applied() {
    with_still_clock(async {
        let (store, fault) = faulty();
        let stepper = Stepper::before();
        fault.controls().step_by(&stepper);
        let key = key("a");
        let mut call = fault.put(&key, Bytes::from_static(b"1"), PutMode::Overwrite);
        assert!(poll!(&mut call).is_pending());

        fault.controls().crash();
        stepper.release_all();

        assert_eq!(call.await.unwrap_err().kind(), DEAD);
        assert!(store.keys().is_empty());
    });
}

#[test]
fn a_dropped_call_leaves_the_queue() {
    with_still_clock(async {
        let (store, fault) = faulty();
        let stepper = Stepper::before();
        fault.controls().step_by(&stepper);
        let key = key("a");
        let mut call = fault.put(&key, Bytes::from_static(b"1"), PutMode::Overwrite);
        assert!(poll!(&mut call).is_pending());

        drop(call);

        assert!(stepper.waiting().is_empty());
        assert!(store.keys().is_empty());
    });
}

#[test]
fn the_chain_is_named_from_the_outside_in() {
    let (_, fault) = faulty();
    let chain = Fault::new(Arc::new(fault), "outer", 1);

    assert_eq!(chain.to_string(), "fault(fault(memory))");
}
