//! `DELETE /v2/<name>/manifests/<reference>`: rows C7, C13, C14, C23; reliability rows 47 and 48; S-06.

use std::sync::Arc;

use entrepot_api::Failure;
use entrepot_oci::manifest::build;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::{Setup, StoredCache};
use serde_json::json;

fn deleting_a_manifest_takes_its_tags_along(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    registry.push_manifest("a", "latest", &image.manifest);
    let other = registry.push_some_image("a", "other");
    let target = format!("/v2/a/manifests/{}", image.digest());

    registry.delete(&target).send().expect(202);

    for gone in [&target, "/v2/a/manifests/v1", "/v2/a/manifests/latest"] {
        registry.get(gone).send().refused(Failure::ManifestUnknown);
    }
    assert_eq!(registry.get("/v2/a/tags/list").send().json()["tags"], json!(["other"]));
    registry.get(format!("/v2/a/manifests/{}", other.digest())).send().expect(200);
    registry.delete(&target).send().refused(Failure::ManifestUnknown);
}

fn deleting_a_tag_leaves_what_it_named(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    registry.push_manifest("a", "latest", &image.manifest);

    registry.delete("/v2/a/manifests/v1").send().expect(202);

    registry.get("/v2/a/manifests/v1").send().refused(Failure::ManifestUnknown);
    registry.get("/v2/a/manifests/latest").send().expect(200);
    registry.get(format!("/v2/a/manifests/{}", image.digest())).send().expect(200);
    registry.delete("/v2/a/manifests/v1").send().refused(Failure::ManifestUnknown);
}

fn a_deleted_tag_can_be_pushed_again(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    registry.delete("/v2/a/manifests/v1").send().expect(202);
    registry.push_manifest("a", "v1", &image.manifest);
    registry.delete(format!("/v2/a/manifests/{}", image.digest())).send().expect(202);
    registry.push_manifest("a", "v1", &image.manifest);

    assert_eq!(registry.get("/v2/a/manifests/v1").send().expect(200).body, image.manifest.bytes);
}

fn what_an_index_names_stays_as_long_as_the_index(setup: Setup) {
    let registry = setup.start();
    let child = registry.push_some_image("a", "child");
    let index = build::Index::oci().manifest(child.descriptor(), None).build();
    let index_digest = registry.push_manifest("a", "all", &index);
    let child_target = format!("/v2/a/manifests/{}", child.digest());

    let refused = registry.delete(&child_target).send().refused(Failure::StillReferenced);

    assert_eq!(refused.errors().errors[0].detail, Some(json!({ "by": index_digest.to_string() })));
    registry.get("/v2/a/manifests/child").send().expect(200);
    registry.delete(format!("/v2/a/manifests/{index_digest}")).send().expect(202);
    registry.delete(&child_target).send().expect(202);
}

/// S-07: one switch, and no way around it.
fn nothing_is_deleted_where_deleting_is_disabled(setup: Setup) {
    let registry = setup.domain(|config| config.delete_enabled = false).start();
    let image = registry.push_some_image("a", "v1");

    for target in [
        "/v2/a/manifests/v1".to_owned(),
        format!("/v2/a/manifests/{}", image.digest()),
        "/v2/a/manifests/absent".to_owned(),
        format!("/v2/a/blobs/{}", entrepot_oci::Digest::sha256(&image.layer)),
    ] {
        let refused = registry.delete(target).send().refused(Failure::DeleteDisabled);
        assert!(!refused.expect_header("Allow").contains("DELETE"), "{refused}");
    }
    registry.get("/v2/a/manifests/v1").send().expect(200);
}

fn a_repository_that_never_was_is_told(setup: Setup) {
    let registry = setup.start();

    registry.delete("/v2/nowhere/manifests/v1").send().refused(Failure::NameUnknown);
}

fn a_repository_leaves_the_catalog_with_its_last_manifest(setup: Setup) {
    let registry = setup.start();
    let first = registry.push_some_image("a", "v1");
    let second = registry.push_some_image("a", "v2");
    registry.push_some_image("b", "v1");

    registry.delete(format!("/v2/a/manifests/{}", first.digest())).send().expect(202);
    assert_eq!(registry.get("/v2/_catalog").send().json(), json!({ "repositories": ["a", "b"] }));
    registry.delete(format!("/v2/a/manifests/{}", second.digest())).send().expect(202);
    assert_eq!(registry.get("/v2/_catalog").send().json(), json!({ "repositories": ["b"] }));
    registry.push_manifest("a", "v1", &first.manifest);
    assert_eq!(registry.get("/v2/_catalog").send().json(), json!({ "repositories": ["a", "b"] }));
}

/// A cache that never forgets by itself: the delete has to make it.
fn a_cache_does_not_outlive_a_delete(setup: Setup) {
    let registry =
        setup.cache(Arc::new(StoredCache::default())).domain(|config| config.tag_ttl = config.link_ttl);
    let registry = registry.start();
    let image = registry.push_some_image("a", "v1");
    let by_digest = format!("/v2/a/manifests/{}", image.digest());
    for target in ["/v2/a/manifests/v1", &by_digest] {
        registry.get(target).send().expect(200);
    }

    registry.delete(&by_digest).send().expect(202);

    for target in ["/v2/a/manifests/v1", &by_digest] {
        registry.get(target).send().refused(Failure::ManifestUnknown);
    }
}

on_every_store![
    deleting_a_manifest_takes_its_tags_along,
    deleting_a_tag_leaves_what_it_named,
    a_deleted_tag_can_be_pushed_again,
    what_an_index_names_stays_as_long_as_the_index,
    nothing_is_deleted_where_deleting_is_disabled,
    a_repository_that_never_was_is_told,
    a_repository_leaves_the_catalog_with_its_last_manifest,
    a_cache_does_not_outlive_a_delete,
];
