//! `POST /v2/<name>/blobs/uploads/`: rows B1, B2, B18-B21, B23, B24; reliability rows 37 and 38.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_oci::{Algorithm, Digest};
use entrepot_storage::decorate::{Effect, Rule};
use entrepot_tests::http::Response;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{noise, with_digest};

#[track_caller]
fn is_a_session(opened: Response, name: &str) -> String {
    let opened = opened.expect(202);
    let session = opened.expect_header("Docker-Upload-UUID").to_owned();
    let location = opened.expect_header("Location");
    assert!(location.starts_with(&format!("/v2/{name}/blobs/uploads/{session}?")), "{opened}");
    assert_eq!(opened.expect_header("Range"), "0-0");
    assert_eq!(opened.expect_header("Content-Length"), "0");
    location.to_owned()
}

#[track_caller]
fn is_stored(stored: Response, name: &str, digest: &Digest) {
    let stored = stored.expect(201);
    assert_eq!(stored.expect_header("Location"), format!("/v2/{name}/blobs/{digest}"));
    assert_eq!(stored.expect_header("Docker-Content-Digest"), digest.to_string());
}

fn opening_a_session_costs_the_store_nothing(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let before = controls.struck();
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)));

    is_a_session(registry.post("/v2/a/b/blobs/uploads/").empty().send(), "a/b");

    assert_eq!(controls.struck() - before, 0);
}

fn sessions_are_opened_however_the_client_words_it(setup: Setup) {
    let registry = setup.start();
    let post = |target: &str| registry.post(target);

    is_a_session(post("/v2/a/blobs/uploads/").send(), "a");
    // Go, with the type that go-containerregistry sends.
    is_a_session(post("/v2/a/blobs/uploads/").header("Content-Type", "application/json").empty().send(), "a");
    is_a_session(post("/v2/a/blobs/uploads/").chunked(b"", 1).send(), "a");
    // Proxies strip the last slash.
    is_a_session(post("/v2/a/blobs/uploads").empty().send(), "a");
    is_a_session(post("/v2/a/blobs/uploads/?unknown=parameter").empty().send(), "a");
}

fn no_two_sessions_are_the_same(setup: Setup) {
    let registry = setup.start();

    assert_ne!(registry.open_upload("a"), registry.open_upload("a"));
}

fn one_request_may_carry_the_whole_blob(setup: Setup) {
    let registry = setup.start();
    for content in [noise(1, 0), noise(1, 10), noise(1, 3 * 1024 * 1024)] {
        let digest = Digest::sha256(&content);
        let target = format!("/v2/a/blobs/uploads/?digest={digest}");

        is_stored(registry.post(&target).body(content.clone()).send(), "a", &digest);
        is_stored(registry.post(&target).chunked(&content, 64 * 1024).send(), "a", &digest);

        assert!(registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200).body == content);
    }
}

fn a_whole_blob_with_another_digest_is_not_stored(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::sha256(b"expected");

    let target = format!("/v2/a/blobs/uploads/?digest={digest}");
    let refused = registry.post(&target).body(b"received").send().refused(Failure::DigestMismatch);

    assert_eq!(refused.errors().errors[0].detail.as_ref().unwrap()["digest"], digest.to_string());
    registry.head(format!("/v2/a/blobs/{digest}")).send().expect(404);
    registry.head(format!("/v2/a/blobs/{}", Digest::sha256(b"received"))).send().expect(404);
}

fn a_session_hashes_as_it_was_asked_to(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::of(Algorithm::Sha512, b"content");

    let asked = registry.post("/v2/a/blobs/uploads/?digest-algorithm=sha512").empty().send();
    let location = is_a_session(asked, "a");
    let location = registry.patch(location).body(b"content").send().expect(202);
    let location = with_digest(location.expect_header("Location"), digest);
    is_stored(registry.put(location).empty().send(), "a", &digest);

    for algorithm in ["md5", "sha384", "SHA256", ""] {
        let target = format!("/v2/a/blobs/uploads/?digest-algorithm={algorithm}");
        registry.post(target).empty().send().refused(Failure::AlgorithmUnsupported);
    }
}

fn a_session_that_was_not_asked_can_be_closed_with_sha512(setup: Setup) {
    let registry = setup.start();
    let content = noise(7, 3 * 1024 * 1024);
    let digest = Digest::of(Algorithm::Sha512, &content);

    let location = registry.open_upload("a");
    let patched = registry.patch(location).body(content.clone()).send().expect(202);
    let location = with_digest(patched.expect_header("Location"), digest);
    is_stored(registry.put(location).empty().send(), "a", &digest);

    assert!(registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200).body == content);
}

fn a_mount_moves_no_bytes(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("source/app", b"shared");

    // `origin` is go-containerregistry's own.
    let target = format!("/v2/target/app/blobs/uploads/?mount={digest}&from=source/app&origin=docker.io");
    is_stored(registry.post(&target).empty().send(), "target/app", &digest);

    registry.head(format!("/v2/target/app/blobs/{digest}")).send().expect(200);
    is_stored(registry.post(&target).empty().send(), "target/app", &digest);
}

fn an_escaped_mount_is_the_same(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("source/app", b"shared");
    let escaped = digest.to_string().replace(':', "%3A");

    let target = format!("/v2/b/blobs/uploads/?from=source%2Fapp&mount={escaped}");

    is_stored(registry.post(target).empty().send(), "b", &digest);
}

