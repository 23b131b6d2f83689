//! `PUT /v2/<name>/manifests/<reference>`: rows B27-B31, D3-D8, D20.

use std::fmt::Write as _;

use entrepot_api::Failure;
use entrepot_oci::manifest::build::{self, Built};
use entrepot_oci::media_type::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED,
    OCI_ARTIFACT_MANIFEST, OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST,
};
use entrepot_oci::{Digest, MediaType};
use entrepot_tests::http::Client;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{descriptor, descriptor_of};
use entrepot_tests::registry::{Image, Setup};

const MIB: usize = 1024 * 1024;

/// An image whose content is in `a` and whose manifest is not.
fn prepared(client: &Client) -> Image {
    let image = Image::called("prepared");
    client.push_blob("a", &image.config);
    client.push_blob("a", &image.layer);
    image
}

fn built(media_type: &str, text: &str) -> Built {
    Built { media_type: media_type.parse::<MediaType>().unwrap(), bytes: text.as_bytes().to_vec() }
}

fn a_push_answers_where_the_manifest_can_be_pulled(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let digest = image.digest().to_string();

    for reference in ["v1", &digest] {
        let pushed = registry.put_manifest("a", reference, &image.manifest).expect(201);
        assert_eq!(pushed.expect_header("Location"), format!("/v2/a/manifests/{digest}"));
        assert_eq!(pushed.expect_header("Docker-Content-Digest"), digest);
        assert!(pushed.body.is_empty());
        registry.get(pushed.expect_header("Location")).send().expect(200);
    }
}

fn a_push_may_be_repeated(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);

    let first = registry.put_manifest("a", "v1", &image.manifest).expect(201);
    let second = registry.put_manifest("a", "v1", &image.manifest).expect(201);

    assert_eq!(first.expect_header("Location"), second.expect_header("Location"));
}

fn a_push_by_digest_writes_no_tag(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);

    registry.push_manifest("a", &image.digest().to_string(), &image.manifest);

    assert_eq!(registry.get("/v2/a/tags/list").send().expect(200).text(), r#"{"name":"a","tags":[]}"#);
}

fn a_manifest_with_another_digest_is_not_stored(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let other = Digest::sha256(b"other");

    registry.put_manifest("a", &other.to_string(), &image.manifest).refused(Failure::DigestMismatch);

    let computed = image.digest();
    registry.get(format!("/v2/a/manifests/{other}")).send().expect(404);
    registry.get(format!("/v2/a/manifests/{computed}")).send().expect(404);
}

fn a_tag_outside_the_grammar_is_not_written(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let digest = image.digest();
    let long = "x".repeat(129);

    for tag in [".dot", "-dash", "a+b", "sp%20ace", "%C3%BC", &long] {
        registry.put_manifest("a", tag, &image.manifest).refused(Failure::TagInvalid);
        let beside = format!("{digest}?tag=fine&tag={tag}");
        registry.put_manifest("a", &beside, &image.manifest).refused(Failure::TagInvalid);
    }

    registry.get("/v2/a/manifests/fine").send().expect(404);
}

fn one_push_may_write_many_tags(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let query = (0..10).fold(String::new(), |mut query, n| {
        write!(query, "&tag=v{n}").unwrap();
        query
    });

    let reference = format!("{}?{}", image.digest(), &query[1..]);
    let pushed = registry.put_manifest("a", &reference, &image.manifest).expect(201);

    let mut written: Vec<String> =
        pushed.all("OCI-Tag").iter().flat_map(|value| value.split(", ")).map(str::to_owned).collect();
    written.sort();
    assert_eq!(written, (0..10).map(|n| format!("v{n}")).collect::<Vec<_>>());
    for tag in written {
        registry.get(format!("/v2/a/manifests/{tag}")).send().expect(200);
    }
}

fn too_many_tags_are_refused_whole(setup: Setup) {
    let registry = setup.domain(|config| config.max_tags_per_push = 12).start();
    let image = prepared(&registry);
    let tags = |count: usize| (0..count).map(|n| format!("tag=v{n}")).collect::<Vec<_>>().join("&");

    let reference = format!("{}?{}", image.digest(), tags(13));
    registry.put_manifest("a", &reference, &image.manifest).refused(Failure::TooManyTags);

    registry.get("/v2/a/manifests/v0").send().expect(404);
    registry.put_manifest("a", &format!("{}?{}", image.digest(), tags(12)), &image.manifest).expect(201);
}

fn a_subject_need_not_exist_and_is_acknowledged(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let subject = descriptor(OCI_MANIFEST, b"not pushed yet");
    let signature = build::Image::oci(descriptor(OCI_CONFIG, &image.config)).subject(subject.clone()).build();
    let index = build::Index::oci().subject(subject.clone()).artifact_type("application/x").build();

    for manifest in [signature, index] {
        let pushed = registry.put_manifest("a", "referrer", &manifest).expect(201);
        assert_eq!(pushed.expect_header("OCI-Subject"), subject.digest.to_string());
    }
    let plain = registry.put_manifest("a", "plain", &image.manifest).expect(201);
    assert_eq!(plain.header("OCI-Subject"), None);
}

