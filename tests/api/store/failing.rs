//! A store that fails: row B36, reliability rows 53 and 60. A doubt is 503, never 404 and never 500.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::{Controls, Effect, Operation, Rule};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{noise, with_digest};
use entrepot_tests::registry::{Image, Setup};

const FAILURES: [ErrorKind; 4] = [
    ErrorKind::Backend { retryable: true },
    ErrorKind::Backend { retryable: false },
    ErrorKind::Throttled { retry_after: Some(Duration::from_secs(3)) },
    ErrorKind::Full,
];

const CALLS: [Operation; 9] = [
    Operation::Stat,
    Operation::Get,
    Operation::Put,
    Operation::Delete,
    Operation::List,
    Operation::UploadBegin,
    Operation::UploadPart,
    Operation::UploadFlush,
    Operation::UploadComplete,
];

/// Everything a client may want of a registry that holds `image` as `v1` in `a`.
fn requests(client: &Client, image: &Image) -> Vec<(&'static str, Response)> {
    let layer = Digest::sha256(&image.layer);
    let fresh = noise(9, 100);
    let fresh_digest = Digest::sha256(&fresh);
    let location = client.open_upload("a");
    vec![
        ("pull by tag", client.get("/v2/a/manifests/v1").send()),
        ("pull by digest", client.get(format!("/v2/a/manifests/{}", image.digest())).send()),
        ("look at a tag", client.head("/v2/a/manifests/v1").send()),
        ("pull a blob", client.get(format!("/v2/a/blobs/{layer}")).send()),
        ("look at a blob", client.head(format!("/v2/a/blobs/{layer}")).send()),
        ("list tags", client.get("/v2/a/tags/list").send()),
        ("list the catalog", client.get("/v2/_catalog").send()),
        ("list referrers", client.get(format!("/v2/a/referrers/{layer}")).send()),
        ("push a manifest", client.put_manifest("a", "v1", &image.manifest)),
        ("tag a manifest", client.put_manifest("a", "v2", &image.manifest)),
        ("mount", client.post(format!("/v2/b/blobs/uploads/?mount={layer}&from=a")).empty().send()),
        ("append", client.patch(&location).body(fresh.clone()).send()),
        ("commit", client.put(with_digest(&client.open_upload("b"), fresh_digest)).body(fresh).send()),
        ("delete a tag", client.delete("/v2/a/manifests/v2").send()),
    ]
}

/// Whether an answer is one that a registry with a whole store gives, or an honest refusal.
fn is_honest(answer: &Response) -> bool {
    match answer.status {
        200..=202 => true,
        503 => answer.header("Retry-After").is_some(),
        _ => false,
    }
}

/// Deleting a tag that a failed push did not write is a 404 that tells the truth.
fn is_expected(what: &str, answer: &Response) -> bool {
    is_honest(answer) || (what == "delete a tag" && answer.status == 404)
}

fn a_failing_store_is_never_taken_for_an_empty_one(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    for kind in FAILURES {
        for operation in CALLS {
            controls.add(Rule::new(Effect::FailBefore(kind)).on(operation));
            for (what, answer) in requests(&registry, &image) {
                assert!(is_expected(what, &answer), "{what} while {operation} fails with {kind:?}: {answer}");
            }
            controls.clear();
        }
    }
    let whole = registry.get("/v2/a/manifests/v1").send().expect(200);
    assert_eq!(whole.body, image.manifest.bytes);
}

