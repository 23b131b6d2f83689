//! The driver contract, case by case, through each decorator that has nothing to do.

use std::sync::Arc;
use std::time::Duration;

use entrepot_driver_memory::{Flaw, Flawed, MemoryDriver};
use entrepot_storage::SharedDriver;
use entrepot_storage::conformance::Subject;
use entrepot_storage::decorate::{
    Alone, Counters, Fault, Limit, Limits, Metrics, Retry, RetryPolicy, Stepper, Timeout, Timeouts,
};

fn through(decorate: impl Fn(SharedDriver) -> SharedDriver) -> Subject {
    let store = MemoryDriver::new();
    Subject::new(decorate(store.shared())).with_second(decorate(store.shared()))
}

fn metrics(inner: SharedDriver) -> SharedDriver {
    Arc::new(Metrics::new(inner, Arc::new(Counters::default())))
}

fn retry(inner: SharedDriver) -> SharedDriver {
    Arc::new(Retry::new(inner, RetryPolicy::default()))
}

fn timeout(inner: SharedDriver) -> SharedDriver {
    Arc::new(Timeout::new(inner, Timeouts::default()))
}

fn limit(inner: SharedDriver) -> SharedDriver {
    let limits = Limits { concurrent: 2, queue: 100, wait: Duration::from_secs(60) };
    Arc::new(Limit::new(inner, limits))
}

fn fault(inner: SharedDriver) -> SharedDriver {
    Arc::new(Fault::new(inner, "tester", 1))
}

mod metrics_alone {
    async fn subject() -> super::Subject {
        super::through(super::metrics)
    }

    entrepot_storage::conformance_tests!(subject);
}

mod retry_alone {
    async fn subject() -> super::Subject {
        super::through(super::retry)
    }

    entrepot_storage::conformance_tests!(subject);
}

mod timeout_alone {
    async fn subject() -> super::Subject {
        super::through(super::timeout)
    }

    entrepot_storage::conformance_tests!(subject);
}

mod limit_alone {
    async fn subject() -> super::Subject {
        super::through(super::limit)
    }

    entrepot_storage::conformance_tests!(subject);
}

mod fault_alone {
    async fn subject() -> super::Subject {
        super::through(super::fault)
    }

    entrepot_storage::conformance_tests!(subject);
}

mod the_whole_chain {
    async fn subject() -> super::Subject {
        super::through(|store| {
            super::metrics(super::retry(super::timeout(super::limit(super::fault(store)))))
        })
    }

    entrepot_storage::conformance_tests!(subject);
}

mod under_a_stepper {
    //! The memory driver never waits, so its calls would run one after the other. Here each call is let
    //! go at a random moment, before it is applied and again before it is answered.

    use super::{Arc, Fault, MemoryDriver, Stepper, Subject};

    async fn subject() -> Subject {
        let store = MemoryDriver::new();
        let stepper = Stepper::before_and_after();
        let handle = |actor: &str| {
            let fault = Fault::new(store.shared(), actor, 1);
            fault.controls().step_by(&stepper);
            Arc::new(fault)
        };
        let subject = Subject::new(handle("one")).with_second(handle("other"));
        let releasing = tokio::spawn(release_in_random_order(stepper.clone()));
        subject.keeping(StopOnDrop(releasing))
    }

    async fn release_in_random_order(stepper: Stepper) {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        loop {
            let waiting = stepper.waiting();
            if !waiting.is_empty() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                stepper.release(waiting[(state >> 33) as usize % waiting.len()].id);
            }
            tokio::task::yield_now().await;
        }
    }

    struct StopOnDrop(tokio::task::JoinHandle<()>);

    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    entrepot_storage::conformance_tests!(subject);
}

mod alone_over_a_store_that_ignores_conditions {
    async fn subject() -> super::Subject {
        let flawed = super::Flawed::shared(super::MemoryDriver::new(), super::Flaw::IgnoresConditions);
        super::Subject::new(std::sync::Arc::new(super::Alone::new(flawed)))
    }

    entrepot_storage::conformance_tests!(subject);
}
