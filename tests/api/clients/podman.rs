//! podman, buildah and skopeo (containers/image): exact statuses, declined mounts cancelled, zstd:chunked.

use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{noise, with_digest};
use entrepot_tests::registry::{Image, Setup};

fn podman_pushes_an_image(setup: Setup) {
    let registry = setup.start();
    let image = Image::called("podman");
    for content in [&image.layer, &image.config] {
        let digest = Digest::sha256(content);
        registry.head(format!("/v2/app/blobs/{digest}")).send().expect(404);
        // A mount from a candidate of its cache: declined, and the session cancelled at once.
        let mount = format!("/v2/app/blobs/uploads/?from=elsewhere&mount={digest}");
        let declined = registry.post(mount).empty().send().expect(202);
        registry.delete(declined.expect_header("Location")).send().expect(204);

        let opened = registry.post("/v2/app/blobs/uploads/").empty().send().expect(202);
        let patch = registry.patch(opened.expect_header("Location"));
        let patched = patch.header("Content-Type", "application/octet-stream").body(content.clone()).send();

        let closing = with_digest(patched.expect(202).expect_header("Location"), digest);
        let put = registry.put(closing).header("Content-Type", "application/octet-stream");
        put.empty().send().expect(201);
    }
    registry.put_manifest("app", "v1", &image.manifest).expect(201);
}

fn podman_pulls_without_looking_first(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("app", "v1");

    let manifest = registry.get("/v2/app/manifests/v1").send().expect(200);

    assert_eq!(manifest.body, image.manifest.bytes);
    assert_eq!(manifest.expect_header("Content-Type"), image.manifest.media_type.as_str());
}

/// A partial pull of a zstd:chunked layer: its footer, its table of contents, then the missing chunks.
fn podman_pulls_the_missing_pieces_of_a_layer(setup: Setup) {
    let registry = setup.start();
    let content = noise(1, 1_000_000);
    let target = format!("/v2/app/blobs/{}", registry.push_blob("app", &content));
    let ranged = |range: &str| registry.get(&target).header("Range", range).send().expect(206);

    assert_eq!(ranged("bytes=-72").body, &content[content.len() - 72..]);
    let pieces = ranged("bytes=100-199,50000-50099,999990-999999");

    let boundary = pieces.expect_header("Content-Type").split_once("boundary=").unwrap().1.to_owned();
    let mut rest = &pieces.body[..];
    for range in [100..200, 50_000..50_100, 999_990..1_000_000] {
        let opening = format!("--{boundary}\r\n");
        let at = rest.windows(opening.len()).position(|window| window == opening.as_bytes()).unwrap();
        rest = &rest[at..];
        let body = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!(rest[body..].starts_with(&content[range.clone()]), "{range:?}");
        rest = &rest[body + range.len()..];
    }
    assert_eq!(rest, format!("\r\n--{boundary}--\r\n").as_bytes());
}

on_every_store![
    podman_pushes_an_image,
    podman_pulls_without_looking_first,
    podman_pulls_the_missing_pieces_of_a_layer
];
