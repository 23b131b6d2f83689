//! `GET /v2/<name>/tags/list`: rows C1-C4, reliability row 26, S-02.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_storage::decorate::{Effect, Operation, Rule};
use entrepot_tests::http::Client;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::{Image, Setup};
use serde_json::json;

/// Pushes one image to `a` under these tags.
fn tagged(client: &Client, tags: &[&str]) {
    let image = Image::called("tagged");
    client.push_blob("a", &image.config);
    client.push_blob("a", &image.layer);
    for tag in tags {
        client.push_manifest("a", tag, &image.manifest);
    }
}

fn tags_come_in_byte_order(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["v1", "latest", "_", "V1", "1.0", "v1.0", "v1-a", "v10", "v1_a"]);

    let answer = registry.get("/v2/a/tags/list").send().expect(200);

    assert_eq!(
        answer.text(),
        r#"{"name":"a","tags":["1.0","V1","_","latest","v1","v1-a","v1.0","v10","v1_a"]}"#
    );
    assert_eq!(answer.expect_header("Content-Type"), "application/json");
    assert_eq!(answer.header("Link"), None);
}

fn a_repository_without_tags_has_an_empty_list(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["v1"]);
    registry.delete("/v2/a/manifests/v1").send().expect(202);

    assert_eq!(registry.get("/v2/a/tags/list").send().expect(200).text(), r#"{"name":"a","tags":[]}"#);
}

fn a_repository_that_never_was_is_told(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("a/b", "v1");

    for name in ["nowhere", "a", "a/b/c"] {
        registry.get(format!("/v2/{name}/tags/list")).send().refused(Failure::NameUnknown);
        registry.get(format!("/v2/{name}/tags/list?n=0")).send().refused(Failure::NameUnknown);
    }
}

fn pages_follow_one_another(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["t1", "t2", "t3", "t4", "t5"]);

    let first = registry.get("/v2/a/tags/list?n=2&x=y%20z").send().expect(200);
    assert_eq!(first.json()["tags"], json!(["t1", "t2"]));
    let link = first.next_page().unwrap();
    assert_eq!(link, "/v2/a/tags/list?x=y%20z&n=2&last=t2");
    let second = registry.get(link).send().expect(200);
    assert_eq!(second.json()["tags"], json!(["t3", "t4"]));
    let third = registry.get(second.next_page().unwrap()).send().expect(200);

    assert_eq!(third.json()["tags"], json!(["t5"]));
    assert_eq!(third.next_page(), None);
}

fn there_is_no_link_after_the_last(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["t1", "t2"]);

    for n in [2, 3] {
        let answer = registry.get(format!("/v2/a/tags/list?n={n}")).send().expect(200);
        assert_eq!((answer.json()["tags"].clone(), answer.next_page()), (json!(["t1", "t2"]), None));
    }
}

fn last_is_excluded_and_need_not_exist(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["b", "d", "f"]);

    for (last, expected) in
        [("b", json!(["d", "f"])), ("c", json!(["d", "f"])), ("a", json!(["b", "d", "f"])), ("z", json!([]))]
    {
        let answer = registry.get(format!("/v2/a/tags/list?last={last}")).send().expect(200);
        assert_eq!(answer.json()["tags"], expected, "{last}");
    }
}

fn hostile_values_of_last_are_only_text(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["v1"]);

    for last in ["../../b", "%00", "%2f", "%ff", &"x".repeat(2000), "/", "!"] {
        registry.get(format!("/v2/a/tags/list?last={last}")).send().expect(200);
    }
}

fn an_empty_page_has_no_link(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["t1"]);

    let answer = registry.get("/v2/a/tags/list?n=0").send().expect(200);

    assert_eq!((answer.text(), answer.header("Link")), (r#"{"name":"a","tags":[]}"#, None));
}

fn what_is_no_number_is_refused(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["t1"]);

    for n in ["-1", "abc", "", "1.5", "+1", "0x10", "18446744073709551616", "%20"] {
        registry.get(format!("/v2/a/tags/list?n={n}")).send().refused(Failure::PaginationInvalid);
    }
}

/// CVE-2023-2253: a page is as long as it is, not as long as somebody wishes.
fn a_page_beyond_the_limit_is_cut(setup: Setup) {
    let registry = setup.frontend(|config| config.lists.max_tags = 3).start();
    tagged(&registry, &["t1", "t2", "t3", "t4"]);

    for query in ["", "?n=4", "?n=1000000000", "?n=2147483648", "?n=9223372036854775808"] {
        let answer = registry.get(format!("/v2/a/tags/list{query}")).send().expect(200);
        assert_eq!(answer.json()["tags"], json!(["t1", "t2", "t3"]), "{query}");
        let rest = registry.get(answer.next_page().unwrap()).send().expect(200);
        assert_eq!((rest.json()["tags"].clone(), rest.next_page()), (json!(["t4"]), None));
    }
}

/// C4: one listing for a page, and no look at any tag.
fn a_page_costs_one_listing(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    let tags: Vec<String> = (0..60).map(|n| format!("v{n}")).collect();
    tagged(&registry, &tags.iter().map(String::as_str).collect::<Vec<_>>());
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)).on(Operation::Get).on(Operation::Stat));
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)).on(Operation::List));

    registry.get("/v2/a/tags/list?n=50").send().expect(200);

    assert_eq!(controls.struck(), 1);
}

fn head_has_the_headers_of_get(setup: Setup) {
    let registry = setup.start();
    tagged(&registry, &["v1"]);

    let get = registry.get("/v2/a/tags/list").send().expect(200);
    let head = registry.head("/v2/a/tags/list").send().expect(200);

    assert_eq!(head.expect_header("Content-Length"), get.expect_header("Content-Length"));
}

on_every_store![
    tags_come_in_byte_order,
    a_repository_without_tags_has_an_empty_list,
    a_repository_that_never_was_is_told,
    pages_follow_one_another,
    there_is_no_link_after_the_last,
    last_is_excluded_and_need_not_exist,
    hostile_values_of_last_are_only_text,
    an_empty_page_has_no_link,
    what_is_no_number_is_refused,
    a_page_beyond_the_limit_is_cut,
    a_page_costs_one_listing,
    head_has_the_headers_of_get,
];
