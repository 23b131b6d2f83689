//! The docker engine with its classic image store: one streamed PATCH, and a look at the blob afterwards.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::with_digest;
use entrepot_tests::registry::{Image, Setup};

const AGENT: &str = "docker/27.5.1 go/go1.22.10 os/linux arch/amd64";
const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json";

fn docker_pushes_an_image(setup: Setup) {
    let registry = setup.start();
    let image = Image::called("docker");
    registry.get("/v2/").header("User-Agent", AGENT).send().expect(200);
    for content in [&image.layer, &image.config] {
        let digest = Digest::sha256(content);
        let blob = format!("/v2/library/app/blobs/{digest}");
        registry.head(&blob).send().expect(404);
        let mount = format!("/v2/library/app/blobs/uploads/?from=library%2Fbase&mount={digest}");
        let opened = registry.post(mount).empty().send().expect(202);

        // Neither length nor range: the layer is compressed while it is sent.
        let location = opened.expect_header("Location");
        let patched = registry.patch(location).chunked(content, 8).send().expect(202);

        // Read by `%d-%d`; an end before the beginning would be an error.
        let (begin, end) = patched.expect_header("Range").split_once('-').unwrap();
        assert_eq!((begin, end), ("0", (content.len() - 1).to_string().as_str()));
        let uuid = opened.expect_header("Docker-Upload-UUID");
        assert_eq!(patched.expect_header("Docker-Upload-UUID"), uuid);
        let closing = with_digest(patched.expect_header("Location"), digest);
        registry.put(closing).empty().send().expect(201);
        registry.head(&blob).send().expect(200);
    }
    registry.put_manifest("library/app", "latest", &image.manifest).expect(201);
}

fn docker_pulls_an_image(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("library/app", "latest");

    let head = registry.head("/v2/library/app/manifests/latest").header("Accept", ACCEPT).send().expect(200);
    let digest = head.expect_header("Docker-Content-Digest");
    let manifest = registry.get(format!("/v2/library/app/manifests/{digest}")).header("Accept", ACCEPT);
    assert_eq!(manifest.send().expect(200).body, image.manifest.bytes);
    for content in [&image.config, &image.layer] {
        let blob = format!("/v2/library/app/blobs/{}", Digest::sha256(content));
        let answer = registry.get(blob).header("Accept-Encoding", "identity").send().expect(200);
        assert_eq!(answer.body, *content);
    }
}

/// `docker login` understands 200 and 401 only.
fn docker_logs_in(setup: Setup) {
    let registry = setup.guarded().start();

    registry.get("/v2/").send().refused(Failure::Unauthorized);
    registry.get("/v2/").header("Authorization", "Bearer ann").send().expect(200);
}

/// A failed layer is begun anew, with a new POST; the old session is simply forgotten.
fn docker_begins_anew_after_a_failure(setup: Setup) {
    let registry = setup.start();
    let content = b"a layer";
    let digest = Digest::sha256(content);
    registry
        .patch(registry.open_upload("a"))
        .header("Transfer-Encoding", "chunked")
        .raw("3\r\na l")
        .abandon();

    let patched = registry.patch(registry.open_upload("a")).chunked(content, 3).send().expect(202);

    registry.put(with_digest(patched.expect_header("Location"), digest)).empty().send().expect(201);
}

on_every_store![
    docker_pushes_an_image,
    docker_pulls_an_image,
    docker_logs_in,
    docker_begins_anew_after_a_failure
];
