//! Requests as they go over the wire to a store of each kind: what its bill will say.
//!
//! Each test holds the columns of its own store, so that it can run where the others are not there. Drivers
//! are opened anew for each cold operation, and what opening them asks is counted with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use entrepot_storage::SharedDriver;
use entrepot_tests::bill::Item;
use entrepot_tests::stores::{Kind, ObjectStore};
use entrepot_tests::wire::{Passed, Wire};

use super::map;
use super::operations::{
    AGAIN, BY_DIGEST, BY_TAG, HEAD_BLOB, IMAGE, LARGE, Meter, ONE_POST, PARTS, POST_AND_PUT, REDIRECTED, Row,
    measure, row,
};

/// The stores in the order of the table, by what its columns are called.
const COLUMNS: [(Kind, &str); 3] = [(Kind::S3, "S3"), (Kind::Azure, "Azure"), (Kind::Gcs, "GCS")];

/// How often a store was asked for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bill(BTreeMap<Item, u64>);

impl Bill {
    fn of(store: Kind, requests: &[Passed]) -> Self {
        let mut bill = Self::default();
        for request in requests {
            let item = Item::of(store, request);
            *bill.0.entry(item.unwrap_or_else(|| panic!("nobody foresaw {request:?}"))).or_default() += 1;
        }
        bill
    }

    fn all(&self) -> u64 {
        self.0.values().sum()
    }

    fn writes(&self) -> u64 {
        self.0.iter().filter(|(item, _)| item.is_write()).map(|(_, count)| count).sum()
    }

    fn count(&self, item: Item) -> u64 {
        self.0.get(&item).copied().unwrap_or_default()
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&map::words(self.0.iter().map(|(item, count)| (*count, item.to_string()))))
    }
}

/// A place in a store of its own behind a wire that is looked at.
struct Watched {
    kind: Kind,
    store: ObjectStore,
    wire: Arc<Wire>,
}

impl Meter for Watched {
    type Spent = Bill;

    async fn open(&self) -> SharedDriver {
        self.store.driver().await
    }

    fn spent(&self) -> Bill {
        Bill::of(self.kind, &self.wire.take())
    }
}

/// `None` where there is no such store, or none that can be looked at; and a line that says so.
fn measured(kind: Kind) -> Option<Vec<Row<Bill>>> {
    let store = ObjectStore::find(kind)?;
    let wire = Arc::new(Wire::before(store.address()?));
    let store = store.through(wire.address());
    let fresh = || Watched { kind, store: store.elsewhere(), wire: Arc::clone(&wire) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Some(runtime.unwrap().block_on(measure(fresh)))
}

/// The rows that stand there, by their first cell.
fn cells(table: &str) -> BTreeMap<&str, Vec<&str>> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    rows.filter(|row| row.len() == 1 + 2 * COLUMNS.len()).map(|row| (row[0], row[1..].to_vec())).collect()
}

/// The table with the columns of one store as they were measured, and the others as they are.
fn table(found: &str, kind: Kind, rows: &[Row<Bill>]) -> String {
    let found = cells(found);
    let titles = COLUMNS.map(|(_, title)| format!(" {title}, cold | {title}, warm |")).concat();
    let mut text = format!("| operation |{titles}\n|---|{}\n", "---|".repeat(2 * COLUMNS.len()));
    for Row { what, cold, warm } in rows {
        text.push_str(&format!("| {what} |"));
        for (index, (column, _)) in COLUMNS.iter().enumerate() {
            let standing = |at| found.get(what).map_or("?", |cells: &Vec<&str>| cells[at]).to_owned();
            let (cold, warm) = match *column == kind {
                true => (cold.to_string(), map::cell(warm.as_ref())),
                false => (standing(2 * index), standing(2 * index + 1)),
            };
            text.push_str(&format!(" {cold} | {warm} |"));
        }
        text.push('\n');
    }
    let legend = legend(&text);
    text + "\n" + &legend
}

/// What the words of a table mean, in the words of the bills.
fn legend(table: &str) -> String {
    let titles = COLUMNS.map(|(_, title)| format!(" {title} |")).concat();
    let mut text = format!("| word |{titles}\n|---|{}\n", "---|".repeat(COLUMNS.len()));
    let cells = cells(table);
    let words = cells.values().flatten().flat_map(|cell| cell.split([' ', ',']));
    let is_there = |item: &&Item| words.clone().any(|word| word == item.to_string());
    for item in Item::ALL.iter().filter(is_there) {
        let names = COLUMNS.map(|(kind, _)| format!(" {} |", item.name_at(kind).unwrap_or("–"))).concat();
        text.push_str(&format!("| {item} |{names}\n"));
    }
    text
}

fn the_table_is_up_to_date(kind: Kind) {
    let Some(rows) = measured(kind) else { return };

    map::hold("wire", |found| table(found, kind, &rows));
}

/// The ceilings of row F29 once more, where the money is.
fn no_ceiling_is_passed(kind: Kind) {
    let Some(rows) = measured(kind) else { return };
    let row = |what| row(&rows, what);
    let nothing = Some(Bill::default());

    for what in [REDIRECTED, HEAD_BLOB, BY_DIGEST] {
        assert_eq!(row(what).warm, nothing, "{what}");
    }
    assert!(row(BY_TAG).cold.all() <= 2, "{}", row(BY_TAG).cold);
    for what in [ONE_POST, POST_AND_PUT] {
        assert!(row(what).cold.writes() <= 3, "{what}: {}", row(what).cold);
    }
    let large = &row(LARGE).cold;
    let (begun, completed) = (large.count(Item::Begin), large.count(Item::Complete));
    assert!(begun <= 1 && completed == 1 && large.count(Item::Part) == PARTS, "{large}");
    assert!(large.writes() <= 3 + PARTS + begun + completed, "{large}");
    assert!(row(IMAGE).cold.writes() <= 4 + 1, "{}", row(IMAGE).cold);
    assert_eq!(row(AGAIN).cold.writes(), 0);
}

macro_rules! on {
    ($store:ident, $kind:expr) => {
        mod $store {
            use super::Kind;

            #[test]
            fn the_table_of_requests_on_the_wire_is_up_to_date() {
                super::the_table_is_up_to_date($kind);
            }

            #[test]
            fn no_operation_asks_more_than_was_promised() {
                super::no_ceiling_is_passed($kind);
            }
        }
    };
}

on!(s3, Kind::S3);
on!(azure, Kind::Azure);
on!(gcs, Kind::Gcs);

#[test]
fn a_store_rewrites_its_own_columns_and_keeps_the_others() {
    let bill = |item, count| Bill(BTreeMap::from([(item, count)]));
    let rows = [Row { what: "look", cold: bill(Item::Get, 2), warm: None }];
    let before = table("", Kind::Gcs, &rows);

    let rows = [Row { what: "look", cold: bill(Item::Head, 1), warm: Some(Bill::default()) }];
    let after = table(&before, Kind::Azure, &rows);

    assert!(before.contains("| look | ? | ? | ? | ? | 2 get | – |\n"), "{before}");
    assert!(after.contains("| look | ? | ? | 1 head | nothing | 2 get | – |\n"), "{after}");
    assert!(after.contains("| get | GetObject | Get Blob | GET Object |\n"), "{after}");
    assert!(after.contains("| head | HeadObject | Get Blob Properties | storage.objects.get |\n"), "{after}");
}
