//! Reading a part of an object.

use super::trial::{Trial, assert_same, pattern};
use crate::{ErrorKind, ReadRange};

const MIB: usize = 1024 * 1024;

pub(super) async fn a_bounded_range_answers_exactly_its_bytes(trial: Trial) {
    let (key, content) = (trial.key("object"), pattern(1, 1000));
    trial.put(&key, &content).await;

    for (start, end) in [(0, 1), (0, 1000), (999, 1000), (10, 500)] {
        let found = trial.range(&key, ReadRange::Bounded(start as u64..end as u64)).await;

        assert_same(&found, &content.slice(start..end));
    }
}

pub(super) async fn a_range_past_the_end_is_cut_to_the_object(trial: Trial) {
    let (key, content) = (trial.key("object"), pattern(1, 1000));
    trial.put(&key, &content).await;

    let object = trial.driver.get(&key, ReadRange::Bounded(990..5000)).await.expect("it holds bytes");

    assert_eq!((object.range.clone(), object.meta.size), (990..1000, 1000));
    assert_same(&object.body.into_bytes().await.expect("it arrives"), &content.slice(990..));
    assert_same(&trial.range(&key, ReadRange::Bounded(0..u64::MAX)).await, &content);
}

pub(super) async fn a_range_from_an_offset_reaches_the_end(trial: Trial) {
    let (key, content) = (trial.key("object"), pattern(1, 1000));
    trial.put(&key, &content).await;

    for start in [0, 1, 999] {
        assert_same(&trial.range(&key, ReadRange::From(start as u64)).await, &content.slice(start..));
    }
}

pub(super) async fn a_suffix_answers_the_last_bytes(trial: Trial) {
    let (key, content) = (trial.key("object"), pattern(1, 1000));
    trial.put(&key, &content).await;

    for length in [1, 300, 1000] {
        assert_same(
            &trial.range(&key, ReadRange::Suffix(length as u64)).await,
            &content.slice(1000 - length..),
        );
    }
    assert_same(&trial.range(&key, ReadRange::Suffix(1001)).await, &content);
    assert_same(&trial.range(&key, ReadRange::Suffix(u64::MAX)).await, &content);
}

pub(super) async fn a_range_that_holds_no_byte_is_not_satisfiable(trial: Trial) {
    let (key, empty) = (trial.key("object"), trial.key("empty"));
    trial.put(&key, &pattern(1, 1000)).await;
    trial.put(&empty, &pattern(1, 0)).await;

    let none = [
        ReadRange::Bounded(1000..1001),
        ReadRange::Bounded(5000..6000),
        ReadRange::Bounded(5..5),
        ReadRange::From(1000),
        ReadRange::From(u64::MAX),
        ReadRange::Suffix(0),
    ];
    for range in none {
        let error = trial.driver.get(&key, range.clone()).await.expect_err("it holds no byte");
        assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable { size: 1000 }, "{range:?}");
    }
    for range in [ReadRange::Bounded(0..1), ReadRange::From(0), ReadRange::Suffix(5)] {
        let error = trial.driver.get(&empty, range.clone()).await.expect_err("it holds no byte");
        assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable { size: 0 }, "{range:?}");
    }
}

pub(super) async fn a_range_of_a_missing_object_is_not_found(trial: Trial) {
    for range in [ReadRange::Bounded(0..1), ReadRange::From(7), ReadRange::Suffix(5)] {
        let error = trial.driver.get(&trial.key("none"), range).await.expect_err("nothing is there");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

pub(super) async fn ranges_of_a_large_object_are_exact(trial: Trial) {
    let (key, content) = (trial.key("large"), pattern(5, 5 * MIB + 123));
    trial.put(&key, &content).await;

    for (start, end) in [(MIB - 1, MIB + 1), (MIB, 2 * MIB), (3, 4 * MIB + 7), (5 * MIB, 5 * MIB + 123)] {
        let found = trial.range(&key, ReadRange::Bounded(start as u64..end as u64)).await;

        assert_same(&found, &content.slice(start..end));
    }
    assert_same(&trial.range(&key, ReadRange::Suffix(2 * MIB as u64)).await, &content.slice(3 * MIB + 123..));
}
