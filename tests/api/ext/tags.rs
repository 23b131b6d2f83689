//! `GET /v2/<name>/_ext/manifests/<digest>/tags`: row C19.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use serde_json::json;

fn the_tags_of_a_manifest_are_those_that_name_it_now(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    registry.push_manifest("a", "latest", &image.manifest);
    registry.push_manifest("a", "moved", &image.manifest);
    let other = registry.push_some_image("a", "moved");
    let tags = |digest: Digest| {
        registry.get(format!("/v2/a/_ext/manifests/{digest}/tags")).send().expect(200).json()
    };

    let digest = image.digest();
    assert_eq!(tags(digest), json!({ "name": "a", "digest": digest.to_string(), "tags": ["latest", "v1"] }));
    assert_eq!(tags(other.digest())["tags"], json!(["moved"]));
    for tag in ["v1", "latest"] {
        registry.delete(format!("/v2/a/manifests/{tag}")).send().expect(202);
    }
    assert_eq!(tags(digest)["tags"], json!([]));
}

fn what_is_not_there_has_no_tags(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("a", "v1");
    let absent = Digest::sha256(b"absent");
    let tags = |name: &str| registry.get(format!("/v2/{name}/_ext/manifests/{absent}/tags")).send();

    tags("a").refused(Failure::ManifestUnknown);
    tags("nowhere").refused(Failure::NameUnknown);
    registry.get("/v2/a/_ext/manifests/v1/tags").send().refused(Failure::DigestInvalid);
}

on_every_store![the_tags_of_a_manifest_are_those_that_name_it_now, what_is_not_there_has_no_tags];
