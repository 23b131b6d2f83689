//! `PUT` of an upload session: rows B3, B6, B9, B10, B24, B39; reliability rows 30 and 32.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{noise, with_digest, with_query};
use entrepot_tests::registry::{Setup, TestRegistry};

const MIB: usize = 1024 * 1024;

fn next(answer: &Response) -> String {
    answer.expect_header("Location").to_owned()
}

/// A session that holds these bytes.
fn started(client: &Client, content: &[u8]) -> String {
    next(&client.patch(client.open_upload("a")).body(content).send().expect(202))
}

fn holds(client: &Client, content: &[u8]) -> bool {
    let target = format!("/v2/a/blobs/{}", Digest::sha256(content));
    let answer = client.get(target).send();
    answer.status == 200 && answer.body == content
}

/// containerd fails the push unless the digest is repeated.
fn a_blob_in_one_put_is_answered_with_its_digest(setup: Setup) {
    let registry = setup.start();
    for content in [noise(1, 0), noise(1, 100), noise(1, 5 * MIB)] {
        let digest = Digest::sha256(&content);
        let location = registry.open_upload("a");

        let put = registry.put(with_digest(&location, digest)).body(content.clone()).send().expect(201);

        assert_eq!(put.expect_header("Docker-Content-Digest"), digest.to_string());
        assert_eq!(put.expect_header("Location"), format!("/v2/a/blobs/{digest}"));
        assert!(put.body.is_empty());
        assert!(holds(&registry, &content));
    }
}

fn a_put_of_unknown_length_is_taken(setup: Setup) {
    let registry = setup.start();
    let content = noise(2, 3 * MIB);
    let digest = Digest::sha256(&content);

    let location = with_digest(&registry.open_upload("a"), digest);
    registry.put(location).chunked(&content, 100_000).send().expect(201);

    assert!(holds(&registry, &content));
}

fn the_last_chunk_may_come_with_the_put(setup: Setup) {
    let registry = setup.start();
    let content = b"0123456789";
    let digest = Digest::sha256(content);
    for range in [None, Some("5-9"), Some("bytes 5-9/10")] {
        let mut put = registry.put(with_digest(&started(&registry, b"01234"), digest));
        if let Some(range) = range {
            put = put.header("Content-Range", range);
        }
        put.body(b"56789").send().expect(201);
    }

    assert!(holds(&registry, content));
}

/// Old regclient closes with `Content-Range: N-N` and no body.
fn an_empty_put_may_name_the_place_where_nothing_follows(setup: Setup) {
    let registry = setup.start();
    let location = started(&registry, b"01234");

    let put = registry.put(with_digest(&location, Digest::sha256(b"01234"))).header("Content-Range", "5-5");

    put.empty().send().expect(201);
}

fn the_last_chunk_out_of_order_leaves_the_session_open(setup: Setup) {
    let registry = setup.start();
    let content = b"0123456789";
    let target = with_digest(&started(&registry, b"01234"), Digest::sha256(content));

    for range in ["6-10", "0-4", "4-8"] {
        let put = registry.put(&target).header("Content-Range", range).body(b"56789");
        let refused = put.send().refused(Failure::ChunkOutOfOrder);
        assert_eq!(refused.expect_header("Range"), "0-4");
        registry.get(next(&refused)).send().expect(204);
    }

    registry.put(&target).header("Content-Range", "5-9").body(b"56789").send().expect(201);
}

fn another_digest_ends_the_session_and_stores_nothing(setup: Setup) {
    let registry = setup.start();
    let expected = Digest::sha256(b"expected");
    for (location, body) in [(registry.open_upload("a"), "received"), (started(&registry, b"received"), "")] {
        let refused = registry.put(with_digest(&location, expected)).body(body).send();

        let refused = refused.refused(Failure::DigestMismatch);
        assert_eq!(refused.errors().errors[0].detail.as_ref().unwrap()["digest"], expected.to_string());
        registry.get(&location).send().refused(Failure::UploadUnknown);
    }
    assert!(!holds(&registry, b"received"));
    assert!(!holds(&registry, b"expected"));
}

fn a_digest_that_is_missing_or_malformed_leaves_the_session_open(setup: Setup) {
    let registry = setup.start();
    let location = started(&registry, b"content");
    let good = Digest::sha256(b"content");
    let other = Digest::sha256(b"other");

    registry.put(&location).empty().send().refused(Failure::DigestInvalid);
    for query in [
        "digest=".to_owned(),
        "digest=sha256:short".to_owned(),
        "digest=md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        format!("digest={good}&digest={other}"),
        format!("digest=tarsum.v1+{good}"),
    ] {
        registry.put(with_query(&location, &query)).empty().send().refused(Failure::DigestInvalid);
    }

    registry.get(&location).send().expect(204);
    registry.put(with_digest(&location, good)).empty().send().expect(201);
}

