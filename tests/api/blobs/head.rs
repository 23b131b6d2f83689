//! `HEAD /v2/<name>/blobs/<digest>`: row A10, reliability row 39.

use entrepot_api::Failure;
use entrepot_driver_memory::{Config, MemoryDriver};
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

fn head_has_the_headers_of_get(setup: Setup) {
    let registry = setup.start();
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", b"content"));

    let head = registry.head(&target).send().expect(200);
    let get = registry.get(&target).send().expect(200);

    for name in
        ["Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Accept-Ranges", "Cache-Control"]
    {
        assert_eq!(head.expect_header(name), get.expect_header(name));
    }
}

fn head_of_nothing_is_not_found(setup: Setup) {
    let registry = setup.start();
    let mut connection = registry.connect();

    let absent = Digest::sha256(b"absent");
    let answer = registry.head(format!("/v2/a/blobs/{absent}")).on(&mut connection);

    answer.has_refusal_head(Failure::BlobUnknown);
    registry.get("/v2/").on(&mut connection).expect(200);
}

/// containerd aborts a push on any status but 200 and 404.
#[test]
fn head_is_never_redirected() {
    let everything = MemoryDriver::with(Config::default());
    let registry = Setup::over(everything.shared()).start();
    let digest = registry.push_blob("a", b"content");

    registry.head(format!("/v2/a/blobs/{digest}")).send().expect(200);
}

on_every_store![head_has_the_headers_of_get, head_of_nothing_is_not_found];