/// Each call of a push fails once. Whoever tries again succeeds, and what was acknowledged is there.
fn a_push_can_be_repeated_after_any_failure(setup: Setup) {
    for effect in [
        Effect::FailBefore(ErrorKind::Backend { retryable: true }),
        Effect::FailAfter(ErrorKind::Backend { retryable: true }),
    ] {
        let mut call = 0;
        loop {
            call += 1;
            let (setup, controls) = setup.clone().breakable();
            let registry = setup.start();
            let name = format!("push/{}-{call}", if effect == FAIL_BEFORE { "before" } else { "after" });
            let image = Image::called(&name);
            let before = controls.struck();
            controls.add(Rule::new(effect).nth(call));

            push_with_patience(&registry, &name, &image);
            let has_struck = controls.struck() > before;
            controls.clear();

            let pulled = registry.get(format!("/v2/{name}/manifests/v1")).send().expect(200);
            assert_eq!(pulled.body, image.manifest.bytes);
            for content in [&image.layer, &image.config] {
                let blob =
                    registry.get(format!("/v2/{name}/blobs/{}", Digest::sha256(content))).send().expect(200);
                assert_eq!(blob.body, *content);
            }
            if !has_struck {
                break;
            }
        }
        assert!(call > 15, "a push made {call} calls only");
    }
}

const FAIL_BEFORE: Effect = Effect::FailBefore(ErrorKind::Backend { retryable: true });

/// Pushes an image as a client does that tries each step again after a 503.
fn push_with_patience(client: &Client, name: &str, image: &Image) {
    let patiently = |step: &dyn Fn() -> Response| {
        let first = step();
        if first.status != 503 {
            return first.expect(201);
        }
        step().expect(201)
    };
    for content in [&image.config, &image.layer] {
        let location = client.open_upload(name);
        let target = with_digest(&location, Digest::sha256(content));
        patiently(&|| client.put(&target).body(content.clone()).send());
    }
    patiently(&|| client.put_manifest(name, "v1", &image.manifest));
}

/// Row 60: nothing is left of a blob that did not fit.
fn a_full_store_refuses_and_shows_nothing(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.domain(|config| config.part_bytes = Some(64 * 1024)).start();
    let content = noise(4, 500_000);
    let digest = Digest::sha256(&content);
    for operation in [Operation::UploadPart, Operation::UploadComplete, Operation::Put] {
        controls.add(Rule::new(Effect::FailBefore(ErrorKind::Full)).on(operation));
        let target = with_digest(&registry.open_upload("a"), digest);

        let refused = registry.put(&target).body(content.clone()).send();

        controls.clear();
        refused.refused(Failure::Unavailable);
        registry.head(format!("/v2/a/blobs/{digest}")).send().expect(404);
    }
    registry.push_blob("a", &content);
    assert!(registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200).body == content);
}

/// Row 53: a store that is busy now and then.
fn a_store_that_fails_now_and_then_loses_nothing(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let throttled = ErrorKind::Throttled { retry_after: None };
    controls.add(Rule::new(Effect::FailBefore(throttled)).with_probability(0.15));
    let mut acknowledged = Vec::new();
    for n in 0..60_u64 {
        let content = noise(n, 200);
        let digest = Digest::sha256(&content);
        let answer =
            registry.put(with_digest(&registry.open_upload("a"), digest)).body(content.clone()).send();
        match answer.status {
            201 => acknowledged.push((digest, content)),
            503 => {}
            _ => panic!("{answer}"),
        }
    }
    controls.clear();

    assert!(acknowledged.len() > 5 && acknowledged.len() < 60, "{}", acknowledged.len());
    for (digest, content) in acknowledged {
        assert_eq!(registry.get(format!("/v2/a/blobs/{digest}")).send().expect(200).body, content);
    }
}

/// Inside names stay inside: no key, path or driver is told to a client.
fn a_refusal_does_not_tell_what_is_inside(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    fail_everything(&controls, ErrorKind::Backend { retryable: false });

    let refused = registry.get("/v2/a/manifests/v1").send().refused(Failure::Unavailable);

    for word in ["tags/", "manifests/a", "memory", "filesystem", "injected", "/tmp"] {
        assert!(!refused.text().contains(word), "{refused}");
    }
}

fn fail_everything(controls: &Controls, kind: ErrorKind) {
    controls.add(Rule::new(Effect::FailBefore(kind)));
}

on_every_store![
    a_failing_store_is_never_taken_for_an_empty_one,
    a_push_can_be_repeated_after_any_failure,
    a_full_store_refuses_and_shows_nothing,
    a_store_that_fails_now_and_then_loses_nothing,
    a_refusal_does_not_tell_what_is_inside,
];
