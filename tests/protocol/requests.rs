//! What each operation costs at the store: the "now" column of `protocol.md` section 3, asserted.
//!
//! Serial depth is measured, not timed: all requests that wait are granted at once, and the rounds are
//! counted. A request body is there at once, so reads that overlap a real upload count here.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use entrepot_domain::blobs::{BlobRange, Intent, Mount};
use entrepot_domain::catalog::Page;
use entrepot_domain::layout;
use entrepot_domain::manifests::{ManifestPush, TagCondition};
use entrepot_domain::uploads::Finish;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::{Registry, Result};
use entrepot_driver_memory::MemoryDriver;
use entrepot_oci::media_type::{OCI_CONFIG, OCI_MANIFEST};
use entrepot_oci::{Digest, Reference, RepositoryName, Tag};
use entrepot_storage::{PutMode, StorageDriver};
use futures_util::stream;

use crate::run::{block_on, settle};
use crate::step::{Ask, Board, Stepped, Verdict};

/// Blobs of the image in the table.
const N: usize = 3;

/// What an operation asked of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    puts: usize,
    gets: usize,
    stats: usize,
    lists: usize,
    deletes: usize,
    rounds: usize,
}

impl Cost {
    const fn of(puts: usize, gets: usize, rounds: usize) -> Self {
        Cost { puts, gets, rounds, stats: 0, lists: 0, deletes: 0 }
    }

    const fn with_stats(self, stats: usize) -> Self {
        Cost { stats, ..self }
    }

    const fn with_lists(self, lists: usize) -> Self {
        Cost { lists, ..self }
    }

    fn count(&mut self, ask: Ask) {
        match ask {
            Ask::Put => self.puts += 1,
            Ask::Get => self.gets += 1,
            Ask::Stat => self.stats += 1,
            Ask::List => self.lists += 1,
            Ask::Delete => self.deletes += 1,
            other => panic!("{other:?} is not expected of small bodies"),
        }
    }
}

/// A registry whose requests are counted while they are measured.
struct Meter {
    store: MemoryDriver,
    board: Arc<Board>,
    counted: Registry,
    /// The same store without counting: what happens before.
    plain: Registry,
}

impl Meter {
    fn new() -> Self {
        let store = MemoryDriver::new();
        let board = Arc::<Board>::default();
        let stepped = Stepped { process: 0, store: store.clone(), board: Arc::clone(&board) };
        let keys = || TokenKeys::new(vec![b"key".to_vec()]).unwrap();
        let counted = Registry::over(Arc::new(stepped), keys());
        Self { plain: Registry::over(store.shared(), keys()), store, board, counted }
    }

    /// Carries `operation` out and counts.
    async fn measure<T: 'static>(&self, operation: impl Future<Output = Result<T>> + 'static) -> Cost {
        let task = tokio::task::spawn_local(operation);
        let mut cost = Cost::default();
        loop {
            settle().await;
            let waiting = self.board.waiting();
            if waiting.is_empty() {
                break;
            }
            cost.rounds += 1;
            for ticket in &waiting {
                cost.count(ticket.ask);
                self.board.grant(ticket, Verdict::Apply);
            }
        }
        assert!(task.await.expect("it does not panic").is_ok(), "what is measured succeeds");
        cost
    }
}

pub(crate) fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

pub(crate) fn elsewhere() -> RepositoryName {
    "other".parse().unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(crate) fn blob(number: usize) -> Bytes {
    format!("blob {number}").into()
}

pub(crate) fn digest(number: usize) -> Digest {
    Digest::sha256(&blob(number))
}

pub(crate) async fn put(registry: Registry, name: RepositoryName, number: usize) -> Result<()> {
    let body = stream::iter([Ok(blob(number))]);
    registry.put_blob(&name, &digest(number), Some(blob(number).len() as u64), body).await
}

/// `POST`, then `PUT` with the whole body.
pub(crate) async fn post_and_put(registry: Registry, number: usize) -> Result<()> {
    let session = registry.begin_upload(&name(), None);
    let finish = Finish { digest: digest(number), offset: None, body_size: None, total_size: None };
    registry.finish_upload(&session, finish, stream::iter([Ok(blob(number))])).await
}

/// `POST`, `PATCH` with the whole body, empty `PUT`.
pub(crate) async fn post_patch_put(registry: Registry, number: usize) -> Result<()> {
    let session = registry.begin_upload(&name(), None);
    let progress = registry.append(&session, Some(0), None, stream::iter([Ok(blob(number))])).await?;
    let finish = Finish { digest: digest(number), offset: None, body_size: None, total_size: None };
    registry.finish_upload(&progress.session, finish, stream::iter([])).await
}

pub(crate) async fn mount(registry: Registry) -> Result<()> {
    let mounted = registry.mount_blob(&name(), &digest(0), &elsewhere()).await?;
    assert_eq!(mounted, Mount::Mounted);
    Ok(())
}

/// An image of the first `N` blobs.
pub(crate) fn image() -> Bytes {
    let entry = |kind: &str, number: usize| {
        let size = blob(number).len();
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{size}}}"#, digest(number))
    };
    let layers: Vec<String> =
        (1..N).map(|number| entry("application/vnd.oci.image.layer.v1.tar", number)).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{},"layers":[{}]}}"#,
        entry(OCI_CONFIG, 0),
        layers.join(",")
    )
    .into()
}

