//! `GET` of a blob that the store serves by itself.

use std::sync::Arc;

use entrepot_domain::redirects::Route;
use entrepot_driver_memory::{Config, MemoryDriver};
use entrepot_storage::signer::StoreSigner;
use entrepot_tests::http::Response;
use entrepot_tests::registry::content::noise;
use entrepot_tests::registry::{Setup, TestRegistry};

/// Over a store that signs addresses, all pulls redirected.
fn redirecting(change: impl FnOnce(&mut Config)) -> TestRegistry {
    let mut config = Config::default();
    change(&mut config);
    let store = MemoryDriver::with(config).shared();
    let signer = Arc::new(StoreSigner(Arc::clone(&store)));
    Setup::over(store).domain(|domain| domain.redirects.otherwise = Route::Signed(signer)).start()
}

fn pull(registry: &TestRegistry, range: Option<&str>) -> Response {
    let digest = registry.push_blob("a", &noise(1, 2048));
    let request = registry.get(format!("/v2/a/blobs/{digest}"));
    let request = range.into_iter().fold(request, |request, range| request.header("Range", range));
    request.send()
}

#[test]
fn a_blob_and_ordinary_ranges_of_it_are_left_to_the_store() {
    let registry = redirecting(|_| {});

    for range in [None, Some("bytes=0-9"), Some("bytes=500-"), Some("bytes=-500")] {
        let answer = pull(&registry, range).expect(307);
        assert!(!answer.expect_header("Location").is_empty());
        assert!(answer.header("Docker-Content-Digest").is_some(), "{answer}");
        assert!(answer.body.is_empty());
    }
}

/// Azure answers 500, or with the whole blob, to what it does not know.
#[test]
fn a_range_the_store_does_not_know_is_answered_here() {
    let registry = redirecting(|config| config.capabilities.presigned_suffixes = false);

    let answer = pull(&registry, Some("bytes=-500")).expect(206);

    assert_eq!(answer.body, noise(1, 2048)[1548..]);
    pull(&registry, Some("bytes=0-9")).expect(307);
}

#[test]
fn a_range_that_ends_before_it_begins_is_refused_here() {
    pull(&redirecting(|_| {}), Some("bytes=500-0")).expect(416);
}
