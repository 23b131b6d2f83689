//! `GET /v2/<name>/blobs/<digest>`, whole: rows A9, A16-A18, A21, A22, B24; S-06, S-09; reliability 55.

use std::sync::Arc;

use entrepot_api::Failure;
use entrepot_oci::{Algorithm, Digest};
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::noise;
use entrepot_tests::registry::{Setup, StoredCache};

const MIB: usize = 1024 * 1024;

fn a_blob_is_served_with_everything_known_of_it(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("library/app", b"some bytes");

    let answer = registry.get(format!("/v2/library/app/blobs/{digest}")).send().expect(200);

    assert_eq!(answer.body, b"some bytes");
    for (name, value) in [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", "10"),
        ("Docker-Content-Digest", &digest.to_string()),
        ("ETag", &format!("\"{digest}\"")),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "max-age=31536000, immutable"),
    ] {
        assert_eq!(answer.expect_header(name), value);
    }
}

fn a_large_blob_arrives_whole(setup: Setup) {
    let registry = setup.start();
    let content = noise(1, 9 * MIB + 17);
    let digest = registry.push_blob("a", &content);

    let answer = registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);

    assert!(answer.complete);
    assert!(answer.body == content, "{} bytes of {}", answer.body.len(), content.len());
}

fn the_empty_blob_is_a_blob(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"");

    let answer = registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);

    assert_eq!(answer.expect_header("Content-Length"), "0");
    assert!(answer.body.is_empty());
}

fn sha512_is_as_good_as_sha256(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::of(Algorithm::Sha512, b"content");
    registry.post(format!("/v2/a/blobs/uploads/?digest={digest}")).body(b"content").send().expect(201);

    let answer = registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);

    assert_eq!(answer.expect_header("Docker-Content-Digest"), digest.to_string());
    assert_eq!(answer.body, b"content");
}

/// S-09: knowing a digest opens nothing.
fn a_blob_is_seen_through_repositories_that_hold_it_only(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("private/app", b"secret");
    registry.push_some_image("public/app", "v1");

    for name in ["public/app", "never/seen", "private", "private/app/below"] {
        let target = format!("/v2/{name}/blobs/{digest}");
        let get = registry.get(&target).send().refused(Failure::BlobUnknown);
        registry.head(&target).send().has_refusal_head(Failure::BlobUnknown);
        let absent = Digest::sha256(b"absent anywhere");
        let nothing = registry.get(format!("/v2/{name}/blobs/{absent}")).send().refused(Failure::BlobUnknown);
        assert_eq!(get.errors().errors[0].message, nothing.errors().errors[0].message);
    }
}

/// S-06, CVE-2026-35172: a shared cache entry must not open the blob again.
fn a_deleted_blob_stays_gone_when_others_warm_the_cache(setup: Setup) {
    let registry = setup.cache(Arc::new(StoredCache::default())).start();
    let digest = registry.push_blob("a", b"shared");
    registry.push_blob("b", b"shared");
    let (in_a, in_b) = (format!("/v2/a/blobs/{digest}"), format!("/v2/b/blobs/{digest}"));
    registry.get(&in_a).send().expect(200);

    registry.delete(&in_a).send().expect(202);
    registry.get(&in_b).send().expect(200);

    registry.get(&in_a).send().refused(Failure::BlobUnknown);
    registry.head(&in_a).send().has_refusal_head(Failure::BlobUnknown);
}

fn a_digest_outside_the_grammar_is_refused(setup: Setup) {
    let registry = setup.start();
    let hex = registry.push_blob("a", b"x").hex();

    for digest in [
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[1..]),
        "md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        "sha256:".to_owned(),
        "sha256".to_owned(),
        format!("sha256:{hex}%0a"),
        format!("sha256:{hex}%00"),
        format!("tarsum.v1+sha256:{hex}"),
        "..".to_owned(),
        "latest".to_owned(),
    ] {
        registry.get(format!("/v2/a/blobs/{digest}")).send().refused(Failure::DigestInvalid);
    }
}

fn a_manifest_is_found_among_the_blobs_of_its_repository(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    let digest = image.digest();

    let head = registry.head(format!("/v2/a/blobs/{digest}")).send().expect(200);
    let get = registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);

    assert_eq!(get.body, image.manifest.bytes);
    assert_eq!(get.expect_header("Content-Type"), image.manifest.media_type.as_str());
    assert_eq!(head.expect_header("Content-Length"), image.manifest.bytes.len().to_string());
    registry.get(format!("/v2/b/blobs/{digest}")).send().refused(Failure::BlobUnknown);
}

