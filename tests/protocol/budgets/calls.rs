//! Calls of the driver contract, counted on the memory driver: the price by design.

use std::fmt;
use std::sync::{Arc, Mutex};

use entrepot_driver_memory::MemoryDriver;
use entrepot_storage::SharedDriver;
use entrepot_storage::decorate::metrics::Counts;
use entrepot_storage::decorate::{Counters, Metrics, Operation};

use super::map;
use super::operations::{
    AGAIN, BY_DIGEST, BY_PATCH, BY_TAG, HEAD_BLOB, IMAGE, LARGE, Meter, ONE_POST, PARTS, POST_AND_PUT, PURGE,
    PURGE_EVERYTHING, PURGED, REDIRECTED, Row, measure, row,
};
use crate::run::block_on;

/// What an operation asked of the driver, by what it costs there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    reads: u64,
    writes: u64,
    lists: u64,
    deletes: u64,
}

impl Spent {
    fn of(counts: &Counts) -> Self {
        let sum = |operations: &[Operation]| operations.iter().map(|operation| counts.of(*operation)).sum();
        Self {
            reads: sum(&[Operation::Get, Operation::Stat]),
            writes: sum(&[
                Operation::Put,
                Operation::UploadBegin,
                Operation::UploadPart,
                Operation::UploadComplete,
            ]),
            lists: sum(&[Operation::List, Operation::ListUploads]),
            deletes: sum(&[Operation::Delete, Operation::DeleteMany, Operation::UploadAbort]),
        }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each =
            [(self.reads, "read"), (self.writes, "write"), (self.lists, "list"), (self.deletes, "delete")];
        let plural = |(count, word)| (count, format!("{word}{}", if count == 1 { "" } else { "s" }));
        f.write_str(&map::words(each.map(plural)))
    }
}

/// Counts at the border of the driver.
struct Counted {
    driver: SharedDriver,
    counters: Counters,
    told: Mutex<Counts>,
}

impl Counted {
    fn new() -> Self {
        let counters = Counters::default();
        let told = Mutex::new(counters.snapshot());
        let driver = Metrics::new(MemoryDriver::new().shared(), Arc::new(counters.clone()));
        Self { driver: Arc::new(driver), counters, told }
    }
}

impl Meter for Counted {
    type Spent = Spent;

    async fn open(&self) -> SharedDriver {
        Arc::clone(&self.driver)
    }

    fn spent(&self) -> Spent {
        let mut told = self.told.lock().unwrap();
        let spent = Spent::of(&self.counters.since(&told));
        *told = self.counters.snapshot();
        spent
    }
}

fn measured() -> Vec<Row<Spent>> {
    block_on(measure(Counted::new))
}

fn table(rows: &[Row<Spent>]) -> String {
    let mut text = "| operation | cold | warm |\n|---|---|---|\n".to_owned();
    for Row { what, cold, warm } in rows {
        text.push_str(&format!("| {what} | {cold} | {} |\n", map::cell(warm.as_ref())));
    }
    text
}

#[test]
fn the_table_of_budgets_in_the_map_is_up_to_date() {
    map::hold("requests", |_| table(&measured()));
}

/// The ceilings of row F29. The table may change for a good reason; these may not.
#[test]
fn no_operation_costs_more_than_it_was_promised_to() {
    let rows = measured();
    let row = |what| row(&rows, what);
    let nothing = Spent::default();
    let reads = |reads| Spent { reads, ..nothing };

    let redirected = row(REDIRECTED);
    assert_eq!((redirected.cold, redirected.warm), (reads(1), Some(nothing)), "a redirect rests on the link");
    assert_eq!(row(HEAD_BLOB).warm, Some(nothing));
    assert_eq!(row(BY_DIGEST).warm, Some(nothing));
    assert!(row(BY_TAG).cold.reads <= 2);
    for what in [ONE_POST, POST_AND_PUT] {
        assert!(row(what).cold.writes <= 3, "{what}");
    }
    // The session's record, written when it begins to hold bytes and when it gives them away.
    assert!(row(BY_PATCH).cold.writes <= 3 + 2);
    let large = row(LARGE).cold;
    // Beginning and completing the upload stand beside its parts and the three records.
    assert!(large.writes <= 3 + 2 + PARTS, "{large}");
    // Four and one for each tag, the announcement; and the catalog entry of a repository's first manifest.
    assert!(row(IMAGE).cold.writes <= 4 + 1);
    assert_eq!(row(AGAIN).cold.writes, 0);
    // The claim and its end, whatever the store holds; and one read for each blob, once a month, by one replica.
    assert_eq!((row(PURGE).cold.reads, row(PURGE).cold.writes), (1, 2));
    assert_eq!(row(PURGE_EVERYTHING).cold.reads, 1 + 3);
    assert_eq!(row(PURGED).cold, reads(1));
    for Row { what, cold, warm } in &rows {
        let Some(warm) = warm else { continue };
        assert!(cold.lists <= 1 && cold.writes + cold.deletes == 0, "{what}: looking costs one page at most");
        assert!(warm.reads <= cold.reads, "{what}");
    }
}
