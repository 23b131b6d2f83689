//! What is left behind by replicas that died, and the run that frees it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use entrepot_domain::ports::{NoCache, System};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::uploads::{Expired, Expiry, Reach};
use entrepot_domain::{Config, Registry, layout};
use entrepot_oci::Digest;
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_storage::{ErrorKind, Key, PutMode, SharedDriver};
use entrepot_tests::registry::content::with_digest;
use entrepot_tests::registry::{FixedClock, Setup};

use crate::block_on;

const DAY: Duration = Duration::from_secs(24 * 3600);

const EXPIRY: Expiry =
    Expiry { sessions: DAY.saturating_mul(7), orphans: DAY.saturating_mul(8), dry_run: false };

/// A replica, so many days from now.
fn replica(store: &SharedDriver, days: u32) -> Registry {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
    Registry::new(Parts {
        store: Arc::clone(store),
        cache: Arc::new(NoCache),
        clock: Arc::new(FixedClock::at((now + days * DAY).as_secs())),
        entropy: Arc::new(System),
        tokens: TokenKeys::new(vec![b"key".to_vec()]).expect("a key"),
        config: Config::default(),
    })
}

/// Frees what nobody needs, a month from now.
async fn expire(store: &SharedDriver) -> Expired {
    replica(store, 30).expire(&EXPIRY, Reach::Everything).await.expect("the store can be listed")
}

/// What a replica does by itself, so many days from now.
async fn purge(store: &SharedDriver, days: u32) -> Option<Expired> {
    replica(store, days).purge(&EXPIRY, DAY).await.expect("the store can be listed")
}

async fn keys(store: &SharedDriver, prefix: &str) -> Vec<Key> {
    let page = store.list(prefix, None, 100).await.expect("it lists");
    page.objects.into_iter().map(|meta| meta.key).collect()
}

async fn write(store: &SharedDriver, key: &Key) {
    store.put(key, Bytes::from_static(b"bytes"), PutMode::Overwrite).await.expect("it is written");
}

/// Bytes that lie under no session, and that no blob names.
fn orphan(n: u8) -> Key {
    layout::data(None, &format!("{n:032x}"), Some(&Digest::sha256(&[n])))
}

/// An object under a legal hold, say. It stood at the head of the list, and everything behind it stayed for ever.
#[tokio::test]
async fn what_cannot_be_freed_does_not_keep_the_rest() {
    let (setup, controls) = Setup::bucket().breakable();
    let store = setup.store();
    for n in 0..3 {
        write(store, &orphan(n)).await;
    }
    let unfinished = store.upload_begin(&orphan(9)).await.expect("it begins");
    let held = Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: false }));
    controls.add(held.on(Operation::Delete).at_prefix(orphan(1).as_str()));

    let done = expire(store).await;

    assert_eq!((done.objects, done.failures, done.uploads), (3, 1, 1), "{done:?}");
    assert_eq!(keys(store, layout::DATA).await, [orphan(1)]);
    let open = store.list_uploads(unfinished.key.as_str(), None, 1).await.expect("it lists");
    assert!(open.is_empty(), "{open:?}");
}

/// A store lists a thousand at once.
#[tokio::test]
async fn unfinished_uploads_are_given_up_however_many_there_are() {
    let setup = Setup::bucket();
    let store = setup.store();
    for n in 0..2005 {
        let key = layout::data(None, &format!("{n:032x}"), Some(&Digest::sha256(b"never came")));
        store.upload_begin(&key).await.expect("it begins");
    }

    let done = expire(store).await;

    assert_eq!((done.uploads, done.failures), (2005, 0));
    assert!(store.list_uploads("", None, 1).await.expect("it lists").is_empty());
}

/// Each looked through the whole store, all at the same time.
#[tokio::test]
async fn one_replica_purges_for_all() {
    let setup = Setup::memory();
    let store = setup.store();
    write(store, &orphan(0)).await;

    assert_eq!(purge(store, 9).await.map(|done| done.objects), Some(1));
    write(store, &orphan(1)).await;
    assert_eq!(purge(store, 9).await, None);
    assert_eq!(purge(store, 10).await.map(|done| done.objects), Some(1));
}

/// A clock that ran far ahead would have ended the purges of all replicas.
#[tokio::test]
async fn a_purge_in_the_future_keeps_nobody_from_the_next() {
    let setup = Setup::memory();
    let store = setup.store();
    assert!(purge(store, 4000).await.is_some());
    write(store, &orphan(0)).await;

    assert_eq!(purge(store, 20).await.map(|done| done.objects), Some(1));
}

#[tokio::test]
async fn a_replica_that_died_in_its_purge_is_followed_by_another() {
    let (setup, controls) = Setup::memory().breakable();
    let store = setup.store();
    write(store, &orphan(0)).await;
    let unreachable = Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: false }));
    controls.add(unreachable.on(Operation::List));
    replica(store, 20).purge(&EXPIRY, DAY).await.expect_err("it cannot list");
    controls.clear();

    assert_eq!(purge(store, 20).await, None, "it might still be at it");
    assert_eq!(purge(store, 21).await.map(|done| done.objects), Some(1));
}

/// A blob that was pushed in parts has no digest in its key, and its session is long forgotten. Each run asked
/// for the session of each, and wrote a tombstone for it.
#[test]
fn old_blobs_in_use_are_left_alone_and_leave_nothing_behind() {
    let setup = Setup::memory();
    let (store, registry) = (setup.store(), setup.start());
    let location = registry.patch(registry.open_upload("a")).body(b"bytes").send().expect(202);
    let digest = Digest::sha256(b"bytes");
    registry.put(with_digest(location.expect_header("location"), digest)).send().expect(201);

    block_on(async {
        for session in keys(store, layout::UPLOADS).await {
            store.delete(&session, None).await.expect("it is deleted");
        }
        let data = keys(store, layout::DATA).await;
        for days in [20, 21, 60] {
            assert_eq!(purge(store, days).await, Some(Expired::default()), "{days}");
            assert_eq!(keys(store, layout::UPLOADS).await, [], "{days}");
        }
        assert_eq!(keys(store, layout::DATA).await, data);
    });

    registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);
}

/// Bytes that became orphans long after they were written, as by a deletion that was cut short.
#[tokio::test]
async fn what_the_daily_run_passes_over_is_found_within_a_month() {
    let setup = Setup::memory();
    let store = setup.store();
    assert!(purge(store, 20).await.is_some());
    write(store, &orphan(0)).await;

    assert_eq!(purge(store, 35).await.map(|done| done.objects), Some(0));
    assert_eq!(purge(store, 51).await.map(|done| done.objects), Some(1));
}

/// A process that is killed while it looks at the store, again and again.
#[tokio::test]
async fn what_a_probe_leaves_behind_is_freed() {
    let setup = Setup::bucket();
    let store = setup.store();
    write(store, &layout::probe_object("ab")).await;
    store.upload_begin(&layout::probe_object("cd")).await.expect("it begins");

    assert_eq!(purge(store, 0).await, Some(Expired::default()), "it might still be looking");
    let done = purge(store, 2).await.expect("nobody else does");

    assert_eq!((done.objects, done.uploads, done.failures), (1, 1, 0));
    assert_eq!(keys(store, layout::PROBES).await, []);
    assert!(store.list_uploads("", None, 1).await.expect("it lists").is_empty());
}
