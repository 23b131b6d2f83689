//! `GET /v2/{name}/blobs/{digest}`: the link is right and location in one; the store's own address or the
//! bytes follow.

use std::sync::Arc;
use std::time::Duration;

use entrepot_api::Failure;
use entrepot_domain::redirects::{Pull, PullPattern, Route};
use entrepot_oci::Digest;
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::{Controls, Effect, Operation, Rule};
use entrepot_storage::signer::StoreSigner;
use entrepot_tests::http::Response;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::noise;
use entrepot_tests::registry::{FixedClock, Setup, StoredCache, TestRegistry};

/// Counts calls to the store from now on.
fn count(controls: &Controls) -> u64 {
    controls.clear();
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)));
    controls.struck()
}

fn a_link_is_right_and_location_in_one(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let content = noise(1, 2_500_000);
    let digest = registry.push_blob("library/app", &content);
    let target = format!("/v2/library/app/blobs/{digest}");

    // Down: one read of the link says that the repository holds the blob, and where its bytes lie. Then
    // the bytes are opened. The blob's own record is not asked.
    let before = count(&controls);
    let answer = registry.get(&target).send().expect(200);
    assert_eq!(controls.struck() - before, 2);

    // Up: the bytes as they are, with everything a cache or a resuming client needs.
    assert!(answer.body == content);
    assert_eq!(answer.expect_header("Docker-Content-Digest"), digest.to_string());
    assert_eq!(answer.expect_header("Accept-Ranges"), "bytes");

    // A range goes the same way and reads no more than itself.
    let before = count(&controls);
    let range = registry.get(&target).header("Range", "bytes=1000000-1000009").send().expect(206);
    assert_eq!(range.body, &content[1_000_000..=1_000_009]);
    assert_eq!(controls.struck() - before, 2);

    // Another repository holds no link: the same digest leads nowhere, after one read.
    let elsewhere = format!("/v2/library/other/blobs/{digest}");
    registry.get(elsewhere).send().refused(Failure::BlobUnknown);
}

fn with_a_cache_only_the_bytes_are_asked_for(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.cache(Arc::new(StoredCache::default())).start();
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", b"content"));
    registry.get(&target).send().expect(200);

    let before = count(&controls);
    registry.get(&target).send().expect(200);
    assert_eq!(controls.struck() - before, 1);
}

fn head_is_answered_here_whoever_serves_the_bytes(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"content");

    let head = registry.head(format!("/v2/a/blobs/{digest}")).send().expect(200);

    assert_eq!(head.expect_header("Content-Length"), "7");
    assert_eq!(head.header("Location"), None);
}

on_every_store![
    a_link_is_right_and_location_in_one,
    with_a_cache_only_the_bytes_are_asked_for,
    head_is_answered_here_whoever_serves_the_bytes,
];

/// The address a redirect leads to. Everything a redirect must and must not say is looked at here.
#[track_caller]
fn followed(answer: &Response, digest: &Digest) -> String {
    assert_eq!(answer.expect_header("Docker-Content-Digest"), digest.to_string());
    assert_eq!(answer.expect_header("Cache-Control"), "private, no-store", "a signature is nobody else's");
    assert_eq!(answer.expect_header("Content-Length"), "0");
    for absent in ["ETag", "Accept-Ranges", "Content-Range", "Content-Encoding"] {
        assert_eq!(answer.header(absent), None, "{absent} speaks of a body that is elsewhere");
    }
    answer.expect_header("Location").to_owned()
}

