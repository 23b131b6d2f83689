//! `HEAD /v2/<name>/manifests/<reference>`: row A4, and what a HEAD promises before a push.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_storage::decorate::{Effect, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

fn head_has_the_headers_of_get(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    for reference in ["v1", &image.digest().to_string()] {
        let target = format!("/v2/a/manifests/{reference}");
        let get = registry.get(&target).header("X-Request-ID", "same").send().expect(200);
        let head = registry.head(&target).header("X-Request-ID", "same").send().expect(200);
        let of = |name| (get.header(name), head.header(name));
        for name in ["Content-Type", "Content-Length", "Docker-Content-Digest", "ETag", "Cache-Control"] {
            let (get, head) = of(name);
            assert!(get.is_some() && get == head, "{name}: {get:?} {head:?}");
        }
    }
}

fn head_knows_conditions_too(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    registry.head("/v2/a/manifests/v1").header("If-None-Match", image.digest()).send().expect(304);
}

fn head_of_nothing_has_a_status_and_no_body(setup: Setup) {
    let registry = setup.start();
    let mut connection = registry.connect();
    let absent = Digest::sha256(b"absent");

    for (reference, failure) in [
        ("v1".to_owned(), Failure::NameUnknown),
        (absent.to_string(), Failure::NameUnknown),
        ("sha256:short".to_owned(), Failure::DigestInvalid),
    ] {
        let answer = registry.head(format!("/v2/a/manifests/{reference}")).on(&mut connection);
        answer.has_refusal_head(failure);
    }
    registry.get("/v2/").on(&mut connection).expect(200);
}

/// A4: at most one read, for somebody who only pulls. Who may push is also told that the manifest can be
/// relied on, which takes a second one.
fn head_of_a_tag_reads_the_store_once(setup: Setup) {
    let (setup, controls) = setup.breakable();
    setup.start().push_some_image("a", "v1");
    let registry = setup.guarded().start();
    let before = controls.struck();
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)));

    registry.head("/v2/a/manifests/v1").header("Authorization", "Bearer bob").send().expect(200);

    assert_eq!(controls.struck() - before, 1);
}

on_every_store![
    head_has_the_headers_of_get,
    head_knows_conditions_too,
    head_of_nothing_has_a_status_and_no_body,
    head_of_a_tag_reads_the_store_once,
];