/// Row 37: never 401, 403 or 404, because clients take those for the end of the push.
fn a_mount_that_cannot_be_had_is_a_session(setup: Setup) {
    let registry = setup.clone().start();
    let digest = registry.push_blob("private/app", b"secret");
    let absent = Digest::sha256(b"absent");
    let guarded = setup.guarded().start();

    for query in [
        format!("mount={absent}&from=private/app"),
        format!("mount={digest}&from=never/seen"),
        format!("mount={digest}&from=UPPER"),
        format!("mount={absent}"),
    ] {
        is_a_session(registry.post(format!("/v2/a/blobs/uploads/?{query}")).empty().send(), "a");
    }
    // bob may pull nothing below private/, and push nowhere; ann may both.
    let from = format!("/v2/a/blobs/uploads/?mount={digest}&from=private/app");
    guarded.post(&from).header("Authorization", "Bearer bob").empty().send().refused(Failure::Denied);
    let mounted = guarded.post(&from).header("Authorization", "Bearer ann").empty().send();
    is_stored(mounted, "a", &digest);
}

/// S-09, CVE-2024-39897: somebody who knows the digest of a private blob gets nothing for it, by no mount
/// and by no question; only the bytes themselves open it.
fn a_digest_alone_opens_no_private_blob(setup: Setup) {
    let digest = setup.start().push_blob("private/app", b"secret");
    let registry = setup.guarded().start();
    let carl = |method: &str, target: String| {
        registry.request(method, target).header("Authorization", "Bearer carl").empty().send()
    };

    for query in [format!("mount={digest}&from=private/app"), format!("mount={digest}")] {
        is_a_session(carl("POST", format!("/v2/carl/blobs/uploads/?{query}")), "carl");
    }
    for method in ["GET", "HEAD"] {
        carl(method, format!("/v2/carl/blobs/{digest}")).expect(404);
    }
    let opened = carl("POST", "/v2/carl/blobs/uploads/".to_owned()).expect(202);
    let closing = with_digest(opened.expect_header("Location"), digest);
    carl("PUT", closing).refused(Failure::DigestMismatch);
    carl("GET", format!("/v2/carl/blobs/{digest}")).expect(404);

    let opened = carl("POST", "/v2/carl/blobs/uploads/".to_owned()).expect(202);
    let put = registry.put(with_digest(opened.expect_header("Location"), digest));
    put.header("Authorization", "Bearer carl").body(b"secret").send().expect(201);
}

/// B21: regctl tries this before every upload.
fn a_mount_without_source_takes_any_repository_the_caller_may_read(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("source/app", b"shared");

    is_stored(registry.post(format!("/v2/b/blobs/uploads/?mount={digest}")).empty().send(), "b", &digest);
}

fn a_mount_of_no_digest_is_refused(setup: Setup) {
    let registry = setup.start();

    let post = registry.post("/v2/a/blobs/uploads/?mount=sha256:short&from=b").empty();

    post.send().refused(Failure::DigestInvalid);
}

fn a_smallest_chunk_is_told_where_there_is_one(setup: Setup) {
    let plain = setup.clone().start();
    let picky = setup.frontend(|config| config.min_chunk_bytes = Some(5_242_880)).start();
    let opened =
        |registry: &entrepot_tests::http::Client| registry.post("/v2/a/blobs/uploads/").send().expect(202);

    assert_eq!(opened(&plain).header("OCI-Chunk-Min-Length"), None);
    assert_eq!(opened(&picky).expect_header("OCI-Chunk-Min-Length"), "5242880");
}

fn a_blob_beyond_the_limit_is_refused_as_soon_as_it_is_known(setup: Setup) {
    let registry = setup.domain(|config| config.max_blob_bytes = Some(1000)).start();
    let content = noise(8, 1001);
    let target = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(&content));

    // Announced only: an answer that waited for the bytes would never come.
    let announced = registry.post(&target).header("Content-Length", 1_000_000_000_u64).send();
    announced.refused(Failure::BlobTooLarge);
    registry.post(&target).chunked(&content, 100).send().refused(Failure::BlobTooLarge);
    registry.push_blob("a", &content[..1000]);
}

fn sessions_may_be_opened_in_any_number(setup: Setup) {
    let registry = setup.start();
    let mut connection = registry.connect();

    for _ in 0..500 {
        registry.post("/v2/a/blobs/uploads/").empty().on(&mut connection).expect(202);
    }
}

on_every_store![
    opening_a_session_costs_the_store_nothing,
    sessions_are_opened_however_the_client_words_it,
    no_two_sessions_are_the_same,
    one_request_may_carry_the_whole_blob,
    a_whole_blob_with_another_digest_is_not_stored,
    a_session_hashes_as_it_was_asked_to,
    a_session_that_was_not_asked_can_be_closed_with_sha512,
    a_mount_moves_no_bytes,
    an_escaped_mount_is_the_same,
    a_mount_that_cannot_be_had_is_a_session,
    a_digest_alone_opens_no_private_blob,
    a_mount_without_source_takes_any_repository_the_caller_may_read,
    a_mount_of_no_digest_is_refused,
    a_smallest_chunk_is_told_where_there_is_one,
    a_blob_beyond_the_limit_is_refused_as_soon_as_it_is_known,
    sessions_may_be_opened_in_any_number,
];