#[test]
fn a_warm_redirect_asks_the_store_nothing() {
    let (setup, controls) = Setup::redirecting().breakable();
    let registry = setup.cache(Arc::new(StoredCache::default())).start();
    let digest = registry.push_blob("library/app", b"content");
    let target = format!("/v2/library/app/blobs/{digest}");

    // Down: the link is read once, and then no more. Up: an address, signed here.
    let before = count(&controls);
    let first = followed(&registry.get(&target).send().expect(307), &digest);
    assert_eq!(controls.struck() - before, 1);
    assert!(first.starts_with("memory://store/data/"), "{first}");
    let again = followed(&registry.get(&target).send().expect(307), &digest);
    assert_eq!((again, controls.struck() - before), (first.clone(), 1));

    // A range goes the same way, since the signature does not cover it; the client repeats it there. So do
    // several, and those that no byte is in: the store will say so.
    for range in ["bytes=1-2", "bytes=-3", "bytes=0-0,4-5", "bytes=900-"] {
        let answer = registry.get(&target).header("Range", range).send().expect(307);
        assert_eq!(followed(&answer, &digest), first, "{range}");
    }
    assert_eq!(controls.struck() - before, 1);

    // Who has it already needs no address, and HEAD never gets one.
    registry.get(&target).header("If-None-Match", format!("\"{digest}\"")).send().expect(304);
    assert_eq!(registry.head(&target).send().expect(200).header("Location"), None);

    // Another repository's right is another's.
    registry.get(format!("/v2/library/other/blobs/{digest}")).send().refused(Failure::BlobUnknown);
}

#[test]
fn all_replicas_give_one_address_for_a_span_of_time() {
    let clock = Arc::new(FixedClock::at(1_800_000_000));
    let setup = Setup::redirecting().clock(clock.clone());
    let (one, other) = (setup.start(), setup.start());
    let digest = one.push_blob("a", b"content");
    let target = format!("/v2/a/blobs/{digest}");
    let address = |registry: &TestRegistry| followed(&registry.get(&target).send().expect(307), &digest);

    let first = address(&one);
    clock.advance(Duration::from_secs(599));
    assert_eq!(address(&other), first, "half of the lifetime is not over");
    clock.advance(Duration::from_secs(1));

    let second = address(&other);
    assert_ne!(second, first);
    // Good for as long as the first when it was new: whole spans, and never less than half of the lifetime.
    assert!(first.ends_with("?expires=1800001200") && second.ends_with("?expires=1800001800"), "{second}");
}

#[test]
fn what_is_no_layer_is_never_sent_elsewhere() {
    let registry = Setup::redirecting().start();
    let empty = registry.push_blob("a", b"");
    let image = registry.push_some_image("a", "v1");

    assert!(registry.get(format!("/v2/a/blobs/{empty}")).send().expect(200).body.is_empty());
    let manifest = registry.get(format!("/v2/a/blobs/{}", image.digest())).send().expect(200);
    assert_eq!(manifest.body, image.manifest.bytes);
    registry.get("/v2/a/manifests/v1").send().expect(200);
}

#[test]
fn rules_decide_by_client_agent_repository_and_size() {
    let setup = Setup::redirecting();
    let signer = Arc::new(StoreSigner(Arc::clone(setup.store())));
    let setup = setup.domain(|domain| {
        let pattern = |fits: fn(&Pull<'_>) -> bool| PullPattern(Arc::new(fits));
        domain.redirects.rules = vec![
            (pattern(|pull| pull.size < 100), Route::Proxy),
            (pattern(|pull| pull.repository.as_str() == "public"), Route::Signed(signer)),
            (pattern(|pull| pull.reader.agent == Some("podman")), Route::Proxy),
            (pattern(|pull| pull.reader.address.is_some_and(|ip| ip.is_loopback())), Route::Proxy),
        ];
    });
    let registry = setup.start();
    let (small, large) = (noise(1, 99), noise(2, 100));
    let get = |name: &str, content: &[u8]| {
        let digest = registry.push_blob(name, content);
        registry.get(format!("/v2/{name}/blobs/{digest}")).header("User-Agent", "podman").send()
    };

    assert!(get("public", &small).expect(200).body == small);
    get("public", &large).expect(307);
    assert!(get("private", &large).expect(200).body == large);
}

/// Whoever signs may be away, or have forgotten us, while the store answers.
#[test]
fn a_blob_no_url_can_be_signed_for_is_sent_by_us() {
    let (setup, controls) = Setup::redirecting().breakable();
    let store = Arc::clone(setup.store());
    let signer = Arc::new(StoreSigner(store));
    let registry = setup.domain(|domain| domain.redirects.otherwise = Route::Signed(signer)).start();
    let digest = registry.push_blob("a", b"content");
    controls
        .add(Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: true })).on(Operation::PresignGet));

    let answer = registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);

    assert_eq!(answer.body, b"content");
}
