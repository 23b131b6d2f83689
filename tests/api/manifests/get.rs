//! `GET /v2/<name>/manifests/<reference>`: rows A3, A5, A7, A16, A17, A20-A23, A35, D20.

use entrepot_api::Failure;
use entrepot_oci::manifest::{Platform, build};
use entrepot_oci::media_type::{DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST};
use entrepot_oci::{Algorithm, Digest};
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::{Image, Setup};

fn a_manifest_is_served_as_it_was_pushed(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("library/app", "v1");
    let digest = image.digest().to_string();

    for reference in ["v1", &digest] {
        let answer = registry.get(format!("/v2/library/app/manifests/{reference}")).send().expect(200);

        assert_eq!(answer.body, image.manifest.bytes);
        assert_eq!(answer.expect_header("Content-Type"), OCI_MANIFEST);
        assert_eq!(answer.expect_header("Content-Length"), image.manifest.bytes.len().to_string());
        assert_eq!(answer.expect_header("Docker-Content-Digest"), digest);
        assert_eq!(answer.expect_header("ETag"), format!("\"{digest}\""));
    }
}

fn only_what_a_digest_names_may_be_kept(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    let by_tag = registry.get("/v2/a/manifests/v1").send().expect(200);
    let by_digest = registry.get(format!("/v2/a/manifests/{}", image.digest())).send().expect(200);

    assert_eq!(by_tag.expect_header("Cache-Control"), "no-cache");
    assert_eq!(by_digest.expect_header("Cache-Control"), "max-age=31536000, immutable");
}

fn what_not_everybody_may_read_is_kept_by_nobody_on_the_way(setup: Setup) {
    let open = setup.start();
    let image = open.push_some_image("a", "v1");
    let guarded = setup.guarded().start();

    let answer = guarded
        .get(format!("/v2/a/manifests/{}", image.digest()))
        .header("Authorization", "Bearer bob")
        .send()
        .expect(200);

    assert!(answer.expect_header("Cache-Control").starts_with("private"), "{answer}");
}

fn accept_never_hides_a_manifest_and_converts_nothing(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    let index = build::Index::oci().manifest(image.descriptor(), None).build();
    registry.push_manifest("a", "all", &index);
    let helm = "application/vnd.docker.distribution.manifest.v2+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.oci.artifact.manifest.v1+json";

    for accept in [None, Some("*/*"), Some("text/html"), Some(DOCKER_MANIFEST), Some(helm), Some("\"")] {
        let mut request = registry.get("/v2/a/manifests/all");
        if let Some(accept) = accept {
            request = request.header("Accept", accept);
        }
        let answer = request.send().expect(200);
        assert_eq!(answer.expect_header("Content-Type"), OCI_INDEX, "{accept:?}");
        assert_eq!(answer.body, index.bytes, "{accept:?}");
    }
}

/// A6: clients from before there were lists.
fn an_old_client_is_given_an_image_of_a_docker_list_where_that_is_switched_on(setup: Setup) {
    let linux = |architecture: &str| {
        Some(Platform { os: "linux".into(), architecture: architecture.into(), ..Platform::default() })
    };
    let registry = setup.frontend(|config| config.manifest_list_downgrade = true).start();
    let (other, image) = (registry.push_some_image("a", "arm"), registry.push_some_image("a", "amd"));
    let list = build::Index::docker()
        .manifest(other.descriptor(), linux("arm64"))
        .manifest(image.descriptor(), linux("amd64"))
        .build();
    let digest = registry.push_manifest("a", "all", &list);
    let ask = |target: &str| registry.get(target).header("Accept", DOCKER_MANIFEST).send().expect(200);

    let by_tag = ask("/v2/a/manifests/all");
    assert_eq!(by_tag.body, image.manifest.bytes);
    assert_eq!(by_tag.expect_header("Docker-Content-Digest"), image.digest().to_string());

    let by_digest = ask(&format!("/v2/a/manifests/{digest}"));
    assert_eq!(by_digest.body, list.bytes, "a digest is never answered with something else");

    let accept = format!("{DOCKER_MANIFEST}, {DOCKER_MANIFEST_LIST}");
    let modern = registry.get("/v2/a/manifests/all").header("Accept", accept).send().expect(200);
    assert_eq!(modern.body, list.bytes);

    let without = build::Index::docker().manifest(other.descriptor(), linux("arm64")).build();
    registry.push_manifest("a", "arm-only", &without);
    let none = registry.get("/v2/a/manifests/arm-only").header("Accept", DOCKER_MANIFEST).send();
    none.refused(Failure::ManifestUnknown);
}

