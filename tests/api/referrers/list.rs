//! `GET /v2/<name>/referrers/<digest>`: rows C8-C12, oras's probe.

use entrepot_api::Failure;
use entrepot_oci::manifest::build::{self, Built};
use entrepot_oci::media_type::{OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST};
use entrepot_oci::{Descriptor, Digest};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{descriptor, descriptor_of};
use serde_json::{Value, json};

const SIGNATURE: &str = "application/vnd.example.signature+json";
const SBOM: &str = "application/vnd.example.sbom+json";

fn empty(client: &Client) -> Descriptor {
    client.push_blob("a", b"{}");
    descriptor(OCI_EMPTY, b"{}")
}

fn artifact(client: &Client, subject: &Descriptor, kind: &str, name: &str) -> Built {
    let image = build::Image::oci(empty(client)).artifact_type(kind).annotation("name", name);
    image.subject(subject.clone()).build()
}

fn push(client: &Client, manifest: &Built) -> Digest {
    client.push_manifest("a", &Digest::sha256(&manifest.bytes).to_string(), manifest)
}

fn list(client: &Client, subject: &Digest, query: &str) -> Response {
    let answer = client.get(format!("/v2/a/referrers/{subject}{query}")).send().expect(200);
    assert_eq!(answer.expect_header("Content-Type"), OCI_INDEX);
    answer
}

fn entries(answer: &Response) -> Vec<Value> {
    answer.json()["manifests"].as_array().unwrap().clone()
}

fn digests(answer: &Response) -> Vec<String> {
    let mut digests: Vec<_> =
        entries(answer).iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect();
    digests.sort();
    digests
}

/// oras asks about a digest of zeros, and compares the type letter by letter.
fn the_api_is_there_whatever_is_asked_about(setup: Setup) {
    let registry = setup.start();
    let zeros: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();

    for name in ["a", "never/seen"] {
        let answer = registry.get(format!("/v2/{name}/referrers/{zeros}")).send().expect(200);
        assert_eq!(answer.expect_header("Content-Type"), OCI_INDEX);
        assert_eq!(answer.json(), json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }));
        assert_eq!(answer.header("Link"), None);
        assert_eq!(answer.header("OCI-Filters-Applied"), None);
    }
}

fn a_referrer_is_listed_with_type_size_and_annotations(setup: Setup) {
    let registry = setup.start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    let signature = artifact(&registry, &subject, SIGNATURE, "first");
    let digest = push(&registry, &signature);

    let answer = list(&registry, &subject.digest, "");

    let expected = json!([{
        "mediaType": OCI_MANIFEST,
        "digest": digest.to_string(),
        "size": signature.bytes.len(),
        "artifactType": SIGNATURE,
        "annotations": { "name": "first" },
    }]);
    assert_eq!(Value::from(entries(&answer)), expected);
}

fn the_artifact_type_falls_back_to_the_config(setup: Setup) {
    let registry = setup.start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    registry.push_blob("a", b"{}");
    let image = build::Image::oci(descriptor(OCI_CONFIG, b"{}")).subject(subject.clone()).build();
    let index = build::Index::oci().subject(subject.clone()).build();
    let (image, index) = (push(&registry, &image), push(&registry, &index));

    let answer = list(&registry, &subject.digest, "");

    let kind = |digest: Digest| {
        let found = entries(&answer).into_iter().find(|entry| entry["digest"] == digest.to_string());
        found.unwrap().get("artifactType").cloned()
    };
    assert_eq!(kind(image), Some(json!(OCI_CONFIG)));
    assert_eq!(kind(index), None);
}

fn a_list_can_be_filtered_by_type(setup: Setup) {
    let registry = setup.start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    let signature = push(&registry, &artifact(&registry, &subject, SIGNATURE, "s")).to_string();
    let sbom = push(&registry, &artifact(&registry, &subject, SBOM, "b")).to_string();
    let both = {
        let mut both = vec![signature.clone(), sbom.clone()];
        both.sort();
        both
    };

    for (query, expected) in [
        (format!("?artifactType={SIGNATURE}"), vec![signature.clone()]),
        (format!("?artifactType={}", SBOM.replace('+', "%2B").replace('/', "%2F")), vec![sbom.clone()]),
        (format!("?artifactType={SIGNATURE}&artifactType={SBOM}"), both),
        ("?artifactType=application/none".to_owned(), vec![]),
    ] {
        let answer = list(&registry, &subject.digest, &query);
        assert_eq!(digests(&answer), expected, "{query}");
        assert_eq!(answer.expect_header("OCI-Filters-Applied"), "artifactType");
    }
}

fn a_referrer_may_come_before_its_subject(setup: Setup) {
    let registry = setup.start();
    let image = entrepot_tests::registry::Image::called("later");
    let signature = push(&registry, &artifact(&registry, &image.descriptor(), SIGNATURE, "early"));

    assert_eq!(digests(&list(&registry, &image.digest(), "")), [signature.to_string()]);
    registry.push_image("a", "v1", &image);
    assert_eq!(digests(&list(&registry, &image.digest(), "")), [signature.to_string()]);
}

