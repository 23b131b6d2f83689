//! `DELETE /v2/<name>/blobs/<digest>`: row C15, reliability row 49.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use serde_json::json;

fn a_deleted_blob_is_gone_from_its_repository_only(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"shared");
    registry.push_blob("b", b"shared");
    let target = format!("/v2/a/blobs/{digest}");

    registry.delete(&target).send().expect(202);

    registry.get(&target).send().refused(Failure::BlobUnknown);
    registry.head(&target).send().has_refusal_head(Failure::BlobUnknown);
    registry.get(format!("/v2/b/blobs/{digest}")).send().expect(200);
    registry.delete(&target).send().refused(Failure::BlobUnknown);
}

fn what_a_manifest_names_stays(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    for content in [&image.layer, &image.config] {
        let target = format!("/v2/a/blobs/{}", Digest::sha256(content));

        let refused = registry.delete(&target).send().refused(Failure::StillReferenced);

        let by = image.digest().to_string();
        assert_eq!(refused.errors().errors[0].detail, Some(json!({ "by": by })));
        assert_eq!(registry.get(&target).send().expect(200).body, *content);
    }
    registry.delete(format!("/v2/a/manifests/{}", image.digest())).send().expect(202);
    registry.delete(format!("/v2/a/blobs/{}", Digest::sha256(&image.layer))).send().expect(202);
}

fn a_deleted_blob_can_be_pushed_again(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"content");
    let target = format!("/v2/a/blobs/{digest}");

    for _ in 0..2 {
        registry.delete(&target).send().expect(202);
        registry.push_blob("a", b"content");
        assert_eq!(registry.get(&target).send().expect(200).body, b"content");
    }
}

fn a_deleted_blob_can_no_longer_be_named(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    registry.delete(format!("/v2/a/manifests/{}", image.digest())).send().expect(202);
    registry.delete(format!("/v2/a/blobs/{}", Digest::sha256(&image.layer))).send().expect(202);

    registry.put_manifest("a", "v1", &image.manifest).refused(Failure::ManifestBlobUnknown);
}

on_every_store![
    a_deleted_blob_is_gone_from_its_repository_only,
    what_a_manifest_names_stays,
    a_deleted_blob_can_be_pushed_again,
    a_deleted_blob_can_no_longer_be_named,
];
