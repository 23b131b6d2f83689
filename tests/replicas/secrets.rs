//! The keys that sign upload tokens: shared through the store, or configured and rotated.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::with_digest;

/// Without any configuration the first replica makes a key, and all others find it in the store. No
/// balancer pitfall, and no upload lost by a restart.
fn unconfigured_replicas_share_a_key(setup: Setup) {
    let location = setup.start().open_upload("a");

    setup.start().put(with_digest(&location, Digest::sha256(b"x"))).body(b"x").send().expect(201);
}

fn keys_rotate_under_an_upload(setup: Setup) {
    let old = setup.clone().secrets(&["old"]).start();
    let rotating = setup.clone().secrets(&["new", "old"]).start();
    let new = setup.secrets(&["new"]).start();

    let location = old.open_upload("a");
    let patched = rotating.patch(&location).body(b"01234").send().expect(202);
    let renewed = patched.expect_header("Location").to_owned();

    new.get(&location).send().expect(404);
    let closing = with_digest(&renewed, Digest::sha256(b"0123456789"));
    new.put(closing).body(b"56789").send().expect(201);
}

fn another_key_opens_nothing(setup: Setup) {
    let ours = setup.clone().secrets(&["ours"]).start();
    let theirs = setup.secrets(&["theirs"]).start();
    let location = theirs.open_upload("a");

    ours.patch(&location).body(b"x").send().refused(Failure::UploadUnknown);
}

on_every_store![unconfigured_replicas_share_a_key, keys_rotate_under_an_upload, another_key_opens_nothing];
