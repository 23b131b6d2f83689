//! `layout.json`: written once, by whoever comes first, and refused by who cannot understand it.

use std::sync::Arc;

use bytes::Bytes;
use entrepot_domain::maintenance::{ensure_layout, find_layout};
use entrepot_domain::{Error, layout};
use entrepot_driver_memory::MemoryDriver;
use entrepot_storage::decorate::{Counters, Effect, Fault, Metrics, Operation, Rule};
use entrepot_storage::{ErrorKind, SharedDriver, StorageDriverExt};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use futures_util::future::join_all;

use crate::block_on;

/// Why a store with this layout record is refused.
fn refusal(record: &'static str) -> String {
    let store = MemoryDriver::new();
    store.plant(&layout::layout(), Bytes::from_static(record.as_bytes()));

    let refused = block_on(ensure_layout(&store.shared())).unwrap_err();
    let found = block_on(find_layout(&store.shared())).unwrap_err();

    assert!(matches!(refused, Error::Record { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), found.to_string(), "who only looks is told the same");
    assert_eq!(store.peek(&layout::layout()).unwrap(), record, "nothing was changed");
    refused.to_string()
}

/// Sixteen replicas, all at once: one writes, all may use the store, and it is written once for ever.
fn replicas_that_start_at_once_write_one_layout(setup: Setup) {
    let counters = Counters::default();
    let store: SharedDriver = Arc::new(Metrics::new(Arc::clone(setup.store()), Arc::new(counters.clone())));
    block_on(async {
        join_all((0..16).map(|_| ensure_layout(&store))).await.into_iter().for_each(|one| one.unwrap());
        let (first, _) = store.read(&layout::layout()).await.unwrap().unwrap();
        let before = counters.snapshot();

        ensure_layout(&store).await.unwrap();

        let spent = counters.since(&before);
        assert_eq!((spent.of(Operation::Put), spent.total() - spent.of(Operation::GetBody)), (0, 1));
        assert_eq!(store.read(&layout::layout()).await.unwrap().unwrap().0, first);
        assert_eq!(first, r#"{"version":1}"#);
    });
}

on_every_store![replicas_that_start_at_once_write_one_layout];

#[test]
fn a_newer_layout_is_refused_naming_both_versions_whatever_else_it_says() {
    for record in [r#"{"version":2}"#, r#"{"version":2,"features":{"new":"shape"},"more":[1]}"#] {
        let message = refusal(record);

        assert!(message.contains("layout 2"), "{message}");
        assert!(message.contains("up to 1"), "{message}");
        assert!(message.contains("Run the newer Entrepot"), "{message}");
    }
}

#[test]
fn a_required_feature_that_is_unknown_is_refused_by_name() {
    let message = refusal(r#"{"version":1,"features":["packs"]}"#);

    assert!(message.contains(r#"uses "packs""#), "{message}");
}

#[test]
fn optional_features_and_fields_nobody_knows_are_no_reason_to_refuse() {
    let store = MemoryDriver::new();
    let record = r#"{"version":1,"optional":["statistics"],"written_by":"2.0"}"#;
    store.plant(&layout::layout(), Bytes::from_static(record.as_bytes()));

    block_on(ensure_layout(&store.shared())).unwrap();

    assert_eq!(store.peek(&layout::layout()).unwrap(), record);
    let found = block_on(find_layout(&store.shared())).unwrap().unwrap();
    assert_eq!(found.optional, ["statistics"]);
}

#[test]
fn garbage_is_refused_with_what_to_do() {
    for record in ["", "\0\0\0\0", "<html>", "{}", r#"{"version":"one"}"#, r#"{"version":0}"#, "[1]"] {
        let message = refusal(record);

        assert!(message.contains("layout.json"), "{record:?}: {message}");
    }
    assert!(refusal("{}").contains("from a backup"));
}

/// A store that fails is not an empty one: nothing is written over what could not be read.
#[test]
fn a_store_that_fails_is_not_taken_for_an_empty_one() {
    for kind in [ErrorKind::Backend { retryable: true }, ErrorKind::Backend { retryable: false }] {
        let memory = MemoryDriver::new();
        let fault = Fault::new(memory.shared(), "replica", 1);
        fault.controls().add(Rule::new(Effect::FailBefore(kind)).on(Operation::Get));
        let store: SharedDriver = Arc::new(fault);

        let refused = block_on(ensure_layout(&store)).unwrap_err();

        assert!(matches!(refused, Error::Store(_)), "{refused:?}");
        assert_eq!(memory.keys(), []);
    }
}

/// A put whose answer was lost was applied all the same: the next read finds the record.
#[test]
fn a_lost_answer_to_the_first_write_is_settled_by_reading() {
    let memory = MemoryDriver::new();
    let fault = Fault::new(memory.shared(), "replica", 1);
    fault.controls().add(Rule::new(Effect::FailAfter(ErrorKind::AlreadyExists)).on(Operation::Put));
    let store: SharedDriver = Arc::new(fault);

    block_on(ensure_layout(&store)).unwrap();

    assert_eq!(memory.keys(), [layout::layout()]);
}