/// Row B10: the answer was lost, or a balancer tried again.
fn a_commit_may_be_repeated(setup: Setup) {
    let registry = setup.start();
    let content = b"0123456789";
    let digest = Digest::sha256(content);
    let at_once = with_digest(&registry.open_upload("a"), digest);
    let in_chunks = with_digest(&started(&registry, b"01234"), digest);

    for _ in 0..3 {
        registry.put(&at_once).body(content).send().expect(201);
    }
    registry.put(&in_chunks).body(b"56789").send().expect(201);
    for _ in 0..2 {
        let again = registry.put(&in_chunks).body(b"56789").send().expect(201);
        assert_eq!(again.expect_header("Docker-Content-Digest"), digest.to_string());
    }
    assert!(holds(&registry, content));
}

fn a_finished_session_takes_nothing_more(setup: Setup) {
    let registry = setup.start();
    let location = started(&registry, b"content");
    registry.put(with_digest(&location, Digest::sha256(b"content"))).empty().send().expect(201);

    registry.patch(&location).body(b"more").send().refused(Failure::UploadUnknown);
    registry.get(&location).send().refused(Failure::UploadUnknown);
    registry.delete(&location).send().refused(Failure::UploadUnknown);
    assert!(holds(&registry, b"content"));
}

/// docker looks for the blob right after the commit.
fn a_commit_is_visible_at_once(setup: Setup) {
    let registry = setup.start();
    for n in 0..20_u64 {
        let digest = registry.push_blob("a", &noise(n, 50));
        registry.head(format!("/v2/a/blobs/{digest}")).send().expect(200);
    }
}

fn a_stated_size_is_checked_where_there_is_one(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::sha256(b"content");
    for parameter in ["size", "length"] {
        let wrong = with_query(&started(&registry, b"content"), &format!("digest={digest}&{parameter}=8"));
        registry.put(&wrong).empty().send().refused(Failure::SizeInvalid);
        let right = with_query(&started(&registry, b"content"), &format!("digest={digest}&{parameter}=7"));
        registry.put(&right).empty().send().expect(201);
        let at_once = with_query(&registry.open_upload("a"), &format!("digest={digest}&{parameter}=8"));
        registry.put(&at_once).body(b"content").send().refused(Failure::SizeInvalid);
        let unreadable = with_query(&registry.open_upload("a"), &format!("digest={digest}&{parameter}=x"));
        registry.put(&unreadable).body(b"content").send().refused(Failure::SizeInvalid);
    }
}

fn a_length_that_contradicts_the_range_is_refused(setup: Setup) {
    let registry = setup.start();
    let target = with_digest(&started(&registry, b"01234"), Digest::sha256(b"0123456789"));

    registry.put(&target).header("Content-Range", "5-20").body(b"56789").send().refused(Failure::SizeInvalid);
    registry
        .put(&target)
        .header("Content-Range", "x")
        .body(b"56789")
        .send()
        .refused(Failure::ContentRangeInvalid);
    registry.put(&target).header("Content-Range", "5-9").body(b"56789").send().expect(201);
}

/// Rows B14 and B15: a commit reads none of the blob and copies nothing, whatever its size.
fn a_commit_costs_the_same_for_every_size(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.domain(|config| config.part_bytes = Some(128 * 1024)).start();
    let mut costs = Vec::new();
    for length in [1000, 128 * 1024, 3 * MIB] {
        let content = noise(length as u64, length);
        let closing = with_digest(&started(&registry, &content), Digest::sha256(&content));
        controls.clear();
        controls.add(Rule::new(Effect::Delay(Duration::ZERO)).on(Operation::Get).at_prefix("data/"));
        let reads = controls.struck();

        registry.put(&closing).empty().send().expect(201);

        assert_eq!(controls.struck() - reads, 0, "{length}");
        controls.clear();
        controls.add(Rule::new(Effect::Delay(Duration::ZERO)));
        let before = controls.struck();
        let content = noise(length as u64 + 1, length);
        let closing = with_digest(&started(&registry, &content), Digest::sha256(&content));
        let started_after = controls.struck();
        registry.put(&closing).empty().send().expect(201);
        assert!(started_after > before);
        costs.push(controls.struck() - started_after);
    }
    assert!(costs.iter().all(|cost| *cost <= costs[0] + 3), "{costs:?}");
}

