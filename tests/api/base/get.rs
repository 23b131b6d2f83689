//! `GET /v2/`: rows A1, A2, A29.

use entrepot_api::Failure;
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::{Effect, Rule};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

fn the_base_says_that_this_is_a_registry(setup: Setup) {
    let registry = setup.start();

    let answer = registry.get("/v2/").send().expect(200);

    assert_eq!(answer.text(), "{}");
    assert_eq!(answer.expect_header("Content-Type"), "application/json");
    assert_eq!(answer.expect_header("Docker-Distribution-API-Version"), "registry/2.0");
}

fn head_of_the_base_has_the_headers_and_no_body(setup: Setup) {
    let registry = setup.start();
    let mut connection = registry.connect();

    let head = registry.head("/v2/").on(&mut connection).expect(200);
    // A body after the headers would be taken for the beginning of this answer.
    registry.get("/v2/").on(&mut connection).expect(200);

    assert_eq!(head.expect_header("Content-Length"), "2");
    assert_eq!(head.expect_header("Content-Type"), "application/json");
}

fn the_base_without_its_slash_leads_there(setup: Setup) {
    let registry = setup.start();

    for method in ["GET", "HEAD"] {
        let answer = registry.request(method, "/v2").send().expect(301);
        assert_eq!(answer.expect_header("Location"), "/v2/");
    }
}

fn every_answer_names_the_version_of_the_api(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("a", "v1");

    for (method, target, status) in [
        ("GET", "/v2/a/manifests/v1", 200),
        ("GET", "/v2/a/manifests/v2", 404),
        ("GET", "/v2/A/manifests/v1", 400),
        ("POST", "/v2/a/manifests/v1", 405),
        ("GET", "/v2/nothing/here", 404),
        ("GET", "/v2/a/tags/list?n=-1", 400),
    ] {
        let answer = registry.request(method, target).send().expect(status);
        assert_eq!(answer.expect_header("Docker-Distribution-API-Version"), "registry/2.0");
        assert_eq!(answer.expect_header("X-Content-Type-Options"), "nosniff");
    }
}

fn the_base_answers_while_the_store_does_not(setup: Setup) {
    let (setup, controls) = setup.breakable();
    let registry = setup.start();
    controls.add(Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: true })));

    registry.get("/v2/").send().expect(200);

    assert_eq!(controls.struck(), 0);
}

fn below_a_prefix_everything_lies_there_and_nothing_elsewhere(setup: Setup) {
    let registry = setup.frontend(|config| config.prefix = "/registry".into()).start();

    registry.get("/registry/v2/").send().expect(200);
    let bare = registry.get("/registry/v2").send().expect(301);
    let upload = registry.post("/registry/v2/a/blobs/uploads/").empty().send().expect(202);

    assert_eq!(bare.expect_header("Location"), "/registry/v2/");
    assert!(upload.expect_header("Location").starts_with("/registry/v2/a/blobs/uploads/"));
    registry.get("/v2/").send().refused(Failure::RouteUnknown);
}

fn configured_headers_are_on_every_answer(setup: Setup) {
    let configured = ("X-Frame-Options".to_owned(), "DENY".to_owned());
    let registry = setup.frontend(|config| config.headers = vec![configured]).start();

    for target in ["/v2/", "/v2/a/tags/list", "/elsewhere"] {
        assert_eq!(registry.get(target).send().expect_header("X-Frame-Options"), "DENY");
    }
}

on_every_store![
    the_base_says_that_this_is_a_registry,
    head_of_the_base_has_the_headers_and_no_body,
    the_base_without_its_slash_leads_there,
    every_answer_names_the_version_of_the_api,
    the_base_answers_while_the_store_does_not,
    below_a_prefix_everything_lies_there_and_nothing_elsewhere,
    configured_headers_are_on_every_answer,
];
