//! `GET /v2/{name}/blobs/{digest}`: the link is right and location in one; the store's own address or the
//! bytes follow. The stores of this suite presign nothing, so the bytes come through the registry; the
//! redirect itself joins this journey with the first driver that signs addresses.

use std::sync::Arc;
use std::time::Duration;

use entrepot_api::Failure;
use entrepot_storage::decorate::{Controls, Effect, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::noise;
use entrepot_tests::registry::{Setup, StoredCache};

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
