//! regclient (regctl, regsync): anonymous mounts, chunks after a failed PUT, recovery by `Location` and
//! `Range`, and the ways of its old releases.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{noise, with_digest};

fn regctl_tries_an_anonymous_mount_before_each_blob(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("source", b"shared");
    let absent = Digest::sha256(b"absent");
    let mount =
        |digest: Digest| registry.post(format!("/v2/app/blobs/uploads/?mount={digest}")).empty().send();

    mount(digest).expect(201);
    let declined = mount(absent).expect(202);

    registry.put(with_digest(declined.expect_header("Location"), absent)).body(b"absent").send().expect(201);
}

/// Its one PUT failed half way: it goes back and sends chunks, each answered by exactly 202.
fn regctl_falls_back_to_chunks(setup: Setup) {
    let registry = setup.start();
    let content = noise(1, 600_000);
    let digest = Digest::sha256(&content);
    let mut location = registry.open_upload("app");
    let put = registry.put(with_digest(&location, digest)).header("Content-Length", content.len());
    put.raw(&content[..100_000]).abandon();

    for (n, chunk) in content.chunks(250_000).enumerate() {
        let first = n * 250_000;
        let range = format!("{first}-{}", first + chunk.len() - 1);
        let patched = registry.patch(&location).header("Content-Range", range).body(chunk).send().expect(202);
        location = patched.expect_header("Location").to_owned();
    }
    registry.put(with_digest(&location, digest)).empty().send().expect(201);

    assert!(registry.get(format!("/v2/app/blobs/{digest}")).send().expect(200).body == content);
}

/// A refused chunk is recoverable only if the refusal says where to go on, by both headers.
fn regctl_recovers_from_a_refused_chunk(setup: Setup) {
    let registry = setup.start();
    let content = noise(2, 1000);
    let location = registry.open_upload("app");
    registry.patch(&location).header("Content-Range", "0-399").body(&content[..400]).send().expect(202);

    // The answer was lost; the chunk is sent again where it was sent before.
    let again = registry.patch(&location).header("Content-Range", "0-399").body(&content[..400]).send();
    let again = again.refused(Failure::ChunkOutOfOrder);
    assert_eq!(again.expect_header("Range"), "0-399");
    let patch = registry.patch(again.expect_header("Location")).header("Content-Range", "400-999");
    let patched = patch.body(&content[400..]).send().expect(202);

    let status = registry.get(patched.expect_header("Location")).send().expect(204);
    let closing = with_digest(status.expect_header("Location"), Digest::sha256(&content));
    registry.put(closing).empty().send().expect(201);
}

/// Old releases count the end exclusively, build the address from the UUID without its token, and close
/// with a range of nothing.
fn old_regctl_pushes_in_its_own_way(setup: Setup) {
    let registry = setup.start();
    let content = noise(3, 900);
    let opened = registry.post("/v2/app/blobs/uploads/").empty().send().expect(202);
    let bare = format!("/v2/app/blobs/uploads/{}", opened.expect_header("Docker-Upload-UUID"));
    let mut location = opened.expect_header("Location").to_owned();
    for (n, chunk) in content.chunks(300).enumerate() {
        let range = format!("{}-{}", n * 300, n * 300 + chunk.len());
        registry.patch(&location).header("Content-Range", range).body(chunk).send().expect(202);
        location.clone_from(&bare);
    }

    let put = registry.put(with_digest(&bare, Digest::sha256(&content))).header("Content-Range", "900-900");
    put.empty().send().expect(201);
}

fn regctl_cancels_an_upload(setup: Setup) {
    let registry = setup.start();

    registry.delete(registry.open_upload("app")).send().expect(204);
}

on_every_store![
    regctl_tries_an_anonymous_mount_before_each_blob,
    regctl_falls_back_to_chunks,
    regctl_recovers_from_a_refused_chunk,
    old_regctl_pushes_in_its_own_way,
    regctl_cancels_an_upload,
];
