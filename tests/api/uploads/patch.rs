//! `PATCH` of an upload session: rows B4-B6, B11, B23, B37; reliability rows 28, 33 and 34.

use std::time::{Duration, Instant};

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::http::{Client, PATIENCE, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{noise, with_digest};

const MIB: usize = 1024 * 1024;

fn next(answer: &Response) -> String {
    answer.expect_header("Location").to_owned()
}

/// Closes an upload and checks what became of it.
#[track_caller]
fn finish(client: &Client, location: &str, content: &[u8]) {
    let digest = Digest::sha256(content);
    client.put(with_digest(location, digest)).empty().send().expect(201);
    let answer = client.get(format!("/v2/a/blobs/{digest}")).send().expect(200);
    assert!(answer.body == content, "{} bytes of {}", answer.body.len(), content.len());
}

/// docker, podman and go-containerregistry: one stream of unknown length.
fn a_stream_of_unknown_length_is_taken(setup: Setup) {
    let registry = setup.start();
    let content = noise(1, 3 * MIB + 5);
    let opened = registry.post("/v2/a/blobs/uploads/").empty().send().expect(202);

    let patched = registry.patch(next(&opened)).chunked(&content, 70_000).send().expect(202);

    assert_eq!(patched.expect_header("Range"), format!("0-{}", content.len() - 1));
    assert_eq!(patched.expect_header("Docker-Upload-UUID"), opened.expect_header("Docker-Upload-UUID"));
    assert!(patched.body.is_empty());
    finish(&registry, &next(&patched), &content);
}

fn chunks_follow_one_another(setup: Setup) {
    let registry = setup.start();
    let content = noise(2, 2_500_000);
    let mut location = registry.open_upload("a");
    let mut offset = 0;
    for chunk in content.chunks(700_001) {
        let last = offset + chunk.len() - 1;
        let patch = registry.patch(&location).header("Content-Range", format!("{offset}-{last}"));
        let patched = patch.header("Content-Type", "application/octet-stream").body(chunk).send().expect(202);
        assert_eq!(patched.expect_header("Range"), format!("0-{last}"));
        location = next(&patched);
        offset += chunk.len();
    }

    finish(&registry, &location, &content);
}

/// Chunks of any size: what does not fill a part waits for the next.
fn many_small_chunks_make_one_blob(setup: Setup) {
    let registry = setup.start();
    let content = noise(3, 100);
    let mut location = registry.open_upload("a");
    for (at, byte) in content.iter().enumerate() {
        let patch = registry.patch(&location).header("Content-Range", format!("{at}-{at}"));
        location = next(&patch.body([*byte]).send().expect(202));
    }

    finish(&registry, &location, &content);
}

fn an_empty_chunk_still_stands_at_zero(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");

    let patched = registry.patch(&location).empty().send().expect(202);

    assert_eq!(patched.expect_header("Range"), "0-0");
    let patched = registry.patch(next(&patched)).body(b"content").send().expect(202);
    finish(&registry, &next(&patched), b"content");
}

#[track_caller]
fn stands_at(refused: &Response, range: &str) -> String {
    assert_eq!(refused.expect_header("Range"), range, "{refused}");
    next(refused)
}

fn a_chunk_out_of_order_learns_where_the_upload_stands(setup: Setup) {
    let registry = setup.start();
    let location = next(&registry.patch(registry.open_upload("a")).body(b"0123456789").send().expect(202));

    for (range, what) in [("20-24", "gap"), ("5-9", "overlap"), ("0-4", "from the start"), ("9-13", "by one")]
    {
        let patch = registry.patch(&location).header("Content-Range", range).body(b"abcde");
        let refused = patch.send().refused(Failure::ChunkOutOfOrder);
        stands_at(&refused, "0-9");
        let status = registry.get(next(&refused)).send().expect(204);
        assert_eq!(status.expect_header("Range"), "0-9", "{what}");
    }

    let patch = registry.patch(&location).header("Content-Range", "10-14").body(b"abcde");
    finish(&registry, &next(&patch.send().expect(202)), b"0123456789abcde");
}

/// The conformance program begins with the second chunk.
fn a_first_chunk_out_of_order_leaves_the_session_open(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");

    let patch = registry.patch(&location).header("Content-Range", "5-9").body(b"56789");
    let refused = patch.send().refused(Failure::ChunkOutOfOrder);
    let location = stands_at(&refused, "0-0");

    registry.get(&location).send().expect(204);
    let patch = registry.patch(&location).header("Content-Range", "0-4").body(b"01234");
    finish(&registry, &next(&patch.send().expect(202)), b"01234");
}

/// Whoever lost an answer sends the chunk again, at an address that is one step old.
fn a_chunk_sent_twice_is_taken_once(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");
    let chunk = || registry.patch(&location).header("Content-Range", "0-4").body(b"01234").send();

    chunk().expect(202);
    let again = chunk().refused(Failure::ChunkOutOfOrder);

    finish(&registry, &stands_at(&again, "0-4"), b"01234");
}

fn a_length_that_contradicts_the_range_is_refused(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");

    for range in ["0-3", "0-9", "0-100"] {
        let patch = registry.patch(&location).header("Content-Range", range).body(b"01234");
        patch.send().refused(Failure::SizeInvalid);
    }
    let short = registry.patch(&location).header("Content-Range", "0-9").chunked(b"01234", 2);
    short.send().refused(Failure::SizeInvalid);
}

fn a_content_range_nobody_can_read_is_refused(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");

    for range in ["", "5", "a-b", "4-0", "-4", "0-", "0-4,5-9", "items 0-4", "0-99999999999999999999"] {
        let patch = registry.patch(&location).header("Content-Range", range).body(b"01234");
        patch.send().refused(Failure::ContentRangeInvalid);
    }
}

/// Old regclient counts the end exclusively; others write the unit.
fn historic_spellings_of_the_range_are_understood(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");

    let patch = registry.patch(location).header("Content-Range", "bytes 0-4/*").body(b"01234");
    let patched = patch.send().expect(202);
    let patch = registry.patch(next(&patched)).header("Content-Range", "5-10").body(b"56789");
    let patched = patch.send().expect(202);

    assert_eq!(patched.expect_header("Range"), "0-9");
    finish(&registry, &next(&patched), b"0123456789");
}

/// containerd takes the query of a location apart and puts it together in another order and escaping.
fn the_token_survives_another_spelling_of_the_query(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");
    let (path, query) = location.split_once('?').unwrap();
    let (key, value) = query.split_once('=').unwrap();
    let escaped = value.replace('-', "%2D").replace('_', "%5F").replace('.', "%2e");

    let location = format!("{path}?a=1&{key}={escaped}&z=%20");

    finish(&registry, &next(&registry.patch(location).body(b"content").send().expect(202)), b"content");
}

fn a_session_is_its_repositorys_alone(setup: Setup) {
    let registry = setup.start();
    let location = next(&registry.patch(registry.open_upload("a")).body(b"content").send().expect(202));
    let foreign = location.replacen("/v2/a/", "/v2/b/", 1);
    let digest = Digest::sha256(b"content");
    let bare = foreign.split('?').next().unwrap();

    for target in [foreign.as_str(), bare] {
        registry.get(target).send().refused(Failure::UploadUnknown);
        registry.patch(target).body(b"more").send().refused(Failure::UploadUnknown);
        registry.put(with_digest(target, digest)).empty().send().refused(Failure::UploadUnknown);
        registry.delete(target).send().refused(Failure::UploadUnknown);
    }

    finish(&registry, &location, b"content");
}

fn a_session_nobody_opened_is_unknown(setup: Setup) {
    let registry = setup.start();
    let state = registry.open_upload("a").split_once('?').unwrap().1.to_owned();

    for session in
        ["0190a1b2-0000-7000-8000-000000000000", "..", "%2e%2e", "x", "..%2fsecret.json", &"a".repeat(500)]
    {
        let target = format!("/v2/a/blobs/uploads/{session}");
        registry.patch(&target).body(b"x").send().refused(Failure::UploadUnknown);
        registry.patch(format!("{target}?{state}")).body(b"x").send().refused(Failure::UploadUnknown);
    }
}

fn a_token_that_was_tampered_with_is_refused(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");
    let path = location.split('?').next().unwrap();

    for state in ["", "x", "%00", &"a".repeat(20_000)] {
        let refused = registry.patch(format!("{path}?_state={state}")).body(b"x").send().expect(404);
        let code = refused.errors().errors[0].code.as_str();
        assert!(["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"].contains(&code), "{code}");
    }
}

/// Old regclient builds the address itself, without the token.
fn a_session_with_bytes_needs_no_token(setup: Setup) {
    let registry = setup.start();
    let location = next(&registry.patch(registry.open_upload("a")).body(b"01234").send().expect(202));
    let bare = location.split('?').next().unwrap();

    let patched = registry.patch(bare).header("Content-Range", "5-9").body(b"56789").send().expect(202);

    finish(&registry, &next(&patched), b"0123456789");
}

fn what_arrived_before_the_client_left_is_kept(setup: Setup) {
    let registry = setup.start();
    let content = noise(6, 2 * MIB);
    let location = registry.open_upload("a");

    let half = &content[..MIB];
    registry.patch(&location).header("Content-Length", content.len()).raw(half).abandon();
    let (location, offset) = standing(&registry, &location);
    let rest = &content[offset..];
    let range = format!("{offset}-{}", content.len() - 1);
    let patched = registry.patch(&location).header("Content-Range", range).body(rest).send().expect(202);

    finish(&registry, &next(&patched), &content);
}

/// Where an upload stands once the server noticed that its client left. Nothing that arrived is promised
/// beforehand, so anything up to all of it is right.
fn standing(client: &Client, location: &str) -> (String, usize) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let status = client.get(location).send().expect(204);
        let range = status.expect_header("Range");
        if range != "0-0" {
            let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
            return (next(&status), last + 1);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing of what was sent is kept");
}

fn an_upload_beyond_the_limit_is_refused_as_soon_as_it_is_known(setup: Setup) {
    let registry = setup.domain(|config| config.max_blob_bytes = Some(1000)).start();
    let content = noise(8, 1001);
    let location = registry.open_upload("a");

    // Announced only: an answer that waited for the bytes would never come.
    registry.patch(&location).header("Content-Length", 1001).send().refused(Failure::BlobTooLarge);
    registry.patch(&location).chunked(&content, 100).send().refused(Failure::BlobTooLarge);
    let location = registry.open_upload("a");
    let location = next(&registry.patch(location).body(&content[..900]).send().expect(202));
    registry.patch(&location).body(&content[900..]).send().refused(Failure::BlobTooLarge);
    let location = next(&registry.patch(&location).body(&content[900..1000]).send().expect(202));
    finish(&registry, &location, &content[..1000]);
}

fn an_upload_beyond_a_part_needs_no_more_memory_than_two(setup: Setup) {
    let registry = setup.domain(|config| {
        config.part_bytes = Some(256 * 1024);
        config.upload_memory_bytes = 2 * MIB as u64;
    });
    let registry = registry.start();
    let content = noise(9, 12 * MIB);
    let location = registry.open_upload("a");

    let patched = registry.patch(location).chunked(&content, 100_000).send().expect(202);

    finish(&registry, &next(&patched), &content);
}

on_every_store![
    a_stream_of_unknown_length_is_taken,
    chunks_follow_one_another,
    many_small_chunks_make_one_blob,
    an_empty_chunk_still_stands_at_zero,
    a_chunk_out_of_order_learns_where_the_upload_stands,
    a_first_chunk_out_of_order_leaves_the_session_open,
    a_chunk_sent_twice_is_taken_once,
    a_length_that_contradicts_the_range_is_refused,
    a_content_range_nobody_can_read_is_refused,
    historic_spellings_of_the_range_are_understood,
    the_token_survives_another_spelling_of_the_query,
    a_session_is_its_repositorys_alone,
    a_session_nobody_opened_is_unknown,
    a_token_that_was_tampered_with_is_refused,
    a_session_with_bytes_needs_no_token,
    what_arrived_before_the_client_left_is_kept,
    an_upload_beyond_the_limit_is_refused_as_soon_as_it_is_known,
    an_upload_beyond_a_part_needs_no_more_memory_than_two,
];
