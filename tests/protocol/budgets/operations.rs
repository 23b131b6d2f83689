//! The operations of the tables, each over a store of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_cache::MemoryCache;
use entrepot_domain::blobs::{BlobRange, BodyError, Delivery, Intent};
use entrepot_domain::catalog::Page;
use entrepot_domain::ports::{Clock, System};
use entrepot_domain::redirects::{Reader, Redirects, Route};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::uploads::{Expiry, Finish, Session};
use entrepot_domain::{Config, Error, Registry, Result, layout, maintenance};
use entrepot_oci::{Digest, Reference};
use entrepot_storage::signer::StoreSigner;
use entrepot_storage::{SharedDriver, StorageDriverExt as _};
use futures_util::future::LocalBoxFuture;
use futures_util::{Stream, StreamExt as _, stream};

use crate::requests::{blob, digest, elsewhere, image, mount, name, push, push_image, put, tag};
use crate::requests::{post_and_put, post_patch_put};

pub(crate) const REDIRECTED: &str = "GET blob, redirected";
pub(crate) const HEAD_BLOB: &str = "HEAD blob";
pub(crate) const BY_TAG: &str = "GET manifest by tag";
pub(crate) const BY_DIGEST: &str = "GET manifest by digest";
pub(crate) const ONE_POST: &str = "push a blob, one POST";
pub(crate) const POST_AND_PUT: &str = "push a blob, POST+PUT";
pub(crate) const BY_PATCH: &str = "push a blob, POST+PATCH+PUT";
pub(crate) const LARGE: &str = "push a blob of 3 parts, POST+PUT";
pub(crate) const IMAGE: &str = "push an image of 3 blobs that are there, one tag";
pub(crate) const AGAIN: &str = "push it again";

pub(crate) const PURGE_EVERYTHING: &str = "purge, once in 30 days, 3 blobs in use";
pub(crate) const PURGE: &str = "purge, every 24 h, no old uploads";
pub(crate) const PURGED: &str = "purge, done by another replica";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Parts of the large blob in the tables.
pub(crate) const PARTS: u64 = 3;
/// The least S3 and GCS take.
const PART_BYTES: usize = 5 << 20;

/// A store with nothing in it, whose requests are counted.
pub(crate) trait Meter {
    /// What was asked of it.
    type Spent;

    /// A driver on it, as a process has that was started just now.
    async fn open(&self) -> SharedDriver;

    /// What was asked of the store since this was last called.
    fn spent(&self) -> Self::Spent;
}

/// One line of a table.
pub(crate) struct Row<S> {
    pub(crate) what: &'static str,
    pub(crate) cold: S,
    /// Nothing where doing it twice is another operation.
    pub(crate) warm: Option<S>,
}

/// Registries over one store.
struct Till<M> {
    meter: M,
    redirects: bool,
    later: Duration,
}

/// A clock that runs ahead of the store's.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemTime::now() + self.0
    }
}

impl<M: Meter> Till<M> {
    const fn over(meter: M) -> Self {
        Self { meter, redirects: false, later: Duration::ZERO }
    }

    /// Sends pulls to the store.
    fn redirecting(self) -> Self {
        Self { redirects: true, ..self }
    }

    /// Lets time pass, for the registries.
    fn later(self, later: Duration) -> Self {
        Self { later, ..self }
    }

    /// A registry that was started just now: its cache is empty, its driver knows nothing.
    async fn cold(&self) -> Registry {
        let store = self.meter.open().await;
        let mut config = Config { part_bytes: Some(PART_BYTES as u64), ..Config::default() };
        if self.redirects {
            let signer = Arc::new(StoreSigner(Arc::clone(&store)));
            config.redirects = Redirects { otherwise: Route::Signed(signer), ..Redirects::default() };
        }
        Registry::new(Parts {
            store,
            cache: Arc::new(MemoryCache::default()),
            clock: Arc::new(Ahead(self.later)),
            entropy: Arc::new(System),
            tokens: TokenKeys::new(vec![b"key".to_vec()]).unwrap(),
            config,
        })
    }

