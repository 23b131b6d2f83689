//! Names that are none: row A19, reliability rows 1 and 2, S-29.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_storage::decorate::{Effect, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

/// Paths that lead to an endpoint, so that the name is what is wrong with them.
const WRONG_NAMES: &[&str] = &[
    "UPPER/x",
    "a..b",
    "a//b",
    "-a",
    "a-",
    "a/",
    "/a",
    "a_",
    "_a",
    "a/_uploads",
    "a___b",
    "a.-b",
    "a b",
    "ä",
    "a%2fb",
    "%2e%2e",
    "..",
    "../..",
    "a/../b",
    "a/./b",
    ".",
    "%00",
    "a%00",
    "..%5c",
    "a\\b",
    "%252e%252e",
    "a%0d%0ab",
    "a:b",
    "a@b",
    "!",
    "a!b",
];

fn a_name_outside_the_grammar_is_refused_by_every_verb(setup: Setup) {
    let registry = setup.start();

    for name in WRONG_NAMES.iter().filter(|name| !name.contains(' ') && name.is_ascii()) {
        for (method, rest) in [
            ("GET", "manifests/v1"),
            ("PUT", "manifests/v1"),
            ("DELETE", "manifests/v1"),
            ("GET", "tags/list"),
            ("POST", "blobs/uploads/"),
            ("PATCH", "blobs/uploads/0190"),
        ] {
            let answer = registry.request(method, format!("/v2/{name}/{rest}")).empty().send();
            answer.refused(Failure::NameInvalid);
        }
    }
}

/// What no URI may contain never reaches the router: any refusal will do.
fn bytes_that_no_path_has_are_refused(setup: Setup) {
    let registry = setup.start();

    for name in WRONG_NAMES.iter().filter(|name| name.contains(' ') || !name.is_ascii()) {
        let answer = registry.get(format!("/v2/{name}/tags/list")).send();
        assert_eq!(answer.status, 400, "{name}");
    }
}

fn the_longest_name_is_255_bytes(setup: Setup) {
    let registry = setup.start();
    let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));

    registry.push_some_image(&longest, "v1");
    registry.get(format!("/v2/{longest}/manifests/v1")).send().expect(200);
    registry.get(format!("/v2/{longest}c/manifests/v1")).send().refused(Failure::NameInvalid);
}

/// Each component may be called as the API's own words are.
fn names_made_of_the_apis_words_are_names(setup: Setup) {
    let registry = setup.start();
    for name in ["manifests", "blobs/uploads", "tags/list", "a/manifests/v1", "v2", "referrers/blobs/tags"] {
        let image = registry.push_some_image(name, "v1");
        let answer = registry.get(format!("/v2/{name}/manifests/v1")).send().expect(200);
        assert_eq!(answer.body, image.manifest.bytes, "{name}");
        let tags = registry.get(format!("/v2/{name}/tags/list")).send().expect(200);
        assert_eq!(tags.json()["name"], name);
    }
}

/// Nothing outside the store is ever read, and nothing wrong is asked of the store.
fn no_path_leads_out_of_the_store(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    controls.add(Rule::new(Effect::Delay(Duration::ZERO)));

    for target in [
        "/v2/../../etc/passwd",
        "/v2/%2e%2e/%2e%2e/etc/passwd",
        "/v2/..%2f..%2fetc/passwd",
        "/v2/..%5c..%5cetc/passwd",
        "/v2/%252e%252e%252fetc/passwd",
        "/../secret.json",
        "/v2/../secret.json",
        "/v2/a/manifests/../../../secret.json",
        "/v2/a/blobs/..%2f..%2fsecret.json",
        "/v2/a/blobs/uploads/..%2f..%2fsecret.json",
        "/v2/a/blobs/sha256:..%2f..%2fsecret.json",
        "/v2/%00/manifests/v1",
        "/etc/passwd",
        "//etc/passwd",
    ] {
        let answer = registry.get(target).send();
        assert!([400, 404].contains(&answer.status), "{target}: {answer}");
        assert!(!answer.text().contains("root:") && !answer.text().contains("\"key\""), "{target}");
    }
    assert_eq!(controls.struck(), 0);
}

/// S-23: whatever is reflected is JSON, never a page.
fn what_is_reflected_is_no_markup(setup: Setup) {
    let registry = setup.start();

    for target in ["/v2/%3Cscript%3E/tags/list", "/v2/a/manifests/%3Cimg%3E", "/v2/a/tags/list?n=%3Cb%3E"] {
        let answer = registry.get(target).send();
        assert!(answer.status >= 400);
        assert_eq!(answer.expect_header("Content-Type"), "application/json; charset=utf-8");
        assert_eq!(answer.expect_header("X-Content-Type-Options"), "nosniff");
    }
}

on_every_store![
    a_name_outside_the_grammar_is_refused_by_every_verb,
    bytes_that_no_path_has_are_refused,
    the_longest_name_is_255_bytes,
    names_made_of_the_apis_words_are_names,
    no_path_leads_out_of_the_store,
    what_is_reflected_is_no_markup,
];