pub(crate) async fn push(registry: Registry, label: &'static str) -> Result<()> {
    let push = ManifestPush {
        reference: Reference::Tag(tag(label)),
        tags: vec![],
        content_type: Some(OCI_MANIFEST.parse().unwrap()),
        bytes: image(),
        condition: TagCondition::None,
    };
    registry.put_manifest(&name(), push).await.map(|_| ())
}

pub(crate) async fn push_image(registry: Registry) -> Result<()> {
    for number in 0..N {
        post_and_put(registry.clone(), number).await?;
    }
    push(registry, "v1").await
}

async fn head_all(registry: Registry) -> Result<()> {
    for number in 0..N {
        registry.stat_blob(&name(), &digest(number), Intent::Push).await?;
    }
    Ok(())
}

/// One line of the table: what, the column's words, and what it must cost.
struct Row {
    what: &'static str,
    column: &'static str,
    beyond: &'static str,
    expected: Cost,
    measured: Cost,
}

async fn blobs(rows: &mut Vec<Row>) {
    let mut row = |what, column, beyond, expected, measured| {
        rows.push(Row { what, column, beyond, expected, measured });
    };
    let new = Meter::new();
    row(
        "new blob, one request",
        "3 / 2",
        "",
        Cost::of(3, 2, 3),
        new.measure(put(new.counted.clone(), name(), 0)).await,
    );

    let posted = Meter::new();
    let cost = posted.measure(post_and_put(posted.counted.clone(), 0)).await;
    row("new blob, POST+PUT", "3 / 2", "", Cost::of(3, 2, 3), cost);

    let patched = Meter::new();
    let cost = patched.measure(post_patch_put(patched.counted.clone(), 0)).await;
    row("new blob, POST+PATCH+PUT", "5 / 3", "", Cost::of(5, 3, 5), cost);

    let known = Meter::new();
    put(known.plain.clone(), elsewhere(), 0).await.unwrap();
    let cost = known.measure(put(known.counted.clone(), name(), 0)).await;
    let expected = Cost::of(1, 3, 4).with_stats(1);
    row(
        "blob exists elsewhere, bytes sent, one request",
        "1 / 3",
        "1 stat: its bytes are intact",
        expected,
        cost,
    );

    let held = Meter::new();
    put(held.plain.clone(), elsewhere(), 0).await.unwrap();
    row("mount", "1 / 4", "", Cost::of(1, 4, 3), held.measure(mount(held.counted.clone())).await);
}

async fn manifests(rows: &mut Vec<Row>) {
    let mut row = |what, column, beyond, expected, measured| {
        rows.push(Row { what, column, beyond, expected, measured });
    };
    let meter = Meter::new();
    let cost = meter.measure(push_image(meter.counted.clone())).await;
    let expected = Cost::of(3 * N + 4 + 1, 4 * N + 2 + 1, 3 * N + 6);
    row("image of n new blobs, POST+PUT, one tag", "3n+4 / 4n+2", FIRST, expected, cost);

    let meter = Meter::new();
    for number in 0..N {
        put(meter.plain.clone(), name(), number).await.unwrap();
    }
    let cost = meter.measure(push(meter.counted.clone(), "v1")).await;
    row("manifest, one tag, n fresh blobs", "4 / 2n+2", FIRST, Cost::of(5, 2 * N + 3, 6), cost);

    let cost = meter.measure(push(meter.counted.clone(), "v2")).await;
    row("re-tag of an existing manifest", "2 / 3", "", Cost::of(2, 3, 4), cost);

    let cost = meter.measure(push(meter.counted.clone(), "v1")).await;
    row("identical re-push: manifest PUT", "0 / 3", "", Cost::of(0, 3, 2), cost);

    let cost = meter.measure(head_all(meter.counted.clone())).await;
    row("identical re-push: n HEADs, one after the other", "0 / 2n", "", Cost::of(0, 2 * N, N), cost);
    assert_eq!(meter.store.uploads_in_progress(), 0);
}

