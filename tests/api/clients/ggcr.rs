//! go-containerregistry: crane, ko, kaniko, cosign, flux, tekton, trivy.

use entrepot_oci::manifest::build;
use entrepot_oci::media_type::{OCI_CONFIG, OCI_INDEX};
use entrepot_oci::{Descriptor, Digest};
use entrepot_tests::http::Client;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{descriptor, with_digest};
use entrepot_tests::registry::{Image, Setup};

/// POST with a type and no body, PATCH without a range, empty PUT.
fn push_blob(client: &Client, name: &str, content: &[u8]) {
    let digest = Digest::sha256(content);
    let mount = format!("/v2/{name}/blobs/uploads/?from=base&mount={digest}&origin=gcr.io");
    let opened = client.post(mount).header("Content-Type", "application/json").empty().send().expect(202);
    let patched = client.patch(opened.expect_header("Location")).chunked(content, 5).send().expect(202);
    let closing = with_digest(patched.expect_header("Location"), digest);
    client.put(closing).header("Content-Type", "application/octet-stream").empty().send().expect(201);
}

fn crane_pushes_and_copies_an_image(setup: Setup) {
    let registry = setup.start();
    let image = Image::called("crane");
    push_blob(&registry, "app", &image.config);
    push_blob(&registry, "app", &image.layer);
    registry.put_manifest("app", "v1", &image.manifest).expect(201);

    for content in [&image.config, &image.layer] {
        let query = format!("mount={}&from=app", Digest::sha256(content));
        registry.post(format!("/v2/copy/blobs/uploads/?{query}")).empty().send().expect(201);
    }
    registry.put_manifest("copy", "v1", &image.manifest).expect(201);
}

/// A retried PATCH begins at 0, in a session of its own.
fn ggcr_retries_in_a_new_session(setup: Setup) {
    let registry = setup.start();
    let half = registry.patch(registry.open_upload("app")).header("Transfer-Encoding", "chunked");
    half.raw("5\r\nab").abandon();

    push_blob(&registry, "app", b"abcdefgh");
}

/// cosign signs by a tag made from the digest; newer ones by a referrer, after which the list is read.
fn cosign_signs_both_ways(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("app", "v1");
    push_blob(&registry, "app", b"{}");
    let config = || -> Descriptor { descriptor(OCI_CONFIG, b"{}") };
    let tag = format!("{}.sig", image.digest().to_string().replace(':', "-"));

    let tagged = build::Image::oci(config()).annotation("dev.cosignproject.cosign/signature", "MEUC").build();
    registry.put_manifest("app", &tag, &tagged).expect(201);
    let referring = build::Image::oci(config()).subject(image.descriptor()).artifact_type("a/b").build();
    let digest = Digest::sha256(&referring.bytes);
    let pushed = registry.put_manifest("app", &digest.to_string(), &referring).expect(201);

    assert_eq!(pushed.expect_header("OCI-Subject"), image.digest().to_string());
    let referrers = registry.get(format!("/v2/app/referrers/{}", image.digest())).send().expect(200);
    assert_eq!(referrers.expect_header("Content-Type"), OCI_INDEX);
    assert_eq!(referrers.json()["manifests"][0]["digest"], digest.to_string());
    registry.get(format!("/v2/app/manifests/{tag}")).send().expect(200);
}

on_every_store![crane_pushes_and_copies_an_image, ggcr_retries_in_a_new_session, cosign_signs_both_ways];
