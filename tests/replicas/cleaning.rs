//! What is left behind by replicas that died, and the run that frees it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use entrepot_domain::ports::{NoCache, System};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::uploads::{Expired, Expiry};
use entrepot_domain::{Config, Registry, layout};
use entrepot_oci::Digest;
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_storage::{ErrorKind, Key, PutMode, SharedDriver};
use entrepot_tests::registry::{FixedClock, Setup};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Frees what nobody needs, a month from now.
async fn expire(store: &SharedDriver) -> Expired {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
    let registry = Registry::new(Parts {
        store: Arc::clone(store),
        cache: Arc::new(NoCache),
        clock: Arc::new(FixedClock::at((now + 30 * DAY).as_secs())),
        entropy: Arc::new(System),
        tokens: TokenKeys::new(vec![b"key".to_vec()]).expect("a key"),
        config: Config::default(),
    });
    let expiry = Expiry { sessions: 7 * DAY, orphans: 8 * DAY, dry_run: false };
    registry.expire(&expiry).await.expect("the store can be listed")
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
        store.put(&orphan(n), Bytes::from(vec![n]), PutMode::Overwrite).await.expect("it is written");
    }
    let unfinished = store.upload_begin(&orphan(9)).await.expect("it begins");
    let held = Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: false }));
    controls.add(held.on(Operation::Delete).at_prefix(orphan(1).as_str()));

    let done = expire(store).await;

    assert_eq!((done.objects, done.failures, done.uploads), (3, 1, 1), "{done:?}");
    let left = store.list(layout::DATA, None, 10).await.expect("it lists").objects;
    assert_eq!(left.iter().map(|meta| meta.key.clone()).collect::<Vec<_>>(), [orphan(1)]);
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