/// An image manifest padded to exactly `length` bytes.
fn padded(image: &Image, length: usize) -> Built {
    let text = String::from_utf8(image.manifest.bytes.clone()).unwrap();
    let mut bytes = text.into_bytes();
    bytes.extend(std::iter::repeat_n(b' ', length - bytes.len()));
    Built { bytes, ..image.manifest.clone() }
}

fn a_manifest_of_the_largest_size_is_accepted_and_one_byte_more_is_not(setup: Setup) {
    let registry = setup.domain(|config| config.max_manifest_bytes = 4 * MIB as u64).start();
    let image = prepared(&registry);

    registry.push_manifest("a", "largest", &padded(&image, 4 * MIB));
    let larger = padded(&image, 4 * MIB + 1);
    registry.put_manifest("a", "larger", &larger).refused(Failure::ManifestTooLarge);
    let streamed = registry.put("/v2/a/manifests/larger").chunked(&larger.bytes, 64 * 1024);
    streamed.header("Content-Type", OCI_MANIFEST).send().refused(Failure::ManifestTooLarge);
}

/// S-01: neither an announced nor an endless manifest is read into memory.
fn a_gigantic_manifest_is_refused_before_it_is_read(setup: Setup) {
    let registry = setup.start();

    // Only the announcement is sent; an answer that waited for the body would never come.
    let announced = registry.put("/v2/a/manifests/v1").header("Content-Length", 100 * MIB);
    announced.header("Content-Type", OCI_MANIFEST).send().refused(Failure::ManifestTooLarge);
    let mut endless = b"1000000\r\n".to_vec();
    endless.extend(std::iter::repeat_n(b'[', 9 * MIB));
    let streamed = registry.put("/v2/a/manifests/v1").header("Transfer-Encoding", "chunked").raw(endless);
    streamed.header("Content-Type", OCI_MANIFEST).send().refused(Failure::ManifestTooLarge);
}