    /// Carries an operation out on a registry that is started for it, and again. What the start asks of the
    /// store is the operation's too.
    async fn twice<T, F>(&self, what: &'static str, operation: impl Fn(Registry) -> F) -> Row<M::Spent>
    where
        F: Future<Output = Result<T>>,
    {
        self.meter.spent();
        let registry = self.cold().await;
        succeed(operation(registry.clone())).await;
        let cold = self.meter.spent();
        succeed(operation(registry)).await;
        Row { what, cold, warm: Some(self.meter.spent()) }
    }

    /// Carries an operation out once, on a registry that is started for it.
    async fn once<'a, T: 'a, F>(
        &self,
        what: &'static str,
        operation: impl FnOnce(Registry) -> F,
    ) -> Row<M::Spent>
    where
        F: Future<Output = Result<T>> + 'a,
    {
        self.meter.spent();
        // Boxed: pushes are large futures.
        let operation: LocalBoxFuture<'a, Result<T>> = Box::pin(operation(self.cold().await));
        succeed(operation).await;
        Row { what, cold: self.meter.spent(), warm: None }
    }
}

async fn succeed<T>(operation: impl Future<Output = Result<T>>) {
    if let Err(error) = operation.await {
        panic!("what is measured succeeds: {error}");
    }
}

async fn with_image<M: Meter>(meter: M) -> Till<M> {
    let till = Till::over(meter);
    push_image(till.cold().await).await.unwrap();
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

async fn pulls<M: Meter>(fresh: &impl Fn() -> M, rows: &mut Vec<Row<M::Spent>>) {
    let till = with_image(fresh()).await;
    rows.push(till.twice("GET blob", |registry| pull(registry, false)).await);
    let end = |registry: Registry| async move {
        registry.read_blob(&name(), &digest(0), BlobRange::Suffix(1)).await
    };
    rows.push(till.twice("GET blob, its last byte", end).await);
    let redirecting = with_image(fresh()).await.redirecting();
    rows.push(redirecting.twice(REDIRECTED, |registry| pull(registry, true)).await);
    let head =
        |registry: Registry| async move { registry.stat_blob(&name(), &digest(0), Intent::Pull).await };
    rows.push(till.twice(HEAD_BLOB, head).await);
    let head =
        |registry: Registry| async move { registry.stat_blob(&name(), &digest(0), Intent::Push).await };
    rows.push(till.twice("HEAD blob, by who may push", head).await);
    let miss = |registry: Registry| async move {
        let missed = registry.stat_blob(&name(), &digest(9), Intent::Pull).await;
        assert!(matches!(missed, Err(Error::BlobUnknown { .. })), "{missed:?}");
        Ok(())
    };
    rows.push(till.twice("HEAD blob, not there", miss).await);
    for (what, reference) in [(BY_TAG, by_tag()), (BY_DIGEST, by_digest())] {
        let get = |registry: Registry| {
            let reference = reference.clone();
            async move { registry.get_manifest(&name(), &reference).await }
        };
        rows.push(till.twice(what, get).await);
    }
    for (what, reference) in [("HEAD manifest by tag", by_tag()), ("HEAD manifest by digest", by_digest())] {
        let head = |registry: Registry| {
            let reference = reference.clone();
            async move { registry.stat_manifest(&name(), &reference, Intent::Pull).await }
        };
        rows.push(till.twice(what, head).await);
    }
    let miss = |registry: Registry| async move {
        let missed = registry.get_manifest(&name(), &Reference::Tag(tag("v9"))).await;
        assert!(matches!(missed, Err(Error::ManifestUnknown { .. })), "{missed:?}");
        Ok(())
    };
    rows.push(till.twice("GET manifest by tag, not there", miss).await);
    lists(&till, rows).await;
}

async fn lists<M: Meter>(till: &Till<M>, rows: &mut Vec<Row<M::Spent>>) {
    let page = Page { limit: 100, last: None };
    let list = |registry: Registry| {
        let page = page.clone();
        async move { registry.list_tags(&name(), &page).await }
    };
    rows.push(till.twice("list tags", list).await);
    let list = |registry: Registry| {
        let page = page.clone();
        async move { registry.list_repositories(&page).await }
    };
    rows.push(till.twice("list the catalog", list).await);
    let list = |registry: Registry| {
        let page = page.clone();
        async move { registry.list_referrers(&name(), &digest(0), &[], &page).await }
    };
    rows.push(till.twice("list referrers", list).await);
}

fn part() -> Bytes {
    Bytes::from(vec![b'.'; PART_BYTES])
}

/// A body of `PARTS` whole parts.
fn parts() -> impl Stream<Item = std::result::Result<Bytes, BodyError>> + Unpin {
    let part = part();
    stream::iter(std::iter::repeat_with(move || Ok(part.clone())).take(PARTS as usize))
}

/// `POST`, then `PUT` with the whole body.
async fn push_large(registry: Registry) -> Result<()> {
    let digest = Digest::sha256(&part().repeat(PARTS as usize));
    let session = registry.begin_upload(&name(), None);
    let finish = Finish { digest, offset: None, body_size: None, total_size: None };
    registry.finish_upload(&session, finish, parts()).await
}

/// A body that ends within a part.
fn parts_and_rest() -> impl Stream<Item = std::result::Result<Bytes, BodyError>> + Unpin {
    parts().chain(stream::iter([Ok(Bytes::from_static(b"rest"))]))
}

/// `POST`, `PATCH` with the whole body, as Docker does; what is left is an empty `PUT`.
async fn fill_large(registry: Registry) -> Result<Session> {
    let session = registry.begin_upload(&name(), None);
    Ok(registry.append(&session, None, None, parts_and_rest()).await?.session)
}

async fn close_large(registry: Registry, session: &Session) -> Result<()> {
    let digest = Digest::sha256(&[&part().repeat(PARTS as usize)[..], b"rest"].concat());
    let finish = Finish { digest, offset: None, body_size: None, total_size: None };
    registry.finish_upload(session, finish, stream::empty()).await
}

/// `POST`, `PATCH`, then the session is given up.
async fn give_up(registry: Registry) -> Result<()> {
    let session = registry.begin_upload(&name(), None);
    let progress = registry.append(&session, Some(0), None, stream::iter([Ok(blob(0))])).await?;
    registry.cancel_upload(&progress.session).await
}

/// The same, with parts that lie in the store by then.
async fn give_up_large(registry: Registry) -> Result<()> {
    let session = registry.begin_upload(&name(), None);
    let progress = registry.append(&session, Some(0), None, parts()).await?;
    registry.cancel_upload(&progress.session).await
}

async fn pushes<M: Meter>(fresh: &impl Fn() -> M, rows: &mut Vec<Row<M::Spent>>) {
    let new = || Till::over(fresh());
    rows.push(new().once(ONE_POST, |registry| put(registry, name(), 0)).await);
    rows.push(new().once(POST_AND_PUT, |registry| post_and_put(registry, 0)).await);
    rows.push(new().once(BY_PATCH, |registry| post_patch_put(registry, 0)).await);
    rows.push(new().once(LARGE, push_large).await);
    rows.push(new().once("push a blob of 3 parts and a rest: POST+PATCH", fill_large).await);
    let till = new();
    let session = fill_large(till.cold().await).await.unwrap();
    rows.push(till.once("the PUT that closes it", |registry| close_large(registry, &session)).await);
    rows.push(new().once("give up an upload, POST+PATCH+DELETE", give_up).await);
    rows.push(new().once("give up an upload of 3 parts", give_up_large).await);
    let till = new();
    let session = till.cold().await.begin_upload(&name(), None);
    let appended = till.cold().await.append(&session, Some(0), None, stream::iter([Ok(blob(0))])).await;
    let session = appended.unwrap().session;
    let ask = |registry: Registry| async move { registry.upload_status(&session).await };
    rows.push(till.once("GET an upload's offset", ask).await);
    let till = new();
    put(till.cold().await, elsewhere(), 0).await.unwrap();
    rows.push(till.once("mount a blob", mount).await);
    let till = new();
    put(till.cold().await, elsewhere(), 0).await.unwrap();
    rows.push(
        till.once("push a blob that lies elsewhere, one POST", |registry| put(registry, name(), 0)).await,
    );

    let till = new();
    for number in 0..3 {
        put(till.cold().await, name(), number).await.unwrap();
    }
    rows.push(till.once(IMAGE, |registry| push(registry, "v1")).await);
    rows.push(till.once(AGAIN, |registry| push(registry, "v1")).await);
    rows.push(till.once("give it another tag", |registry| push(registry, "v2")).await);
}

async fn deletes<M: Meter>(fresh: &impl Fn() -> M, rows: &mut Vec<Row<M::Spent>>) {
    let delete = |registry: Registry| async move { registry.delete_tag(&name(), &tag("v1")).await };
    rows.push(with_image(fresh()).await.once("delete a tag", delete).await);
    let till = with_image(fresh()).await;
    let delete = |registry: Registry| async move {
        registry.delete_manifest(&name(), &Digest::sha256(&image())).await
    };
    rows.push(till.once("delete a manifest with one tag", delete).await);
    let delete = |registry: Registry| async move { registry.delete_blob(&name(), &digest(0)).await };
    rows.push(till.once("delete a blob", delete).await);
}

/// What a process asks for without a client, over a store that has an image and nothing unfinished.
async fn by_itself<M: Meter>(fresh: &impl Fn() -> M, rows: &mut Vec<Row<M::Spent>>) {
    let till = with_image(fresh()).await;
    maintenance::ensure_layout(till.cold().await.store()).await.unwrap();
    let look = |registry: Registry| async move {
        assert!(registry.store().stat_if_present(&layout::layout()).await?.is_some());
        Ok(())
    };
    rows.push(till.twice("health check, every 10 s if it is on", look).await);
    let expiry = Expiry { sessions: 7 * DAY, orphans: 8 * DAY, dry_run: false };
    let purge = |registry: Registry| async move { registry.purge(&expiry, DAY).await };
    // The image is old by then, and no orphan.
    let till = till.later(40 * DAY);
    rows.push(till.once(PURGE_EVERYTHING, purge).await);
    let till = till.later(41 * DAY);
    rows.push(till.once(PURGE, purge).await);
    rows.push(till.once(PURGED, purge).await);
}

/// What each operation asks of stores that `fresh` makes, in the order of the tables.
pub(crate) async fn measure<M: Meter>(fresh: impl Fn() -> M) -> Vec<Row<M::Spent>> {
    let mut rows = Vec::new();
    pulls(&fresh, &mut rows).await;
    pushes(&fresh, &mut rows).await;
    deletes(&fresh, &mut rows).await;
    by_itself(&fresh, &mut rows).await;
    rows
}

/// The row of an operation.
pub(crate) fn row<'r, S>(rows: &'r [Row<S>], what: &str) -> &'r Row<S> {
    rows.iter().find(|row| row.what == what).unwrap_or_else(|| panic!("{what}"))
}
