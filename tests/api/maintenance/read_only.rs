//! Repositories that take no writes: row B35.

use entrepot_api::{ENDPOINTS, Failure};
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

fn a_read_only_registry_serves_and_refuses(setup: Setup) {
    let image = setup.start().push_some_image("a", "v1");
    let registry = setup.domain(|config| config.read_only.everything = true).start();

    assert_eq!(registry.get("/v2/a/manifests/v1").send().expect(200).body, image.manifest.bytes);
    registry.get(format!("/v2/a/blobs/{}", Digest::sha256(&image.layer))).send().expect(200);
    registry.get("/v2/a/tags/list").send().expect(200);
    registry.get("/v2/_catalog").send().expect(200);
    for (method, target) in [
        ("POST", "/v2/a/blobs/uploads/"),
        ("PATCH", "/v2/a/blobs/uploads/0190a1b2-0000-7000-8000-000000000000"),
        ("PUT", "/v2/a/manifests/v1"),
        ("DELETE", "/v2/a/manifests/v1"),
    ] {
        let refused = registry.request(method, target).empty().send().refused(Failure::ReadOnly);
        assert!(!refused.expect_header("Allow").contains(method), "{refused}");
    }
    assert!(ENDPOINTS.iter().any(|row| row.failures.contains(&Failure::ReadOnly)));
}

fn one_prefix_may_be_read_only(setup: Setup) {
    let open = setup.clone().start();
    open.push_some_image("frozen/app", "v1");
    let registry = setup.domain(|config| config.read_only.repositories = vec!["frozen".to_owned()]).start();

    registry.post("/v2/frozen/app/blobs/uploads/").empty().send().refused(Failure::ReadOnly);
    registry.delete("/v2/frozen/app/manifests/v1").send().refused(Failure::ReadOnly);
    registry.get("/v2/frozen/app/manifests/v1").send().expect(200);
    registry.push_some_image("frozen-not", "v1");
    // A frozen repository can still be mounted from.
    let digest = open.push_blob("frozen/app", b"shared");
    registry
        .post(format!("/v2/other/blobs/uploads/?mount={digest}&from=frozen/app"))
        .empty()
        .send()
        .expect(201);
}

on_every_store![a_read_only_registry_serves_and_refuses, one_prefix_may_be_read_only];
