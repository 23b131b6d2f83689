//! Conditional writes of tags: row A8.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::{Image, Setup};

fn put(client: &Client, image: &Image, header: &str, value: &str) -> Response {
    client
        .put("/v2/a/manifests/v1")
        .header("Content-Type", image.manifest.media_type.as_str())
        .header(header, value)
        .body(image.manifest.bytes.clone())
        .send()
}

/// Two images whose content is in `a`, the first of which is `v1`.
fn two_images(client: &Client) -> (Image, Image) {
    let first = client.push_some_image("a", "v1");
    let second = client.push_some_image("a", "other");
    (first, second)
}

fn named(client: &Client) -> String {
    let head = client.head("/v2/a/manifests/v1").send().expect(200);
    head.expect_header("Docker-Content-Digest").to_owned()
}

fn a_tag_that_must_not_exist_is_written_once(setup: Setup) {
    let registry = setup.start();
    let image = Image::called("first");
    registry.push_blob("a", &image.config);
    registry.push_blob("a", &image.layer);

    put(&registry, &image, "If-None-Match", "*").expect(201);
    let again = put(&registry, &image, "If-None-Match", "*").refused(Failure::TagConditionFailed);

    assert_eq!(again.errors().errors[0].detail, Some(serde_json::json!({ "tag": "v1" })));
}

fn a_tag_moves_from_where_the_client_saw_it(setup: Setup) {
    let registry = setup.start();
    let (first, second) = two_images(&registry);

    put(&registry, &second, "If-Match", &format!("\"{}\"", first.digest())).expect(201);

    assert_eq!(named(&registry), second.digest().to_string());
}

fn a_tag_stays_when_somebody_else_moved_it(setup: Setup) {
    let registry = setup.start();
    let (first, second) = two_images(&registry);
    let stale = format!("\"{}\"", Digest::sha256(b"stale"));

    put(&registry, &second, "If-Match", &stale).refused(Failure::TagConditionFailed);

    assert_eq!(named(&registry), first.digest().to_string());
}

/// RFC 9110, section 13.1.1: a weak tag never satisfies `If-Match`, and neither does one that is no digest.
fn weak_and_foreign_tags_satisfy_nothing(setup: Setup) {
    let registry = setup.start();
    let (first, second) = two_images(&registry);

    for tag in [format!("W/\"{}\"", first.digest()), "\"v1\"".to_owned(), String::new()] {
        put(&registry, &second, "If-Match", &tag).refused(Failure::TagConditionFailed);
    }

    assert_eq!(named(&registry), first.digest().to_string());
}

fn any_tag_is_one_that_exists(setup: Setup) {
    let registry = setup.start();
    let image = Image::called("first");
    registry.push_blob("a", &image.config);
    registry.push_blob("a", &image.layer);

    put(&registry, &image, "If-Match", "*").refused(Failure::TagConditionFailed);
    registry.push_manifest("a", "v1", &image.manifest);
    put(&registry, &image, "If-Match", "*").expect(201);
}

fn without_a_condition_the_last_writer_wins(setup: Setup) {
    let registry = setup.start();
    let (_, second) = two_images(&registry);

    registry.push_manifest("a", "v1", &second.manifest);

    assert_eq!(named(&registry), second.digest().to_string());
}

fn a_failed_condition_leaves_no_tag_behind(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "other");

    put(&registry, &image, "If-Match", &format!("\"{}\"", image.digest()))
        .refused(Failure::TagConditionFailed);

    registry.get("/v2/a/manifests/v1").send().refused(Failure::ManifestUnknown);
    assert_eq!(registry.get("/v2/a/tags/list").send().json()["tags"], serde_json::json!(["other"]));
}

on_every_store![
    a_tag_that_must_not_exist_is_written_once,
    a_tag_moves_from_where_the_client_saw_it,
    a_tag_stays_when_somebody_else_moved_it,
    weak_and_foreign_tags_satisfy_nothing,
    any_tag_is_one_that_exists,
    without_a_condition_the_last_writer_wins,
    a_failed_condition_leaves_no_tag_behind,
];
