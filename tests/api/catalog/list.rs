//! `GET /v2/_catalog`: rows C5 and C7, S-02.

use entrepot_api::Failure;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use serde_json::json;

fn an_empty_registry_has_an_empty_catalog(setup: Setup) {
    let registry = setup.start();

    let answer = registry.get("/v2/_catalog").send().expect(200);

    assert_eq!(answer.text(), r#"{"repositories":[]}"#);
    assert_eq!(answer.expect_header("Content-Type"), "application/json");
}

fn repositories_with_manifests_are_listed(setup: Setup) {
    let registry = setup.start();
    for name in ["b", "a/c", "a", "a-b", "a/b/c"] {
        registry.push_some_image(name, "v1");
    }
    registry.push_blob("blobs/only", b"content");
    registry.open_upload("nothing/yet");

    let answer = registry.get("/v2/_catalog").send().expect(200);

    assert_eq!(answer.json(), json!({ "repositories": ["a", "a/b/c", "a/c", "a-b", "b"] }));
}

fn pages_follow_one_another(setup: Setup) {
    let registry = setup.frontend(|config| config.lists.catalog_page = 2).start();
    let names = ["a", "a/x", "a/y", "b", "c"];
    for name in names {
        registry.push_some_image(name, "v1");
    }

    for first in ["/v2/_catalog", "/v2/_catalog?n=2", "/v2/_catalog?n=1", "/v2/_catalog?n=4"] {
        let (mut found, mut target) = (Vec::new(), Some(first.to_owned()));
        while let Some(here) = target {
            let answer = registry.get(here).send().expect(200);
            let page = answer.json()["repositories"].as_array().unwrap().clone();
            found.extend(page.iter().map(|name| name.as_str().unwrap().to_owned()));
            target = answer.next_page();
        }
        assert_eq!(found, names, "{first}");
    }
}

fn a_page_beyond_the_limit_is_refused(setup: Setup) {
    let registry = setup.start();

    for n in
        ["1001", "9999999999", "2147483648", "9223372036854775808", "18446744073709551616", "-1", "abc", ""]
    {
        registry.get(format!("/v2/_catalog?n={n}")).send().refused(Failure::PaginationInvalid);
    }
    registry.get("/v2/_catalog?n=1000").send().expect(200);
}

fn an_empty_page_has_no_link(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("a", "v1");

    let answer = registry.get("/v2/_catalog?n=0").send().expect(200);

    assert_eq!((answer.text(), answer.header("Link")), (r#"{"repositories":[]}"#, None));
}

on_every_store![
    an_empty_registry_has_an_empty_catalog,
    repositories_with_manifests_are_listed,
    pages_follow_one_another,
    a_page_beyond_the_limit_is_refused,
    an_empty_page_has_no_link,
];
