//! What is left behind by replicas that died, and the run that frees it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use entrepot_domain::config::ReadOnly;
use entrepot_domain::ports::{NoCache, System};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::uploads::{Expired, Expiry, Reach};
use entrepot_domain::{Config, Registry, layout};
use entrepot_oci::Digest;
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_storage::{ErrorKind, Key, PutMode, SharedDriver, StorageDriverExt as _};
use entrepot_tests::registry::content::with_digest;
use entrepot_tests::registry::{FixedClock, Setup};
use serde_json::Value;

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

#[tokio::test]
async fn nothing_is_purged_while_everything_is_read_only() {
    let setup = Setup::memory();
    let store = setup.store();
    write(store, &orphan(0)).await;
    let replica = replica(store, 20);
    replica.set_read_only(ReadOnly { everything: true, repositories: Vec::new() });

    assert_eq!(replica.purge(&EXPIRY, DAY).await.expect("it does nothing"), None);
    assert_eq!(keys(store, "").await, [orphan(0)]);
    replica.set_read_only(ReadOnly::default());
    assert!(replica.purge(&EXPIRY, DAY).await.expect("it purges").is_some());
}

/// A clock that ran far ahead would have ended the purges of all replicas.
#[tokio::test]
async fn a_purge_in_the_future_keeps_nobody_from_the_next() {
    let setup = Setup::memory();
    let store = setup.store();
    assert!(purge(store, 4000).await.is_some());
    write(store, &orphan(0)).await;

    assert_eq!(purge(store, 20).await.map(|done| done.objects), Some(1));
    let told = claim(store).await.expect("it claims");
    assert_eq!((&told["looked"], &told["looked_at_everything"]), (&told["begun"], &told["begun"]));
}

/// Lets a purge go until it has told the others that it began, and no further.
async fn until_it_claims(store: &SharedDriver, purge: Pin<&mut impl Future<Output = ()>>) {
    let before = claim(store).await;
    let mut purge = purge;
    while claim(store).await == before {
        tokio::select! {
            () = &mut purge => panic!("it waits for a listing"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
}

async fn claim(store: &SharedDriver) -> Option<Value> {
    let (bytes, _) = store.read(&layout::purge()).await.expect("it can be read")?;
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

/// A store whose listings take long enough for a purge to be looked at while it waits.
fn slow_to_list() -> Setup {
    let (setup, controls) = Setup::memory().breakable();
    controls.add(Rule::new(Effect::Delay(Duration::from_millis(100))).on(Operation::List));
    setup
}

#[tokio::test]
async fn a_replica_that_died_in_its_purge_is_followed_by_another() {
    let setup = slow_to_list();
    let store = setup.store();
    write(store, &orphan(0)).await;
    {
        let dies = pin!(async { _ = purge(store, 20).await });
        until_it_claims(store, dies).await;
    }

    assert_eq!(purge(store, 20).await, None, "it might still be at it");
    assert_eq!(purge(store, 21).await.map(|done| done.objects), Some(1));
}

/// Each found another's claim in place of its own, so none was ever taken to have looked.
#[tokio::test]
async fn a_purge_that_another_overtakes_has_looked_all_the_same() {
    let setup = slow_to_list();
    let store = setup.store();
    let mut slow = pin!(async { _ = purge(store, 20).await });
    until_it_claims(store, slow.as_mut()).await;
    let began = claim(store).await.expect("it claims")["begun"].clone();
    let mut other = pin!(async { _ = purge(store, 21).await });
    until_it_claims(store, other.as_mut()).await;

    slow.await;

    let told = claim(store).await.expect("both claim");
    assert_eq!((&told["looked"], &told["looked_at_everything"]), (&began, &began));
    assert_ne!(told["begun"], began, "the other is still at it");
}

#[tokio::test]
async fn a_purge_that_could_not_look_leaves_it_to_the_next_replica() {
    let (setup, controls) = Setup::memory().breakable();
    let store = setup.store();
    write(store, &orphan(0)).await;
    let unreachable = Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: false }));
    controls.add(unreachable.on(Operation::List).at_prefix("data/"));
    replica(store, 20).purge(&EXPIRY, DAY).await.expect_err("it cannot list");
    controls.clear();

    assert_eq!(purge(store, 20).await.map(|done| done.objects), Some(1));
}

/// One kind of listing that is refused kept the rest from being done, and all of it was looked at each day.
#[tokio::test]
async fn what_cannot_be_listed_keeps_nobody_from_the_rest() {
    let (setup, controls) = Setup::bucket().breakable();
    let store = setup.store();
    write(store, &orphan(0)).await;
    write(store, &layout::probe_object("ab")).await;
    let refused = Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: false }));
    controls.add(refused.on(Operation::ListUploads));

    replica(store, 20).purge(&EXPIRY, DAY).await.expect_err("it may not list uploads");

    assert_eq!(keys(store, layout::DATA).await, []);
    assert_eq!(keys(store, layout::PROBES).await, []);
    assert!(claim(store).await.expect("it claims")["looked"].is_u64());
}

#[tokio::test]
async fn a_record_of_purges_that_cannot_be_read_is_written_anew() {
    let setup = Setup::memory();
    let store = setup.store();
    write(store, &layout::purge()).await;
    write(store, &orphan(0)).await;

    assert_eq!(purge(store, 20).await.map(|done| done.objects), Some(1));
    assert_eq!(purge(store, 20).await, None);
}

/// A blob that was pushed in parts, which has no digest in its key.
fn pushed_in_parts(setup: &Setup) -> Digest {
    let registry = setup.start();
    let location = registry.patch(registry.open_upload("a")).body(b"bytes").send().expect(202);
    let digest = Digest::sha256(b"bytes");
    registry.put(with_digest(location.expect_header("location"), digest)).send().expect(201);
    digest
}

/// Each run asked for the session of each old blob, which is long forgotten, and wrote a tombstone for it.
#[test]
fn old_blobs_in_use_are_left_alone_and_leave_nothing_behind() {
    let setup = Setup::memory();
    let store = setup.store();
    let digest = pushed_in_parts(&setup);

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

    setup.start().get(format!("/v2/a/blobs/{digest}")).send().expect(200);
}

/// Without its tombstone all blob records have to be read for it, and were each day.
#[test]
fn a_blob_is_known_by_its_session_for_as_long_as_it_is_looked_at() {
    let setup = Setup::memory();
    let store = setup.store();
    pushed_in_parts(&setup);

    block_on(async {
        assert_eq!(purge(store, 9).await.map(|done| done.sessions), Some(1));
        let sessions = keys(store, layout::UPLOADS).await;
        // Nobody ran for a while, so this one looks further back.
        assert_eq!(purge(store, 17).await, Some(Expired::default()));
        assert_eq!(keys(store, layout::UPLOADS).await, sessions);
        let (tombstone, _) = store.read(&sessions[0]).await.expect("it is read").expect("it is there");
        assert!(!String::from_utf8_lossy(&tombstone).contains("orphan"), "{tombstone:?}");

        assert_eq!(purge(store, 30).await, Some(Expired::default()));
        assert_eq!(keys(store, layout::UPLOADS).await, [], "it goes at last");
    });
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
