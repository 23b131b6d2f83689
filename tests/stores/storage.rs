//! The store behind the registry, looked at without it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entrepot_domain::ports::{NoCache, System};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::{Expired, Expiry, Reach};
use entrepot_domain::{Config, Registry, layout, maintenance};
use entrepot_storage::{ObjectMeta, SharedDriver};
use entrepot_tests::registry::FixedClock;
use entrepot_tests::stores::ObjectStore;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Waits for a future that talks to the store.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime on this thread").block_on(future)
}

/// What lies in a store that has to do with blobs.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// Objects that hold, or held, the bytes of blobs.
    pub(crate) data: Vec<ObjectMeta>,
    /// Uploads in parts that are neither completed nor aborted.
    pub(crate) uploads: usize,
}

impl Inventory {
    pub(crate) async fn of(driver: &SharedDriver) -> Self {
        let mut data = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = driver.list(layout::DATA, after.as_deref(), 1000).await.expect("the store lists");
            after = page.objects.last().map(|meta| meta.key.as_str().to_owned());
            data.extend(page.objects);
            if !page.more || after.is_none() {
                break;
            }
        }
        let uploads = driver.list_uploads("", None, 1000).await.expect("the store lists uploads");
        Self { data, uploads: uploads.len() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.data.iter().map(|meta| meta.size).sum()
    }
}

/// Ends everything that is unfinished, as the registry would in a month.
pub(crate) async fn expire(driver: &SharedDriver) -> Expired {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
    let tokens = maintenance::shared_token_keys(driver, &System).await.expect("the keys are there");
    let registry = Registry::new(Parts {
        store: Arc::clone(driver),
        cache: Arc::new(NoCache),
        clock: Arc::new(FixedClock::at((now + 30 * DAY).as_secs())),
        entropy: Arc::new(System),
        tokens,
        config: Config::default(),
    });
    let expiry = Expiry { sessions: 7 * DAY, orphans: 8 * DAY, dry_run: false };
    let mut all = Expired::default();
    // What one run leaves without a name is the next one's to free.
    for _ in 0..3 {
        let done = registry.expire(&expiry, Reach::Everything).await.expect("the store can be cleaned");
        all.sessions += done.sessions;
        all.objects += done.objects;
        all.uploads += done.uploads;
        all.failures += done.failures;
    }
    all
}

/// Removes every object the test left, so that a disk of this size is enough for the next one.
pub(crate) async fn clear(store: &ObjectStore) {
    let driver = store.driver().await;
    for meta in Inventory::of(&driver).await.data {
        driver.delete(&meta.key, None).await.expect("an object can be deleted");
    }
}
