//! Row F29: what each operation costs at the store, cold and warm, with the cache a registry has.
//!
//! Calls of the driver are counted; on object storage each is one request, but for listings of more than
//! a thousand keys. `requests.rs` holds the same operations against the protocol, round by round. Here the
//! table in `crates/README.md` is kept: one request more anywhere changes it, and fails.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use entrepot_cache::MemoryCache;
use entrepot_domain::blobs::{BlobRange, Delivery, Intent};
use entrepot_domain::catalog::Page;
use entrepot_domain::ports::System;
use entrepot_domain::redirects::{Reader, Redirects, Route};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::Finish;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::{Config, Registry, Result};
use entrepot_driver_memory::MemoryDriver;
use entrepot_oci::{Digest, Reference};
use entrepot_storage::SharedDriver;
use entrepot_storage::decorate::metrics::Counts;
use entrepot_storage::decorate::{Counters, Metrics, Operation};
use entrepot_storage::signer::StoreSigner;
use futures_util::future::LocalBoxFuture;
use futures_util::stream;

use crate::requests::{blob, digest, elsewhere, image, mount, name, push, push_image, put, tag};
use crate::requests::{post_and_put, post_patch_put};
use crate::run::block_on;

const BEGIN: &str = "<!-- requests: begin, written by tests/protocol/budgets.rs -->\n";
const END: &str = "<!-- requests: end -->\n";

/// Parts of the large blob in the table.
const PARTS: usize = 3;
const PART_BYTES: usize = 1 << 20;