fn a_current_copy_is_not_sent_again(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_some_image("a", "v1").digest();
    let other = Digest::sha256(b"other");

    for held in [
        format!("\"{digest}\""),
        digest.to_string(),
        format!("W/\"{digest}\""),
        format!("\"{other}\", \"{digest}\""),
        "*".to_owned(),
    ] {
        for reference in ["v1", &digest.to_string()] {
            let target = format!("/v2/a/manifests/{reference}");
            let answer = registry.get(&target).header("If-None-Match", &held).send().expect(304);
            assert_eq!(answer.expect_header("ETag"), format!("\"{digest}\""), "{held}");
            assert!(answer.body.is_empty());
        }
    }
    registry.get("/v2/a/manifests/v1").header("If-None-Match", format!("\"{other}\"")).send().expect(200);
    registry.get("/v2/a/manifests/v2").header("If-None-Match", "*").send().refused(Failure::ManifestUnknown);
}

/// A7: "must not read the manifest body".
fn a_current_copy_of_a_tag_costs_no_read_of_the_manifest(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let digest = registry.push_some_image("a", "v1").digest();
    let broken = Effect::FailBefore(ErrorKind::Backend { retryable: true });
    controls.add(Rule::new(broken).on(Operation::Get).at_prefix("manifests/"));

    registry.get("/v2/a/manifests/v1").header("If-None-Match", digest).send().expect(304);

    assert_eq!(controls.struck(), 0);
}

fn what_is_not_there_is_told_apart(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("known", "v1");
    let absent = Digest::sha256(b"absent");

    for reference in ["v2".to_owned(), absent.to_string()] {
        let unknown = registry.get(format!("/v2/known/manifests/{reference}")).send();
        unknown.refused(Failure::ManifestUnknown);
        let nowhere = registry.get(format!("/v2/never/seen/manifests/{reference}")).send();
        nowhere.refused(Failure::NameUnknown);
    }
}

fn a_tag_outside_the_grammar_does_not_exist(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("a", "v1");

    for tag in [".dot", "-dash", "a+b", "sp%20ace", "%C3%BC", "a%2fb", &"x".repeat(129)] {
        registry.get(format!("/v2/a/manifests/{tag}")).send().refused(Failure::ManifestUnknown);
    }
}

fn the_longest_tag_and_helms_tags_are_legal(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    for tag in [&"x".repeat(128), "1.2.3_build.1", "_", "A.b-C_9"] {
        registry.push_manifest("a", tag, &image.manifest);
        let answer = registry.get(format!("/v2/a/manifests/{tag}")).send().expect(200);
        assert_eq!(answer.body, image.manifest.bytes);
    }
}

fn a_digest_outside_the_grammar_is_refused(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("a", "v1");
    let hex = Digest::sha256(b"x").hex();

    for digest in [
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        "sha256:".to_owned(),
        "md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        format!("sha512:{hex}"),
        format!("sha256+b64:{hex}"),
        format!("sha256:{hex}%0a"),
        format!("sha256:{hex}%00"),
        format!("tarsum.v1+sha256:{hex}"),
    ] {
        registry.get(format!("/v2/a/manifests/{digest}")).send().refused(Failure::DigestInvalid);
    }
}

fn a_tarsum_is_refused_with_a_word_about_it(setup: Setup) {
    let registry = setup.start();
    let tarsum = format!("tarsum.v1+sha256:{}", Digest::sha256(b"x").hex());

    let refused = registry.get(format!("/v2/a/manifests/{tarsum}")).send().refused(Failure::DigestInvalid);

    let message = &refused.errors().errors[0].message;
    assert!(message.to_lowercase().contains("tarsum"), "{message}");
}

fn an_escaped_colon_is_the_colon_of_a_digest(setup: Setup) {
    let registry = setup.start();
    let digest = registry.push_some_image("a", "v1").digest();
    let escaped = digest.to_string().replace(':', "%3A");

    registry.get(format!("/v2/a/manifests/{escaped}")).send().expect(200);
    let twice = escaped.replace('%', "%25");
    registry.get(format!("/v2/a/manifests/{twice}")).send().refused(Failure::ManifestUnknown);
}

