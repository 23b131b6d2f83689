//! `POST`, `PATCH`..., `PUT`, each at another replica: a session is a value, and nobody owns it.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_storage::decorate::{Effect, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{noise, with_digest};

fn an_upload_travels_from_replica_to_replica(setup: Setup) {
    let content = noise(1, 3_000_000);
    let digest = Digest::sha256(&content);
    let (first, second, last) =
        (&content[..1_200_000], &content[1_200_000..2_000_000], &content[2_000_000..]);

    // Replica A signs a token and stores nothing.
    let (watched, controls) = setup.clone().breakable();
    let a = watched.start();
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)));
    let before = controls.struck();
    let location = a.open_upload("library/app");
    assert_eq!(controls.struck() - before, 0);
    drop(a);

    // Replica B has never heard of the session. It reads the token, takes the bytes, and writes the
    // session's record before it answers.
    let b = setup.start();
    let patch = b.patch(&location).header("Content-Range", format!("0-{}", first.len() - 1));
    let patched = patch.body(first).send().expect(202);
    assert_eq!(patched.expect_header("Range"), "0-1199999");
    let location = patched.expect_header("Location").to_owned();

    // A chunk that is not the next one is refused with the true offset, at any replica.
    let c = setup.start();
    let early = c.patch(&location).header("Content-Range", "2000000-2999999").body(last).send();
    let refused = early.refused(Failure::ChunkOutOfOrder);
    assert_eq!(refused.expect_header("Range"), "0-1199999");

    // B dies; whoever asks elsewhere learns how far the upload got, and goes on from there.
    drop(b);
    let status = c.get(&location).send().expect(204);
    assert_eq!(status.expect_header("Range"), "0-1199999");
    let patch = c.patch(status.expect_header("Location")).header("Content-Range", "1200000-1999999");
    let location = patch.body(second).send().expect(202).expect_header("Location").to_owned();
    drop(c);

    // Replica D appends what is left, compares digests and publishes. Nothing is read again: the hash
    // came along in the session's record.
    let d = setup.start();
    let closing = with_digest(&location, digest);
    let stored = d.put(&closing).body(last).send().expect(201);
    assert_eq!(stored.expect_header("Docker-Content-Digest"), digest.to_string());

    // The answer was lost, so the client asks again, elsewhere, and gets it again. The session is over.
    let e = setup.start();
    e.put(&closing).body(last).send().expect(201);
    e.patch(&location).body(b"more").send().refused(Failure::UploadUnknown);

    // Every replica serves the blob.
    for replica in [&d, &e] {
        let answer = replica.get(format!("/v2/library/app/blobs/{digest}")).send().expect(200);
        assert!(answer.body == content);
    }
}

fn an_upload_that_is_given_up_leaves_nothing(setup: Setup) {
    let a = setup.start();
    let location = a.open_upload("library/app");
    let patched = a.patch(&location).body(noise(2, 100_000)).send().expect(202);

    let b = setup.start();
    b.delete(patched.expect_header("Location")).send().expect(204);

    for replica in [&a, &b] {
        replica.get(patched.expect_header("Location")).send().refused(Failure::UploadUnknown);
        replica.get(&location).send().refused(Failure::UploadUnknown);
    }
}

on_every_store![an_upload_travels_from_replica_to_replica, an_upload_that_is_given_up_leaves_nothing];
