//! `GET /v2/{name}/manifests/{tag}`: from the router to one record for the tag and one for the manifest.

use std::sync::Arc;
use std::time::Duration;

use entrepot_api::Failure;
use entrepot_storage::decorate::{Controls, Effect, Operation, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::{Setup, StoredCache};

const TAG: &str = "/v2/library/app/manifests/v1";

/// Counts calls to the store from now on, told apart by the kind of record.
fn count(controls: &Controls, prefix: &str) -> u64 {
    controls.clear();
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)).at_prefix(prefix));
    controls.struck()
}

fn a_tag_is_resolved_and_its_manifest_read_once_each(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let image = registry.push_some_image("library/app", "v1");

    // The router matches the row, the name and the reference become types: what is wrong with them is
    // found here, and the store is not asked.
    let before = count(&controls, "");
    registry.get("/v2/Library/app/manifests/v1").send().refused(Failure::NameInvalid);
    registry.get("/v2/library/app/manifests/sha256:x").send().refused(Failure::DigestInvalid);
    assert_eq!(controls.struck() - before, 0);

    // One read of the tag, one of the manifest, and nothing else.
    for (prefix, reads) in [("tags/", 1), ("manifests/", 1), ("", 2)] {
        let before = count(&controls, prefix);
        let answer = registry.get(TAG).send().expect(200);
        assert_eq!(controls.struck() - before, reads, "{prefix}");
        assert_eq!(answer.body, image.manifest.bytes);
    }

    // On the way up type, length, digest and entity tag are written; a client that kept the entity tag
    // is answered from the tag alone.
    let before = count(&controls, "");
    let answer = registry.get(TAG).header("If-None-Match", format!("\"{}\"", image.digest())).send();
    assert_eq!(answer.expect(304).expect_header("Docker-Content-Digest"), image.digest().to_string());
    assert_eq!(controls.struck() - before, 1);
}

fn with_a_cache_the_store_is_asked_for_the_tag_only(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.cache(Arc::new(StoredCache::default())).start();
    let image = registry.push_some_image("library/app", "v1");
    registry.get(TAG).send().expect(200);

    // A manifest never changes, so its bytes may be kept; a tag may, so it is asked for every time.
    let before = count(&controls, "");
    assert_eq!(registry.get(TAG).send().expect(200).body, image.manifest.bytes);
    assert_eq!(controls.struck() - before, 1);

    // And a tag that moved is seen at once.
    let other = registry.push_some_image("library/app", "other");
    registry.push_manifest("library/app", "v1", &other.manifest);
    assert_eq!(registry.get(TAG).send().expect(200).body, other.manifest.bytes);
}

fn who_may_not_pull_gets_no_further_than_the_door(setup: Setup) {
    let (setup, controls) = setup.breakable();
    setup.start().push_some_image("private/app", "v1");
    let guarded = setup.guarded().start();

    let before = count(&controls, "");
    let target = "/v2/private/app/manifests/v1";
    guarded.get(target).send().refused(Failure::Unauthorized);
    guarded.get(target).header("Authorization", "Bearer bob").send().refused(Failure::Denied);
    assert_eq!(controls.struck() - before, 0);

    guarded.get(target).header("Authorization", "Bearer ann").send().expect(200);
}

fn a_store_in_doubt_is_no_missing_manifest(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    registry.push_some_image("library/app", "v1");

    for prefix in ["tags/", "manifests/"] {
        let failure = entrepot_storage::ErrorKind::Backend { retryable: true };
        controls.add(Rule::new(Effect::FailBefore(failure)).on(Operation::Get).at_prefix(prefix));
        registry.get(TAG).send().refused(Failure::Unavailable);
        controls.clear();
    }
    registry.get("/v2/library/app/manifests/v2").send().refused(Failure::ManifestUnknown);
}

on_every_store![
    a_tag_is_resolved_and_its_manifest_read_once_each,
    with_a_cache_the_store_is_asked_for_the_tag_only,
    who_may_not_pull_gets_no_further_than_the_door,
    a_store_in_doubt_is_no_missing_manifest,
];