/// What an operation asked of the store, by what it costs there.
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
        let spent = each.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = spent
            .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        f.write_str(if words.is_empty() { "nothing" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

/// Registries over one store whose requests are counted.
pub(crate) struct Till {
    counted: SharedDriver,
    counters: Counters,
    redirects: bool,
}

impl Till {
    /// Over any store, a real one as well.
    pub(crate) fn over(store: SharedDriver) -> Self {
        let counters = Counters::default();
        let counted = Arc::new(Metrics::new(store, Arc::new(counters.clone())));
        Self { counted, counters, redirects: false }
    }

    /// Sends pulls to the store.
    fn redirecting(self) -> Self {
        Self { redirects: true, ..self }
    }

    /// A registry that was started just now: its cache is empty.
    pub(crate) fn cold(&self) -> Registry {
        let mut config = Config { part_bytes: Some(PART_BYTES as u64), ..Config::default() };
        if self.redirects {
            let signer = Arc::new(StoreSigner(Arc::clone(&self.counted)));
            config.redirects = Redirects { otherwise: Route::Signed(signer), ..Redirects::default() };
        }
        Registry::new(Parts {
            store: Arc::clone(&self.counted),
            cache: Arc::new(MemoryCache::default()),
            clock: Arc::new(System),
            entropy: Arc::new(System),
            tokens: TokenKeys::new(vec![b"key".to_vec()]).unwrap(),
            config,
        })
    }

    async fn spend<T>(&self, operation: impl Future<Output = Result<T>>) -> Spent {
        let before = self.counters.snapshot();
        assert!(operation.await.is_ok(), "what is measured succeeds");
        Spent::of(&self.counters.since(&before))
    }
}

/// One line of the table.
struct Row {
    what: &'static str,
    cold: Spent,
    /// Nothing where doing it twice is another operation.
    warm: Option<Spent>,
}

/// Carries an operation out on a registry that was just started, and again.
async fn twice<T, F>(what: &'static str, till: &Till, operation: impl Fn(Registry) -> F) -> Row
where
    F: Future<Output = Result<T>>,
{
    let registry = till.cold();
    let cold = till.spend(operation(registry.clone())).await;
    Row { what, cold, warm: Some(till.spend(operation(registry)).await) }
}

/// Carries an operation out once, on a registry that was just started. Boxed: pushes are large futures.
fn once<'a, T: 'a>(
    what: &'static str,
    till: &'a Till,
    operation: impl Future<Output = Result<T>> + 'a,
) -> LocalBoxFuture<'a, Row> {
    let operation = Box::pin(operation);
    Box::pin(async move { Row { what, cold: till.spend(operation).await, warm: None } })
}

fn fresh() -> Till {
    Till::over(MemoryDriver::new().shared())
}

async fn with_image() -> Till {
    let till = fresh();
    push_image(till.cold()).await.unwrap();
    till
}

fn by_tag() -> Reference {
    Reference::Tag(tag("v1"))
}

fn by_digest() -> Reference {
    Reference::Digest(Digest::sha256(&image()))
}

async fn pull(registry: Registry, redirected: bool) -> Result<()> {
    let delivery = registry.open_blob(&name(), &digest(0), BlobRange::Whole, Reader::default()).await?;
    assert_eq!(matches!(delivery, Delivery::Redirect(_)), redirected);
    Ok(())
}

async fn pulls(rows: &mut Vec<Row>) {
    let till = with_image().await;
    rows.push(twice("GET blob", &till, |registry| pull(registry, false)).await);
    let redirecting = with_image().await.redirecting();
    rows.push(twice("GET blob, redirected", &redirecting, |registry| pull(registry, true)).await);
    let head =
        |registry: Registry| async move { registry.stat_blob(&name(), &digest(0), Intent::Pull).await };
    rows.push(twice("HEAD blob", &till, head).await);
    let head =
        |registry: Registry| async move { registry.stat_blob(&name(), &digest(0), Intent::Push).await };
    rows.push(twice("HEAD blob, by who may push", &till, head).await);
    for (what, reference) in [("GET manifest by tag", by_tag()), ("GET manifest by digest", by_digest())] {
        let get = |registry: Registry| {
            let reference = reference.clone();
            async move { registry.get_manifest(&name(), &reference).await }
        };
        rows.push(twice(what, &till, get).await);
    }
    for (what, reference) in [("HEAD manifest by tag", by_tag()), ("HEAD manifest by digest", by_digest())] {
        let head = |registry: Registry| {
            let reference = reference.clone();
            async move { registry.stat_manifest(&name(), &reference, Intent::Pull).await }
        };
        rows.push(twice(what, &till, head).await);
    }
    let page = Page { limit: 100, last: None };
    let list = |registry: Registry| {
        let page = page.clone();
        async move { registry.list_tags(&name(), &page).await }
    };
    rows.push(twice("list tags", &till, list).await);
    let list = |registry: Registry| {
        let page = page.clone();
        async move { registry.list_repositories(&page).await }
    };
    rows.push(twice("list the catalog", &till, list).await);
    let list = |registry: Registry| {
        let page = page.clone();
        async move { registry.list_referrers(&name(), &digest(0), &[], &page).await }
    };
    rows.push(twice("list referrers", &till, list).await);
}

/// `POST`, then `PUT` with a body of `PARTS` whole parts.
async fn push_large(registry: Registry) -> Result<()> {
    let chunk = Bytes::from(vec![b'.'; PART_BYTES]);
    let digest = Digest::sha256(&chunk.repeat(PARTS));
    let session = registry.begin_upload(&name(), None);
    let finish = Finish { digest, offset: None, body_size: None, total_size: None };
    let body = stream::iter(std::iter::repeat_with(move || Ok(chunk.clone())).take(PARTS));
    registry.finish_upload(&session, finish, body).await
}

/// `POST`, `PATCH`, then the session is given up.
async fn give_up(registry: Registry) -> Result<()> {
    let session = registry.begin_upload(&name(), None);
    let progress = registry.append(&session, Some(0), None, stream::iter([Ok(blob(0))])).await?;
    registry.cancel_upload(&progress.session).await
}

async fn pushes(rows: &mut Vec<Row>) {
    let till = fresh();
    rows.push(once("push a blob, one POST", &till, put(till.cold(), name(), 0)).await);
    let till = fresh();
    rows.push(once("push a blob, POST+PUT", &till, post_and_put(till.cold(), 0)).await);
    let till = fresh();
    rows.push(once("push a blob, POST+PATCH+PUT", &till, post_patch_put(till.cold(), 0)).await);
    let till = fresh();
    rows.push(once("push a blob of 3 parts, POST+PUT", &till, push_large(till.cold())).await);
    let till = fresh();
    rows.push(once("give up an upload, POST+PATCH+DELETE", &till, give_up(till.cold())).await);
    let till = fresh();
    put(till.cold(), elsewhere(), 0).await.unwrap();
    rows.push(once("mount a blob", &till, mount(till.cold())).await);

    let till = fresh();
    for number in 0..3 {
        put(till.cold(), name(), number).await.unwrap();
    }
    rows.push(once("push an image of 3 blobs that are there, one tag", &till, push(till.cold(), "v1")).await);
    rows.push(once("push it again", &till, push(till.cold(), "v1")).await);
    rows.push(once("give it another tag", &till, push(till.cold(), "v2")).await);
}

async fn deletes(rows: &mut Vec<Row>) {
    let till = with_image().await;
    let registry = till.cold();
    rows.push(once("delete a tag", &till, registry.delete_tag(&name(), &tag("v1"))).await);
    let till = with_image().await;
    let registry = till.cold();
    let digest_of_image = Digest::sha256(&image());
    rows.push(
        once("delete a manifest with one tag", &till, registry.delete_manifest(&name(), &digest_of_image))
            .await,
    );
    rows.push(once("delete a blob", &till, registry.delete_blob(&name(), &digest(0))).await);
}

fn measured() -> Vec<Row> {
    block_on(async {
        let mut rows = Vec::new();
        pulls(&mut rows).await;
        pushes(&mut rows).await;
        deletes(&mut rows).await;
        rows
    })
}

fn table(rows: &[Row]) -> String {
    let mut text = "| operation | cold | warm |\n|---|---|---|\n".to_owned();
    for Row { what, cold, warm } in rows {
        let warm = warm.map_or_else(|| "–".to_owned(), |spent| spent.to_string());
        text.push_str(&format!("| {what} | {cold} | {warm} |\n"));
    }
    text
}

#[test]
fn the_table_of_budgets_in_the_map_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/README.md");
    let map = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = map.split_once(BEGIN).expect("the map has the marker where the table begins");
    let (found, after) = rest.split_once(END).expect("and the one where it ends");

    let wanted = table(&measured());

    #[expect(clippy::disallowed_methods, reason = "a test's switch, not configuration of the product")]
    if std::env::var_os("ENTREPOT_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, [before, BEGIN, &wanted, END, after].concat()).unwrap();
        return;
    }
    assert!(
        found == wanted,
        "an operation costs other requests than crates/README.md says; if that is wanted, rewrite it with \
         ENTREPOT_UPDATE_GOLDEN=1. It is now:\n{wanted}"
    );
}

/// The ceilings of row F29. The table may change for a good reason; these may not.
#[test]
fn no_operation_costs_more_than_it_was_promised_to() {
    let rows = measured();
    let row = |what: &str| rows.iter().find(|row| row.what == what).unwrap_or_else(|| panic!("{what}"));
    let nothing = Spent::default();
    let reads = |reads| Spent { reads, ..nothing };

    let redirected = row("GET blob, redirected");
    assert_eq!((redirected.cold, redirected.warm), (reads(1), Some(nothing)), "a redirect rests on the link");
    assert_eq!(row("HEAD blob").warm, Some(nothing));
    assert_eq!(row("GET manifest by digest").warm, Some(nothing));
    assert!(row("GET manifest by tag").cold.reads <= 2);
    for what in ["push a blob, one POST", "push a blob, POST+PUT"] {
        assert!(row(what).cold.writes <= 3, "{what}");
    }
    let large = row("push a blob of 3 parts, POST+PUT").cold;
    // Beginning and completing the upload stand beside its parts and the three records.
    assert!(large.writes <= 3 + 2 + PARTS as u64, "{large}");
    // Four and one for each tag, the announcement; and the catalog entry of a repository's first manifest.
    assert!(row("push an image of 3 blobs that are there, one tag").cold.writes <= 4 + 1);
    assert_eq!(row("push it again").cold.writes, 0);
    for Row { what, cold, warm } in &rows {
        let Some(warm) = warm else { continue };
        assert!(cold.lists <= 1 && cold.writes + cold.deletes == 0, "{what}: looking costs one page at most");
        assert!(warm.reads <= cold.reads, "{what}");
    }
}
