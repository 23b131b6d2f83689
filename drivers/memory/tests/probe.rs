//! The probe of stores, on a store that keeps every promise and on ones that each break one.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test, in helpers too")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use entrepot_driver_memory::{Config, Flaw, Flawed, MemoryDriver};
use entrepot_storage::decorate::{Alone, Counters, Effect, Fault, Metrics, Rule};
use entrepot_storage::probe::{self, ClockOffset, Outcome, Promise, Report};
use entrepot_storage::{Capabilities, ErrorKind, SharedDriver};

fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

fn thorough(store: &SharedDriver) -> Report {
    block_on(probe::run(store, "probe/1/", SystemTime::now))
}

fn flawed(flaw: Flaw) -> Report {
    thorough(&Flawed::shared(MemoryDriver::new(), flaw))
}

/// What does not hold, by name.
fn broken(report: &Report) -> Vec<Promise> {
    let broken = report.checks.iter().filter(|check| matches!(check.outcome, Outcome::Broken(_)));
    broken.map(|check| check.promise).collect()
}

#[test]
fn a_good_store_keeps_every_promise_and_is_left_empty() {
    for config in [Config::default(), Config::resembling_s3(64 * 1024)] {
        let store = MemoryDriver::with(config);

        let report = thorough(&store.shared());

        for check in &report.checks {
            assert_eq!(check.outcome, Outcome::Holds, "{:?}", check.promise);
        }
        assert_eq!(report.checks.len(), 15);
        assert_eq!(report.clock.unwrap().size(), Duration::ZERO);
        assert_eq!((store.keys(), store.uploads_in_progress()), (vec![], 0));
    }
}

#[test]
fn the_probe_at_start_tries_what_data_rests_on_with_few_requests() {
    let store = MemoryDriver::new();
    let counters = Counters::default();
    let counted: SharedDriver = Arc::new(Metrics::new(store.shared(), Arc::new(counters.clone())));

    let report = block_on(probe::at_start(&counted, "probe/1/", SystemTime::now));

    assert!(report.checks.iter().all(|check| check.outcome == Outcome::Holds), "{report:?}");
    assert_eq!(report.checks.len(), 8);
    let requests = counters.snapshot().total();
    assert!(requests <= 50, "{requests} requests");
    assert_eq!(store.keys(), []);
}

#[test]
fn a_store_that_ignores_conditions_is_found_out_at_start() {
    let store = Flawed::shared(MemoryDriver::new(), Flaw::IgnoresConditions);

    let report = block_on(probe::at_start(&store, "probe/1/", SystemTime::now));

    let expected = [Promise::CreateOnce, Promise::ReplaceUnchanged, Promise::OneWinner];
    assert_eq!(broken(&report), expected);
    assert_eq!(
        report.outcome(Promise::CreateOnce).unwrap().to_string(),
        "does not hold: a put-if-absent over an object is answered with success"
    );
}

#[test]
fn each_flaw_breaks_the_promise_it_is_about_and_no_other() {
    for (flaw, expected) in [
        (Flaw::ChecksThenWrites, &[Promise::OneWinner][..]),
        (Flaw::ListsLate, &[Promise::ListAfterWrite, Promise::ListOrder]),
        (Flaw::ListsBackwards, &[Promise::ListOrder]),
        (Flaw::TakesLateParts, &[Promise::PartsByTag]),
        (Flaw::ForgetsCompletions, &[Promise::CompleteTwice]),
        (Flaw::IgnoresAborts, &[Promise::AbortFrees]),
        (Flaw::ClockAhead(Duration::from_secs(90)), &[Promise::Clock]),
        (Flaw::IgnoresIfMatch, &[Promise::ReplaceUnchanged, Promise::OneWinner]),
        (Flaw::RefusesIfMatch, &[Promise::ReplaceUnchanged, Promise::OneWinner]),
    ] {
        assert_eq!(broken(&flawed(flaw)), expected, "{flaw:?}");
    }
}

#[test]
fn a_cache_of_absences_is_found_out() {
    let report = flawed(Flaw::RemembersAbsence);

    let outcome = report.outcome(Promise::ReadAfterWrite).unwrap();
    assert_eq!(outcome.to_string(), "does not hold: a read shows nothing after a write");
}

#[test]
fn the_offset_of_the_clocks_is_told() {
    let report = flawed(Flaw::ClockAhead(Duration::from_secs(600)));

    let Some(ClockOffset::Ahead(offset)) = report.clock else { panic!("{:?}", report.clock) };
    assert!((590..=600).contains(&offset.as_secs()), "{offset:?}");
}

#[test]
fn what_a_driver_does_not_declare_is_not_asked_for() {
    let store = MemoryDriver::with(Config::resembling_r2(1024));
    let report = thorough(&store.shared());
    assert_eq!(report.outcome(Promise::ConditionalDelete), Some(&Outcome::Undeclared));
    assert_eq!(broken(&report), []);

    let everything = Config::default();
    let capabilities = Capabilities { conditional_put: false, ..everything.capabilities };
    let store = MemoryDriver::with(Config { capabilities, ..everything });
    let report = thorough(&store.shared());
    assert_eq!(broken(&report), [Promise::CreateOnce, Promise::ReplaceUnchanged, Promise::OneWinner]);
}

#[test]
fn a_store_that_fails_breaks_no_promise_and_keeps_none() {
    let fault = Fault::new(MemoryDriver::new().shared(), "probe", 1);
    fault.controls().add(Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: true })));
    let store: SharedDriver = Arc::new(fault);

    let report = thorough(&store);

    assert_eq!(broken(&report), []);
    assert!(report.checks.iter().all(|check| matches!(check.outcome, Outcome::Unknown(_))), "{report:?}");
}

#[test]
fn a_store_that_never_answers_ends_the_probe_by_its_deadline() {
    let fault = Fault::new(MemoryDriver::new().shared(), "probe", 1);
    fault.controls().add(Rule::new(Effect::Delay(Duration::from_secs(3600))));
    let store: SharedDriver = Arc::new(fault);

    let report = block_on(probe::at_start(&store, "probe/1/", SystemTime::now));

    let outcome = report.outcome(Promise::CreateOnce).unwrap();
    assert_eq!(*outcome, Outcome::Unknown("not done within 20 s".into()));
}

#[test]
fn a_store_without_conditions_keeps_them_for_a_process_that_is_alone() {
    for flaw in [Flaw::IgnoresConditions, Flaw::ChecksThenWrites] {
        let flawed = Flawed::shared(MemoryDriver::new(), flaw);
        let alone: SharedDriver = Arc::new(Alone::new(flawed));

        let report = thorough(&alone);

        assert_eq!(broken(&report), [], "{flaw:?}");
    }
}