fn sha512_is_as_good_as_sha256(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    let digest = Digest::of(Algorithm::Sha512, &image.manifest.bytes).to_string();

    let pushed = registry.put_manifest("a", &digest, &image.manifest).expect(201);
    let answer = registry.get(format!("/v2/a/manifests/{digest}")).send().expect(200);

    assert_eq!(pushed.expect_header("Docker-Content-Digest"), digest);
    assert_eq!(pushed.expect_header("Location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(answer.expect_header("Docker-Content-Digest"), digest);
    assert_eq!(answer.body, image.manifest.bytes);
}

fn every_byte_is_kept(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    let compact = String::from_utf8(image.manifest.bytes.clone()).unwrap();

    for variant in [
        compact.replace(',', " ,\n\t"),
        format!("  {compact}\n\n"),
        compact.replacen("\"schemaVersion\":2,", "", 1).replacen('{', "{\"schemaVersion\":2,", 1),
        compact.replacen('{', "{\"x-unknown\":[1,2.50,\"\\u00e4\"],", 1),
    ] {
        let manifest = build::Built { bytes: variant.into_bytes(), ..image.manifest.clone() };
        let digest = registry.push_manifest("a", "variant", &manifest);
        let answer = registry.get(format!("/v2/a/manifests/{digest}")).send().expect(200);
        assert_eq!(answer.body, manifest.bytes);
    }
}

fn nothing_is_ever_encoded(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    for encoding in ["gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "br", "identity;q=0, *"] {
        let answer =
            registry.get("/v2/a/manifests/v1").header("Accept-Encoding", encoding).send().expect(200);
        assert_eq!(answer.header("Content-Encoding"), None, "{encoding}");
        assert_eq!(answer.body, image.manifest.bytes);
    }
}

fn the_namespace_of_a_mirror_is_ignored_without_an_upstream(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("library/app", "v1");

    let answer = registry.get("/v2/library/app/manifests/v1?ns=docker.io").send().expect(200);

    assert_eq!(answer.body, image.manifest.bytes);
    assert_eq!(answer.header("OCI-Namespace"), None);
}

/// Invariant 2, for manifests: what rotted is not served.
fn a_manifest_that_rots_in_the_store_is_not_served(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    let target = format!("/v2/a/manifests/{}", image.digest());
    let mut refused = 0;
    for at in (0..1200).step_by(50) {
        controls.add(Rule::new(Effect::FlipByte { at }).on(Operation::Get).at_prefix("manifests/"));

        let answer = registry.get(&target).send();

        controls.clear();
        assert!(answer.status >= 500 || answer.body == image.manifest.bytes, "{at}: {answer}");
        refused += u32::from(answer.status >= 500);
    }
    assert!(refused > 5, "{refused}");
    assert_eq!(registry.get(&target).send().expect(200).body, image.manifest.bytes);
}

/// The type that is served is the one that was pushed, not the one a reader hopes for (S-03).
fn the_stored_type_is_served_without_parameters(setup: Setup) {
    let registry = setup.start();
    let image = Image::called("typed");
    registry.push_blob("a", &image.config);
    registry.push_blob("a", &image.layer);
    let with_parameters = format!("{OCI_MANIFEST}; charset=utf-8");
    registry
        .put("/v2/a/manifests/v1")
        .header("Content-Type", with_parameters)
        .body(image.manifest.bytes)
        .send()
        .expect(201);

    let answer = registry.get("/v2/a/manifests/v1").send().expect(200);

    assert_eq!(answer.expect_header("Content-Type"), OCI_MANIFEST);
}

on_every_store![
    a_manifest_is_served_as_it_was_pushed,
    only_what_a_digest_names_may_be_kept,
    what_not_everybody_may_read_is_kept_by_nobody_on_the_way,
    accept_never_hides_a_manifest_and_converts_nothing,
    an_old_client_is_given_an_image_of_a_docker_list_where_that_is_switched_on,
    a_current_copy_is_not_sent_again,
    a_current_copy_of_a_tag_costs_no_read_of_the_manifest,
    what_is_not_there_is_told_apart,
    a_tag_outside_the_grammar_does_not_exist,
    the_longest_tag_and_helms_tags_are_legal,
    a_digest_outside_the_grammar_is_refused,
    a_tarsum_is_refused_with_a_word_about_it,
    an_escaped_colon_is_the_colon_of_a_digest,
    sha512_is_as_good_as_sha256,
    every_byte_is_kept,
    nothing_is_ever_encoded,
    the_namespace_of_a_mirror_is_ignored_without_an_upstream,
    a_manifest_that_rots_in_the_store_is_not_served,
    the_stored_type_is_served_without_parameters,
];
