//! Places at the store.

use std::sync::Arc;
use std::time::Duration;

use entrepot_driver_memory::MemoryDriver;
use entrepot_storage::decorate::{Fault, Limit, Limits, Stepper};
use entrepot_storage::{ErrorKind, StorageDriver};
use futures_util::future::{join, join_all};
use futures_util::poll;

use super::{key, with_still_clock};

fn limited(concurrent: usize, queue: usize) -> (Limit, Stepper) {
    let fault = Fault::new(MemoryDriver::new().shared(), "tester", 1);
    let stepper = Stepper::before();
    fault.controls().step_by(&stepper);
    let limits = Limits { concurrent, queue, wait: Duration::from_secs(3) };
    (Limit::new(Arc::new(fault), limits), stepper)
}

#[test]
fn no_more_calls_than_allowed_are_at_the_store() {
    with_still_clock(async {
        let (store, stepper) = limited(3, 100);
        let key = key("a");
        let mut calls = Box::pin(join_all((0..10).map(|_| store.delete(&key, None))));

        let mut most = 0;
        while poll!(&mut calls).is_pending() {
            most = most.max(stepper.waiting().len());
            assert!(stepper.waiting().len() <= 3);
            stepper.release(stepper.waiting()[0].id);
        }

        assert_eq!(most, 3, "the places are used");
    });
}

#[test]
fn a_call_that_finds_the_queue_full_is_throttled_at_once() {
    with_still_clock(async {
        let (store, stepper) = limited(1, 1);
        let key = key("a");
        let (mut at_store, mut queued) = (store.delete(&key, None), store.delete(&key, None));
        assert!(poll!(&mut at_store).is_pending() && poll!(&mut queued).is_pending());

        let refused = store.delete(&key, None).await.unwrap_err();

        assert!(matches!(refused.kind(), ErrorKind::Throttled { retry_after: Some(_) }), "{refused}");
        let releasing = async {
            while !stepper.waiting().is_empty() {
                stepper.release_all();
                tokio::task::yield_now().await;
            }
        };
        let ((at_store, queued), ()) = join(join(at_store, queued), releasing).await;
        assert!(at_store.is_ok() && queued.is_ok());
    });
}

#[test]
fn a_call_that_waits_too_long_is_throttled() {
    with_still_clock(async {
        let (store, _stepper) = limited(1, 5);
        let key = key("a");
        let mut at_store = store.delete(&key, None);
        assert!(poll!(&mut at_store).is_pending());

        let refused = store.delete(&key, None).await.unwrap_err();

        assert!(matches!(refused.kind(), ErrorKind::Throttled { .. }), "{refused}");
    });
}

#[test]
fn a_caller_that_goes_away_gives_its_place_back() {
    with_still_clock(async {
        let (store, stepper) = limited(1, 1);
        let key = key("a");
        for _ in 0..3 {
            let (mut at_store, mut queued) = (store.delete(&key, None), store.delete(&key, None));
            assert!(poll!(&mut at_store).is_pending() && poll!(&mut queued).is_pending());
        }

        let mut call = store.delete(&key, None);
        assert!(poll!(&mut call).is_pending());
        stepper.release_all();
        assert!(call.await.is_ok());
    });
}
