//! `Expect: 100-continue`: row A31. curl sends it before every body of more than a MiB.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::with_digest;

/// Sends the head of a request that waits to be asked for its body, and reads the first answer.
fn ask(client: &Client, method: &str, target: &str, length: usize) -> Response {
    let request = client.request(method, target).header("Expect", "100-continue");
    request.header("Content-Length", length).send()
}

fn a_body_that_is_welcome_is_asked_for(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::sha256(b"content");
    let target = with_digest(&registry.open_upload("a"), digest);
    let mut connection = registry.connect();

    let put = registry.put(&target).header("Expect", "100-continue").header("Content-Length", 7);
    put.on(&mut connection).expect(100);
    connection.write(b"content");

    connection.response_to("PUT").expect(201);
    registry.head(format!("/v2/a/blobs/{digest}")).on(&mut connection).expect(200);
}

fn a_body_that_is_not_welcome_is_never_asked_for(setup: Setup) {
    let small = setup.clone().domain(|config| config.max_blob_bytes = Some(100)).start();
    let frozen = setup.clone().domain(|config| config.read_only.everything = true).start();
    let guarded = setup.guarded().start();
    let location = small.open_upload("a");
    let started = small.patch(&location).body(b"01234").send().expect(202);
    let started = started.expect_header("Location");
    let closing = with_digest(&location, Digest::sha256(b""));
    let unknown = "/v2/a/blobs/uploads/0190a1b2-0000-7000-8000-000000000000";

    ask(&small, "PATCH", &location, 101).refused(Failure::BlobTooLarge);
    ask(&small, "PUT", &closing, 101).refused(Failure::BlobTooLarge);
    ask(&small, "PATCH", unknown, 10).refused(Failure::UploadUnknown);
    ask(&small, "PATCH", &started.replacen("/v2/a/", "/v2/b/", 1), 10).refused(Failure::UploadUnknown);
    ask(&small, "PUT", &location, 10).refused(Failure::DigestInvalid);
    ask(&small, "PUT", "/v2/UPPER/manifests/v1", 10).refused(Failure::NameInvalid);
    ask(&small, "PUT", "/v2/a/manifests/-", 10).refused(Failure::TagInvalid);
    ask(&small, "PUT", "/v2/a/manifests/v1", 100 << 20).refused(Failure::ManifestTooLarge);
    ask(&small, "POST", "/v2/a/manifests/v1", 10).refused(Failure::MethodUnsupported);
    ask(&frozen, "PATCH", &location, 10).refused(Failure::ReadOnly);
    ask(&guarded, "PATCH", &location, 10).refused(Failure::Unauthorized);
}

/// A chunk at the wrong place is found out before it is sent.
fn a_chunk_out_of_order_is_never_asked_for(setup: Setup) {
    let registry = setup.start();
    let patched = registry.patch(registry.open_upload("a")).body(b"01234").send().expect(202);
    let patch = registry.patch(patched.expect_header("Location")).header("Content-Range", "7-9");

    let refused = patch.header("Expect", "100-continue").header("Content-Length", 3).send();

    assert_eq!(refused.refused(Failure::ChunkOutOfOrder).expect_header("Range"), "0-4");
}

/// A client that sends its body at once although it expects to be asked is served all the same.
fn a_client_that_does_not_wait_is_served(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::sha256(b"content");
    let target = with_digest(&registry.open_upload("a"), digest);
    let mut connection = registry.connect();

    let put = registry.put(&target).header("Expect", "100-continue").body(b"content");
    let mut answer = put.on(&mut connection);
    if answer.status == 100 {
        answer = connection.response_to("PUT");
    }

    answer.expect(201);
}

on_every_store![
    a_body_that_is_welcome_is_asked_for,
    a_body_that_is_not_welcome_is_never_asked_for,
    a_chunk_out_of_order_is_never_asked_for,
    a_client_that_does_not_wait_is_served,
];