fn the_content_type_may_have_parameters_or_be_missing(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let put = |header: Option<&str>, bytes: &[u8]| {
        let mut request = registry.put("/v2/a/manifests/v1").body(bytes);
        if let Some(header) = header {
            request = request.header("Content-Type", header);
        }
        request.send().expect(201);
        registry.get("/v2/a/manifests/v1").send().expect(200).expect_header("Content-Type").to_owned()
    };
    let text = String::from_utf8(image.manifest.bytes.clone()).unwrap();
    let untyped = text.replace(&format!("\"mediaType\":\"{OCI_MANIFEST}\",\"config\""), "\"config\"");
    assert_ne!(untyped, text);

    assert_eq!(put(Some(&format!("{OCI_MANIFEST};charset=utf-8")), text.as_bytes()), OCI_MANIFEST);
    assert_eq!(put(None, text.as_bytes()), OCI_MANIFEST);
    assert_eq!(put(Some(""), text.as_bytes()), OCI_MANIFEST);
    assert_eq!(put(Some(OCI_MANIFEST), untyped.as_bytes()), OCI_MANIFEST);
    assert_eq!(put(None, untyped.as_bytes()), OCI_MANIFEST);
    assert_eq!(put(None, br#"{"schemaVersion":2,"manifests":[]}"#), OCI_INDEX);
}

fn a_header_and_a_document_that_disagree_are_refused(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);

    for wrong in [OCI_INDEX, DOCKER_MANIFEST, "application/octet-stream", "nonsense", "a/b/c"] {
        let request = registry.put("/v2/a/manifests/v1").header("Content-Type", wrong);
        request.body(image.manifest.bytes.clone()).send().refused(Failure::ManifestInvalid);
    }

    registry.get("/v2/a/manifests/v1").send().expect(404);
}

fn types_this_registry_does_not_know_are_refused(setup: Setup) {
    let registry = setup.start();
    let schema1 = r#"{"schemaVersion":1,"name":"a","tag":"v1","fsLayers":[],"history":[],"signatures":[]}"#;

    for media_type in [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, "application/vnd.unknown+json"] {
        registry.put_manifest("a", "v1", &built(media_type, schema1)).refused(Failure::ManifestInvalid);
    }
    let artifact = format!(r#"{{"mediaType":"{OCI_ARTIFACT_MANIFEST}","artifactType":"a/b","blobs":[]}}"#);
    let artifact = built(OCI_ARTIFACT_MANIFEST, &artifact);
    registry.put_manifest("a", "v1", &artifact).refused(Failure::ManifestInvalid);
}

/// D7: `manifests.unknown_types: store`.
fn types_this_registry_does_not_know_are_kept_as_they_are_where_that_is_switched_on(setup: Setup) {
    let registry = setup.domain(|config| config.manifests.store_unknown_types = true).start();
    let unknown = built("application/vnd.unknown+json", "not even JSON: {");

    registry.push_manifest("a", "v1", &unknown);

    let answer = registry.get("/v2/a/manifests/v1").send().expect(200);
    assert_eq!(answer.body, unknown.bytes);
    assert_eq!(answer.expect_header("Content-Type"), "application/vnd.unknown+json");
    // What the field has given up stays refused, and what is known is still looked into.
    registry.put_manifest("a", "v2", &built(DOCKER_SCHEMA1, "{}")).refused(Failure::ManifestInvalid);
    registry.put_manifest("a", "v2", &built(OCI_INDEX, "{}")).refused(Failure::ManifestInvalid);
}

fn docker_images_and_lists_are_stored_verbatim(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let docker = build::Image::docker(descriptor(DOCKER_CONFIG, &image.config))
        .layer(descriptor(DOCKER_LAYER, &image.layer))
        .build();
    let list = build::Index::docker().manifest(descriptor_of(&docker), None).build();

    for manifest in [docker, list] {
        registry.push_manifest("a", "docker", &manifest);
        let answer = registry.get("/v2/a/manifests/docker").send().expect(200);
        assert_eq!(answer.body, manifest.bytes);
        assert_eq!(answer.expect_header("Content-Type"), manifest.media_type.as_str());
    }
}

/// D6, and D18: charts, signatures and models are artifacts like these.
fn artifacts_of_every_shape_are_accepted(setup: Setup) {
    let registry = setup.start();
    let empty = descriptor(OCI_EMPTY, b"{}");
    registry.push_blob("a", b"{}");
    registry.push_blob("a", b"chart");
    let chart_layer = descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"chart");
    let chart_config = descriptor("application/vnd.cncf.helm.config.v1+json", b"{}");

    let no_layers = build::Image::oci(empty.clone()).artifact_type("application/vnd.example+json").build();
    let chart = build::Image::oci(chart_config).layer(chart_layer.clone()).annotation("a", "b").build();
    let listed = build::Index::oci().artifact_type("application/vnd.example.list+json").build();
    let data = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":"x/y","org.custom":{{"a":[1,null]}},
        "config":{{"mediaType":"{OCI_EMPTY}","digest":"{}","size":2,"data":"e30="}},"layers":[]}}"#,
        empty.digest
    );
    for manifest in [no_layers, chart, listed, built(OCI_MANIFEST, &data)] {
        let digest = registry.push_manifest("a", "artifact", &manifest);
        let answer = registry.get(format!("/v2/a/manifests/{digest}")).send().expect(200);
        assert_eq!(answer.body, manifest.bytes);
    }
}

/// The answer of a push does not depend on whether the body's length was announced.
fn a_manifest_may_come_in_chunks(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);

    let request = registry.put("/v2/a/manifests/v1").header("Content-Type", OCI_MANIFEST);
    request.chunked(&image.manifest.bytes, 7).send().expect(201);

    assert_eq!(registry.get("/v2/a/manifests/v1").send().expect(200).body, image.manifest.bytes);
}

fn a_manifest_whose_client_left_is_not_stored(setup: Setup) {
    let registry = setup.start();
    let image = prepared(&registry);
    let half = &image.manifest.bytes[..image.manifest.bytes.len() / 2];

    let request = registry.put("/v2/a/manifests/v1").header("Content-Length", image.manifest.bytes.len());
    request.header("Content-Type", OCI_MANIFEST).raw(half).abandon();

    registry.get("/v2/a/manifests/v1").send().expect(404);
}

on_every_store![
    a_push_answers_where_the_manifest_can_be_pulled,
    a_push_may_be_repeated,
    a_push_by_digest_writes_no_tag,
    a_manifest_with_another_digest_is_not_stored,
    a_tag_outside_the_grammar_is_not_written,
    one_push_may_write_many_tags,
    too_many_tags_are_refused_whole,
    a_subject_need_not_exist_and_is_acknowledged,
    a_manifest_of_the_largest_size_is_accepted_and_one_byte_more_is_not,
    a_gigantic_manifest_is_refused_before_it_is_read,
    the_content_type_may_have_parameters_or_be_missing,
    a_header_and_a_document_that_disagree_are_refused,
    types_this_registry_does_not_know_are_refused,
    types_this_registry_does_not_know_are_kept_as_they_are_where_that_is_switched_on,
    docker_images_and_lists_are_stored_verbatim,
    artifacts_of_every_shape_are_accepted,
    a_manifest_may_come_in_chunks,
    a_manifest_whose_client_left_is_not_stored,
];
