//! oras, helm and notation (oras-go): exact lengths, digests in every answer, the referrers probe.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_oci::manifest::build;
use entrepot_oci::media_type::OCI_INDEX;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{descriptor, with_digest};

const HELM_ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, application/vnd.oci.artifact.manifest.v1+json";

fn helm_pushes_and_pulls_a_chart(setup: Setup) {
    let registry = setup.start();
    let (config, chart): (&[u8], &[u8]) =
        (b"{\"name\":\"chart\",\"version\":\"1.2.3+build.1\"}", b"chart.tgz");
    let manifest = build::Image::oci(descriptor("application/vnd.cncf.helm.config.v1+json", config))
        .layer(descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", chart))
        .build();
    for content in [config, chart] {
        let digest = Digest::sha256(content);
        registry.head(format!("/v2/charts/app/blobs/{digest}")).send().expect(404);
        let location = registry.open_upload("charts/app");
        let put =
            registry.put(with_digest(&location, digest)).header("Content-Type", "application/octet-stream");
        put.body(content).send().expect(201);
    }
    // The plus of a version is not legal in a tag and becomes an underscore.
    registry.put_manifest("charts/app", "1.2.3_build.1", &manifest).expect(201);

    let head = registry.head("/v2/charts/app/manifests/1.2.3_build.1").header("Accept", HELM_ACCEPT);
    let digest = head.send().expect(200).expect_header("Docker-Content-Digest").to_owned();
    let pulled = registry.get(format!("/v2/charts/app/manifests/{digest}")).header("Accept", HELM_ACCEPT);
    assert_eq!(pulled.send().expect(200).body, manifest.bytes);
    let layer = format!("/v2/charts/app/blobs/{}", Digest::sha256(chart));
    let answer = registry.get(layer).send().expect(200);
    // Reads may seek only if the answer says so.
    assert_eq!((answer.expect_header("Accept-Ranges"), &answer.body[..]), ("bytes", chart));
}

/// helm 3.18 asks anonymously first, takes the scope of that challenge, and is challenged again to push.
fn helm_is_challenged_for_each_thing_it_does(setup: Setup) {
    let registry = setup.guarded().start();
    let challenge = |method: &str, target: &str| {
        let refused = registry.request(method, target).send();
        refused.has_refusal_head(Failure::Unauthorized);
        refused.expect_header("WWW-Authenticate").to_owned()
    };

    let blob = format!("/v2/charts/app/blobs/{}", Digest::sha256(b"chart"));
    assert!(challenge("HEAD", &blob).ends_with("scope=\"repository:charts/app:pull\""));
    assert!(
        challenge("POST", "/v2/charts/app/blobs/uploads/")
            .ends_with("scope=\"repository:charts/app:pull,push\"")
    );
}

/// `200` counts only with exactly this type; `404` would switch the client to tags.
fn oras_probes_for_referrers(setup: Setup) {
    let registry = setup.start();
    let zeros = format!("sha256:{}", "0".repeat(64));

    let probe = registry.get(format!("/v2/app/referrers/{zeros}")).send().expect(200);

    assert_eq!(probe.expect_header("Content-Type"), OCI_INDEX);
}

/// A HEAD without a digest is an error to it.
fn oras_finds_a_digest_in_every_head(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("app", "v1");
    let layer = Digest::sha256(&image.layer);

    let manifest = registry.head("/v2/app/manifests/v1").send().expect(200);
    let blob = registry.head(format!("/v2/app/blobs/{layer}")).send().expect(200);

    assert_eq!(manifest.expect_header("Docker-Content-Digest"), image.digest().to_string());
    assert_eq!(blob.expect_header("Docker-Content-Digest"), layer.to_string());
}

on_every_store![
    helm_pushes_and_pulls_a_chart,
    helm_is_challenged_for_each_thing_it_does,
    oras_probes_for_referrers,
    oras_finds_a_digest_in_every_head,
];
