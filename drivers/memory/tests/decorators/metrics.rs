//! What is recorded.

use std::sync::Arc;

use bytes::Bytes;
use entrepot_driver_memory::{Config, MemoryDriver};
use entrepot_storage::decorate::{Class, Counters, Fault, Metrics, Observation, Operation, Recorder, Rule};
use entrepot_storage::decorate::{Effect, fault};
use entrepot_storage::{ErrorKind, PutMode, ReadRange, StorageDriver};
use futures_util::StreamExt;

use super::{content, is_stream, key, with_still_clock};

fn counted() -> (Metrics, Counters) {
    let counters = Counters::default();
    (Metrics::new(MemoryDriver::new().shared(), Arc::new(counters.clone())), counters)
}

#[test]
fn calls_are_counted_by_operation_and_by_the_first_segment_of_their_key() {
    with_still_clock(async {
        let (store, counters) = counted();
        store.put(&key("tags/a/b"), Bytes::from_static(b"12345"), PutMode::Overwrite).await.unwrap();
        let before = counters.snapshot();

        store.put(&key("tags/a/c"), Bytes::from_static(b"123"), PutMode::IfAbsent).await.unwrap();
        store.stat(&key("tags/a/c")).await.unwrap();
        store.get(&key("blobs/x"), ReadRange::Whole).await.unwrap_err();
        store.list("tags/", None, 10).await.unwrap();

        let counts = counters.since(&before);
        assert_eq!(counts.of(Operation::Put), 1, "{counts}");
        assert_eq!(counts.bytes_of(Operation::Put), 3);
        assert_eq!(counts.of_at(Operation::Get, "blobs"), 1, "a failed call counts too");
        assert_eq!((counts.at("tags"), counts.at("blobs"), counts.total()), (3, 1, 4));
        assert_eq!((counts.of_class(Class::Read), counts.of_class(Class::Write)), (2, 2));
    });
}

#[derive(Debug, Default)]
struct Notes(std::sync::Mutex<Vec<Note>>);

type Note = (Operation, String, u64, Option<ErrorKind>);

impl Recorder for Notes {
    fn record(&self, seen: &Observation<'_>) {
        let note = (seen.operation, seen.subject.to_owned(), seen.bytes, seen.error);
        self.0.lock().expect("no test panics while it writes").push(note);
    }
}

#[test]
fn a_streamed_body_is_recorded_when_it_ends() {
    with_still_clock(async {
        let config = Config { stream_chunk_bytes: 10, ..Config::default() };
        let notes = Arc::new(Notes::default());
        let store = Metrics::new(MemoryDriver::with(config).shared(), notes.clone());
        store.put(&key("a"), Bytes::from(vec![7; 25]), PutMode::Overwrite).await.unwrap();
        notes.0.lock().unwrap().clear();

        let object = store.get(&key("a"), ReadRange::Whole).await.unwrap();
        assert!(is_stream(&object));
        assert_eq!(notes.0.lock().unwrap().len(), 1, "the body has not ended yet");
        assert_eq!(content(object).await.len(), 25);

        let recorded = notes.0.lock().unwrap().clone();
        assert_eq!(recorded[1], (Operation::GetBody, "a".into(), 25, None));
    });
}

#[test]
fn a_reader_that_goes_away_and_a_body_that_fails_are_recorded_as_such() {
    with_still_clock(async {
        let config = Config { stream_chunk_bytes: 10, ..Config::default() };
        let fault = Fault::new(MemoryDriver::with(config).shared(), "tester", 1);
        let controls: fault::Controls = fault.controls();
        let notes = Arc::new(Notes::default());
        let store = Metrics::new(Arc::new(fault), notes.clone());
        store.put(&key("a"), Bytes::from(vec![7; 25]), PutMode::Overwrite).await.unwrap();

        let mut body = store.get(&key("a"), ReadRange::Whole).await.unwrap().body.into_stream();
        body.next().await.unwrap().unwrap();
        drop(body);
        controls.add(Rule::new(Effect::CutBody { after: 15 }));
        store.get(&key("a"), ReadRange::Whole).await.unwrap().body.into_bytes().await.unwrap_err();

        let recorded = notes.0.lock().unwrap().clone();
        let bodies: Vec<_> = recorded.iter().filter(|note| note.0 == Operation::GetBody).collect();
        assert_eq!((bodies[0].2, bodies[0].3), (10, None));
        assert_eq!((bodies[1].2, bodies[1].3), (15, Some(ErrorKind::Backend { retryable: true })));
    });
}