fn a_deleted_referrer_is_no_longer_listed(setup: Setup) {
    let registry = setup.start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    let stays = push(&registry, &artifact(&registry, &subject, SIGNATURE, "stays"));
    let goes = push(&registry, &artifact(&registry, &subject, SIGNATURE, "goes"));

    registry.delete(format!("/v2/a/manifests/{goes}")).send().expect(202);

    assert_eq!(digests(&list(&registry, &subject.digest, "")), [stays.to_string()]);
}

fn referrers_are_those_of_one_repository(setup: Setup) {
    let registry = setup.start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    push(&registry, &artifact(&registry, &subject, SIGNATURE, "here"));

    let elsewhere = registry.get(format!("/v2/b/referrers/{}", subject.digest)).send().expect(200);

    assert_eq!(entries(&elsewhere), Vec::<Value>::new());
}

fn a_long_list_comes_in_pages_that_keep_the_filter(setup: Setup) {
    let registry = setup.frontend(|config| config.lists.max_referrers = 4).start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    let mut expected: Vec<String> = (0..11)
        .map(|n| push(&registry, &artifact(&registry, &subject, SIGNATURE, &n.to_string())).to_string())
        .collect();
    push(&registry, &artifact(&registry, &subject, SBOM, "other"));
    expected.sort();

    let mut found = Vec::new();
    let mut target = Some(format!("/v2/a/referrers/{}?artifactType={SIGNATURE}", subject.digest));
    let mut pages = 0;
    while let Some(here) = target {
        let answer = registry.get(here).send().expect(200);
        assert_eq!(answer.expect_header("OCI-Filters-Applied"), "artifactType");
        found.extend(digests(&answer));
        target = answer.next_page();
        pages += 1;
    }

    found.sort();
    assert_eq!(found, expected);
    assert!(pages > 2, "{pages}");
}

/// C10: no answer is larger than a manifest may be.
fn a_page_is_never_larger_than_a_manifest(setup: Setup) {
    let limit = 20_000;
    let registry = setup.domain(|config| config.max_manifest_bytes = limit).start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    let long = "x".repeat(3000);
    for n in 0..15 {
        let manifest = build::Image::oci(empty(&registry)).artifact_type(SIGNATURE).annotation("long", &long);
        push(&registry, &manifest.annotation("n", &n.to_string()).subject(subject.clone()).build());
    }

    let (mut found, mut target) = (0, Some(format!("/v2/a/referrers/{}", subject.digest)));
    while let Some(here) = target {
        let answer = registry.get(here).send().expect(200);
        assert!(answer.body.len() as u64 <= limit, "{} bytes", answer.body.len());
        found += entries(&answer).len();
        target = answer.next_page();
    }

    assert_eq!(found, 15);
}

/// C11: what clients kept under the fallback tag before there was this API.
fn entries_of_the_fallback_tag_are_merged(setup: Setup) {
    let registry = setup.start();
    let subject = registry.push_some_image("a", "v1").descriptor();
    let both_ways = artifact(&registry, &subject, SIGNATURE, "both ways");
    push(&registry, &both_ways);
    let old = build::Image::oci(empty(&registry)).artifact_type(SBOM).annotation("name", "old").build();
    push(&registry, &old);
    let entry = |manifest: &Built, kind: &str| {
        let mut entry = descriptor_of(manifest);
        entry.artifact_type = Some(kind.to_owned());
        entry
    };
    let index = build::Index::oci()
        .manifest(entry(&both_ways, SIGNATURE), None)
        .manifest(entry(&old, SBOM), None)
        .build();
    registry.push_manifest("a", &subject.digest.to_string().replace(':', "-"), &index);

    let mut expected = [descriptor_of(&both_ways), descriptor_of(&old)].map(|entry| entry.digest.to_string());
    expected.sort();
    assert_eq!(digests(&list(&registry, &subject.digest, "")), expected);
    let filtered = list(&registry, &subject.digest, &format!("?artifactType={SBOM}"));
    assert_eq!(digests(&filtered), [descriptor_of(&old).digest.to_string()]);
}

fn a_digest_outside_the_grammar_is_refused(setup: Setup) {
    let registry = setup.start();

    for digest in ["sha256:short", "latest", "md5:d41d8cd98f00b204e9800998ecf8427e", "..", "sha256:"] {
        registry.get(format!("/v2/a/referrers/{digest}")).send().refused(Failure::DigestInvalid);
    }
}

on_every_store![
    the_api_is_there_whatever_is_asked_about,
    a_referrer_is_listed_with_type_size_and_annotations,
    the_artifact_type_falls_back_to_the_config,
    a_list_can_be_filtered_by_type,
    a_referrer_may_come_before_its_subject,
    a_deleted_referrer_is_no_longer_listed,
    referrers_are_those_of_one_repository,
    a_long_list_comes_in_pages_that_keep_the_filter,
    a_page_is_never_larger_than_a_manifest,
    entries_of_the_fallback_tag_are_merged,
    a_digest_outside_the_grammar_is_refused,
];
