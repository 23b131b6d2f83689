//! `GET` of a blob that the store serves by itself.

use std::sync::Arc;

use entrepot_domain::redirects::{PullPattern, Route};
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

/// A14: who a client is, proxies say, but only those that are trusted.
#[test]
fn a_rule_about_a_network_is_about_clients_behind_trusted_proxies_only() {
    let of_ten = |address: std::net::IpAddr| address.to_string().starts_with("10.");
    let from_ten = PullPattern(Arc::new(move |pull| pull.reader.address.is_some_and(of_ten)));
    let setup = Setup::redirecting().domain(|domain| domain.redirects.rules.push((from_ten, Route::Proxy)));
    let status = |proxies: &str, forwarded: Option<&str>| {
        let trusted_proxies = proxies.split_whitespace().map(|network| network.parse().unwrap()).collect();
        let registry = setup.clone().frontend(|config| config.trusted_proxies = trusted_proxies).start();
        let digest = registry.push_blob("a", &noise(1, 2048));
        let request = registry.get(format!("/v2/a/blobs/{digest}"));
        let request =
            forwarded.into_iter().fold(request, |request, chain| request.header("X-Forwarded-For", chain));
        request.send().status
    };

    assert_eq!(status("127.0.0.0/8", Some("10.1.1.1")), 200, "from the network");
    assert_eq!(status("127.0.0.0/8", Some("192.0.2.1")), 307, "from another");
    assert_eq!(
        status("127.0.0.0/8", Some("10.1.1.1, 192.0.2.1")),
        307,
        "the client says so, the proxy does not"
    );
    assert_eq!(status("127.0.0.0/8", None), 307, "from the proxy itself");
    assert_eq!(status("", Some("10.1.1.1")), 307, "nobody is trusted");
    assert_eq!(status("10.0.0.0/8", Some("10.1.1.1")), 307, "who says so is not trusted");
}
