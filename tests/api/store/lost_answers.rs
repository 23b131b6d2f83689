//! A store that does what it is asked and does not say so: the outcome is settled by reading back.

use entrepot_oci::Digest;
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::with_digest;
use entrepot_tests::registry::{Image, Setup};

/// The first answer to a write is lost, for each kind of record in turn.
const RECORDS: [&str; 6] = ["blobs/", "links/", "manifests/", "tags/", "repositories/", "uploads/"];

fn lost(prefix: &str) -> Rule {
    let effect = Effect::FailAfter(ErrorKind::Backend { retryable: true });
    Rule::new(effect).on(Operation::Put).at_prefix(prefix).times(1)
}

fn a_lost_answer_is_settled_or_can_be_asked_again(setup: Setup) {
    for prefix in RECORDS {
        let (setup, controls) = setup.clone().breakable();
        let registry = setup.start();
        let name = prefix.trim_end_matches('/');
        let image = Image::called(name);
        controls.add(lost(prefix));

        for content in [&image.config, &image.layer] {
            let digest = Digest::sha256(content);
            let mut location = registry.open_upload(name);
            for _ in 0..2 {
                let range = format!("0-{}", content.len() - 1);
                let patch =
                    registry.patch(&location).header("Content-Range", range).body(content.clone()).send();
                match patch.status {
                    202 | 416 => location = patch.expect_header("Location").to_owned(),
                    503 => continue,
                    _ => panic!("{patch}"),
                }
                break;
            }
            let closed = || registry.put(with_digest(&location, digest)).empty().send();
            let first = closed();
            if first.status == 503 { closed() } else { first }.expect(201);
        }
        let first = registry.put_manifest(name, "v1", &image.manifest);
        if first.status == 503 {
            registry.push_manifest(name, "v1", &image.manifest);
        }

        assert!(controls.struck() > 0, "{prefix} was never written");
        controls.clear();
        let pulled = registry.get(format!("/v2/{name}/manifests/v1")).send().expect(200);
        assert_eq!(pulled.body, image.manifest.bytes);
        let tags = registry.get(format!("/v2/{name}/tags/list")).send().expect(200);
        assert_eq!(tags.json()["tags"], serde_json::json!(["v1"]));
    }
}

/// A delete whose answer was lost is done; the repeated one says so by not finding anything, or by success.
fn a_delete_with_a_lost_answer_is_done(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    for (prefix, target) in [
        ("tags/", "/v2/a/manifests/v1".to_owned()),
        ("manifests/", format!("/v2/a/manifests/{}", image.digest())),
        ("links/", format!("/v2/a/blobs/{}", Digest::sha256(&image.layer))),
    ] {
        controls.add(lost(prefix));

        let mut answer = registry.delete(&target).send();
        if answer.status == 503 {
            answer = registry.delete(&target).send();
        }

        controls.clear();
        assert!([202, 404].contains(&answer.status), "{answer}");
        registry.get(&target).send().expect(404);
    }
}

on_every_store![a_lost_answer_is_settled_or_can_be_asked_again, a_delete_with_a_lost_answer_is_done];
