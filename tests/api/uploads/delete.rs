//! `DELETE` of an upload session: row B8.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::with_digest;

fn a_cancelled_session_is_gone(setup: Setup) {
    let registry = setup.start();
    let fresh = registry.open_upload("a");
    let patched = registry.patch(registry.open_upload("a")).body(b"content").send().expect(202);
    let started = patched.expect_header("Location").to_owned();

    for location in [fresh, started] {
        registry.delete(&location).send().expect(204);

        registry.get(&location).send().refused(Failure::UploadUnknown);
        registry.patch(&location).body(b"more").send().refused(Failure::UploadUnknown);
        let closing = with_digest(&location, Digest::sha256(b"content"));
        registry.put(closing).empty().send().refused(Failure::UploadUnknown);
        registry.delete(&location).send().refused(Failure::UploadUnknown);
    }
}

/// Old clients build the address without the token.
fn a_session_with_bytes_can_be_cancelled_without_its_token(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");
    registry.patch(&location).body(b"content").send().expect(202);
    let bare = location.split('?').next().unwrap();

    registry.delete(bare).send().expect(204);

    registry.get(&location).send().refused(Failure::UploadUnknown);
}

/// podman cancels the session of a mount that was declined, and goes on.
fn the_session_of_a_declined_mount_can_be_cancelled(setup: Setup) {
    let registry = setup.start();
    let absent = Digest::sha256(b"absent");

    let target = format!("/v2/a/blobs/uploads/?mount={absent}&from=b");
    let declined = registry.post(target).empty().send().expect(202);

    registry.delete(declined.expect_header("Location")).send().expect(204);
    registry.push_blob("a", b"absent");
}

on_every_store![
    a_cancelled_session_is_gone,
    a_session_with_bytes_can_be_cancelled_without_its_token,
    the_session_of_a_declined_mount_can_be_cancelled,
];