const FIRST: &str = "catalog entry: 1 GET, and 1 PUT for a repository's first manifest";

async fn reads(rows: &mut Vec<Row>) {
    let mut row = |what, column, expected, measured| {
        rows.push(Row { what, column, beyond: "", expected, measured });
    };
    let meter = Meter::new();
    push_image(meter.plain.clone()).await.unwrap();
    let reference = || Reference::Tag(tag("v1"));

    let registry = meter.counted.clone();
    let cost = meter.measure(async move { registry.get_manifest(&name(), &reference()).await }).await;
    row("GET manifest by tag", "0 / 2", Cost::of(0, 2, 2), cost);

    let registry = meter.counted.clone();
    let head = async move { registry.stat_manifest(&name(), &reference(), Intent::Pull).await };
    row("HEAD manifest by tag", "0 / 1", Cost::of(0, 1, 1), meter.measure(head).await);

    let registry = meter.counted.clone();
    let get = async move { registry.read_blob(&name(), &digest(0), BlobRange::Whole).await };
    row("GET blob: link and bytes", "0 / 2", Cost::of(0, 2, 2), meter.measure(get).await);

    let registry = meter.counted.clone();
    let page = Page { limit: 100, last: None };
    let list = async move { registry.list_tags(&name(), &page).await };
    row("list tags", "1 LIST", Cost::of(0, 0, 1).with_lists(1), meter.measure(list).await);
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "# Requests per operation\n\nWritten by `tests/protocol/requests.rs`, with n = {N}. A serial round is a \
         set of requests issued together;\nreads that a real upload overlaps with its body are counted.\n\n\
         | operation | protocol PUT / GET | measured PUT / GET | serial rounds | beyond the protocol |\n\
         |---|---|---|---|---|\n"
    );
    for row in rows {
        let Cost { puts, gets, rounds, .. } = row.measured;
        let (what, column, beyond) = (row.what, row.column, row.beyond);
        writeln!(text, "| {what} | {column} | {puts} / {gets} | {rounds} | {beyond} |").unwrap();
    }
    text
}

fn measured() -> Vec<Row> {
    block_on(async {
        let mut rows = Vec::new();
        blobs(&mut rows).await;
        manifests(&mut rows).await;
        reads(&mut rows).await;
        rows
    })
}

#[test]
fn every_operation_costs_what_the_protocol_says() {
    let rows = measured();
    println!("{}", table(&rows));
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| row.measured != row.expected)
        .map(|row| format!("{}: {:?} instead of {:?}", row.what, row.measured, row.expected))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_requests_is_up_to_date() {
    let text = table(&measured());
    #[expect(clippy::disallowed_methods, reason = "a test's switch, not configuration of the product")]
    let update = std::env::var_os("ENTREPOT_UPDATE_GOLDEN").is_some();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/requests.md");
    if update {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "requests.md is out of date; rewrite it with ENTREPOT_UPDATE_GOLDEN=1");
}

#[test]
fn a_page_behind_deleted_tags_costs_one_list_per_thousand_of_them() {
    let cost = block_on(async {
        let meter = Meter::new();
        let live = layout::tag(&name(), &tag("v1"));
        meter.store.put(&live, Bytes::from_static(&[b' '; 8]), PutMode::Overwrite).await.unwrap();
        for deleted in 0..2_500 {
            let key = layout::tag(&name(), &tag(&format!("d{deleted:04}")));
            // The length says that it names nothing any more.
            meter.store.put(&key, Bytes::from_static(&[b' '; 11]), PutMode::Overwrite).await.unwrap();
        }
        let registry = meter.counted.clone();
        let page = Page { limit: 10, last: None };
        meter.measure(async move { registry.list_tags(&name(), &page).await }).await
    });

    assert_eq!(cost, Cost::of(0, 0, 4).with_lists(4), "eleven, and three times a thousand");
}