/// By a rule of the bucket, or somebody's hand. No repetition brings it back, so a client that is told to come
/// again would come for a week (once 503).
fn an_upload_the_store_has_lost_is_unknown_from_then_on(setup: Setup) {
    let setup = setup.domain(|config| config.part_bytes = Some(64 * 1024));
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let (before, after) =
        (Effect::FailBefore(ErrorKind::UploadGone), Effect::FailAfter(ErrorKind::UploadGone));
    let losses = [
        (Operation::UploadPart, before),
        (Operation::UploadComplete, before),
        // It made an object, and not of what was sent.
        (Operation::UploadComplete, after),
    ];
    for (number, (lost, effect)) in losses.into_iter().enumerate() {
        let content = noise(number as u64, 200_000);
        let location = started(&registry, &content);
        let whole = [content.clone(), noise(9, 100_000)].concat();
        controls.clear();
        controls.add(Rule::new(effect).on(lost));

        let put = registry.put(with_digest(&location, Digest::sha256(&whole))).body(&whole[content.len()..]);
        put.send().refused(Failure::UploadUnknown);

        controls.clear();
        registry.get(&location).send().refused(Failure::UploadUnknown);
        registry.patch(&location).body(b"more").send().refused(Failure::UploadUnknown);
        assert_eq!(blobs_in(&registry), number, "what was made is deleted");
        registry.push_blob("a", &whole);
        assert!(holds(&registry, &whole));
    }
}

/// How many there are bytes of.
fn blobs_in(registry: &TestRegistry) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(registry.store().list("data/", None, 100)).unwrap().objects.len()
}

fn the_empty_blob_can_be_pushed_in_every_way(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::sha256(b"");
    for name in ["put", "chunked", "patched"] {
        let location = registry.open_upload(name);
        let answer = match name {
            "put" => registry.put(with_digest(&location, digest)).empty().send(),
            "chunked" => registry.put(with_digest(&location, digest)).chunked(b"", 1).send(),
            _ => {
                let patched = registry.patch(&location).empty().send().expect(202);
                registry.put(with_digest(&next(&patched), digest)).send()
            }
        };
        answer.expect(201);
        registry.get(format!("/v2/{name}/blobs/{digest}")).send().expect(200);
    }
}

/// A client whose authorization changed begins its body again, at the same address.
fn a_put_that_broke_off_may_be_sent_again(setup: Setup) {
    let registry = setup.start();
    let content = noise(5, 2 * MIB);
    let target = with_digest(&registry.open_upload("a"), Digest::sha256(&content));

    registry.put(&target).header("Content-Length", content.len()).raw(&content[..MIB]).abandon();
    registry.put(&target).body(content.clone()).send().expect(201);

    assert!(holds(&registry, &content));
}

fn nothing_of_a_put_that_broke_off_becomes_a_blob(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::sha256(b"0123456789");
    let target = with_digest(&registry.open_upload("a"), digest);

    registry.put(&target).header("Content-Length", 10).raw(b"01234").abandon();

    registry.head(format!("/v2/a/blobs/{digest}")).send().expect(404);
    registry.head(format!("/v2/a/blobs/{}", Digest::sha256(b"01234"))).send().expect(404);
}

fn a_blob_beyond_the_limit_is_refused_as_soon_as_it_is_known(setup: Setup) {
    let registry = setup.domain(|config| config.max_blob_bytes = Some(1000)).start();
    let content = noise(8, 1001);
    let target = || with_digest(&registry.open_upload("a"), Digest::sha256(&content));

    registry.put(target()).header("Content-Length", 1001).send().refused(Failure::BlobTooLarge);
    registry.put(target()).chunked(&content, 100).send().refused(Failure::BlobTooLarge);
    let location = with_digest(&started(&registry, &content[..900]), Digest::sha256(&content));
    registry.put(location).body(&content[900..]).send().refused(Failure::BlobTooLarge);
}

on_every_store![
    a_blob_in_one_put_is_answered_with_its_digest,
    a_put_of_unknown_length_is_taken,
    the_last_chunk_may_come_with_the_put,
    an_empty_put_may_name_the_place_where_nothing_follows,
    the_last_chunk_out_of_order_leaves_the_session_open,
    another_digest_ends_the_session_and_stores_nothing,
    a_digest_that_is_missing_or_malformed_leaves_the_session_open,
    a_commit_may_be_repeated,
    a_finished_session_takes_nothing_more,
    a_commit_is_visible_at_once,
    a_stated_size_is_checked_where_there_is_one,
    a_length_that_contradicts_the_range_is_refused,
    a_commit_costs_the_same_for_every_size,
    an_upload_the_store_has_lost_is_unknown_from_then_on,
    the_empty_blob_can_be_pushed_in_every_way,
    a_put_that_broke_off_may_be_sent_again,
    nothing_of_a_put_that_broke_off_becomes_a_blob,
    a_blob_beyond_the_limit_is_refused_as_soon_as_it_is_known,
];