fn a_current_copy_is_not_sent_again(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"content");
    let target = format!("/v2/a/blobs/{digest}");

    for held in [format!("\"{digest}\""), digest.to_string(), format!("W/\"{digest}\""), "*".to_owned()] {
        let answer = registry.get(&target).header("If-None-Match", held).send().expect(304);
        assert_eq!(answer.expect_header("Docker-Content-Digest"), digest.to_string());
    }
    let other = Digest::sha256(b"other");
    registry.get(&target).header("If-None-Match", format!("\"{other}\"")).send().expect(200);
    let absent = registry.get(format!("/v2/a/blobs/{other}")).header("If-None-Match", "*").send();
    absent.refused(Failure::BlobUnknown);
}

/// containerd decodes whatever a registry or proxy encoded, and then misses the digest.
fn nothing_is_ever_encoded(setup: Setup) {
    let registry = setup.start();
    let content = vec![b'a'; 100_000];
    let digest = registry.push_blob("a", &content);

    for encoding in ["zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "gzip", "*"] {
        let request = registry.get(format!("/v2/a/blobs/{digest}")).header("Accept-Encoding", encoding);
        let answer = request.send().expect(200);
        assert_eq!(answer.header("Content-Encoding"), None);
        assert_eq!(answer.body, content);
    }
}

/// Invariant 2: a client never gets a complete answer with other bytes than the digest names.
fn bytes_that_rot_in_the_store_are_cut_off(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    for length in [10, 3 * MIB] {
        let digest = registry.push_blob("a", &noise(2, length));
        controls
            .add(Rule::new(Effect::FlipByte { at: length as u64 / 2 }).on(Operation::Get).at_prefix("data/"));

        let answer = registry.get(format!("/v2/a/blobs/{digest}")).send();

        controls.clear();
        assert!(!(answer.status == 200 && answer.complete), "{length} bytes: {answer}");
        registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);
    }
}

fn a_body_that_breaks_in_the_store_is_cut_off(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let content = noise(3, 3 * MIB);
    let digest = registry.push_blob("a", &content);
    for after in [1, 2 * MIB as u64] {
        controls.add(Rule::new(Effect::CutBody { after }).on(Operation::Get).at_prefix("data/"));

        let answer = registry.get(format!("/v2/a/blobs/{digest}")).send();

        controls.clear();
        assert!(!answer.complete && [0, 200].contains(&answer.status), "{answer}");
        assert!(answer.body.len() as u64 <= after);
        assert!(content.starts_with(&answer.body));
    }
}

/// Bytes of another length than the record says are a damaged blob, not a short one.
fn a_blob_of_another_length_is_not_served(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"the whole content");
    overwrite_data(&registry, b"the whole");

    let get = || registry.get(format!("/v2/a/blobs/{digest}"));
    let (whole, end) = (get().send(), get().header("Range", "bytes=-3").send());

    assert!(whole.status >= 500 && end.status >= 500, "{whole}\n{end}");
}

/// Bytes that were found good once are believed in that version only.
fn bytes_replaced_after_they_were_served_are_checked_again(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"the whole content");
    registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);
    overwrite_data(&registry, b"the WHOLE content");

    let answer = registry.get(format!("/v2/a/blobs/{digest}")).send();

    assert!(answer.status >= 500, "{answer}");
}

/// B26: who pushes a blob again repairs it.
fn a_damaged_blob_is_repaired_by_the_next_push(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_blob("a", b"the whole content");
    overwrite_data(&registry, b"");

    registry.push_blob("a", b"the whole content");

    let answer = registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200);
    assert_eq!(answer.body, b"the whole content");
}

/// Replaces the bytes of the only blob behind the registry's back.
fn overwrite_data(registry: &entrepot_tests::registry::TestRegistry, content: &'static [u8]) {
    let store = registry.store();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let page = store.list("data/", None, 10).await.unwrap();
        assert_eq!(page.objects.len(), 1);
        let body = bytes::Bytes::from_static(content);
        store.put(&page.objects[0].key, body, entrepot_storage::PutMode::Overwrite).await.unwrap();
    });
}

on_every_store![
    a_blob_is_served_with_everything_known_of_it,
    a_large_blob_arrives_whole,
    the_empty_blob_is_a_blob,
    sha512_is_as_good_as_sha256,
    a_blob_is_seen_through_repositories_that_hold_it_only,
    a_deleted_blob_stays_gone_when_others_warm_the_cache,
    a_digest_outside_the_grammar_is_refused,
    a_manifest_is_found_among_the_blobs_of_its_repository,
    a_current_copy_is_not_sent_again,
    nothing_is_ever_encoded,
    bytes_that_rot_in_the_store_are_cut_off,
    a_body_that_breaks_in_the_store_is_cut_off,
    a_blob_of_another_length_is_not_served,
    bytes_replaced_after_they_were_served_are_checked_again,
    a_damaged_blob_is_repaired_by_the_next_push,
];
