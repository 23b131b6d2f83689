//! Methods a path does not accept: row A28; cross-origin requests: row A34.

use entrepot_api::{ENDPOINTS, Failure, Method, Resource, match_path};
use entrepot_frontend::Cors;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

use super::sample::{Content, NAME};

/// One address of each resource.
fn addresses(content: &Content) -> Vec<(Resource, String)> {
    let mut addresses: Vec<_> =
        ENDPOINTS.iter().map(|row| (row.resource, content.target(row.id, NAME))).collect();
    addresses.dedup_by_key(|(resource, _)| *resource);
    addresses
}

fn other_methods_are_told_which_are_accepted(setup: Setup) {
    let registry = setup.start();
    let content = Content::prepare(&registry);

    for (resource, target) in addresses(&content) {
        let accepted: Vec<_> = resource.methods().map(Method::as_str).collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "LINK", "PROPFIND"] {
            if accepted.contains(&method) {
                continue;
            }
            let answer = registry.request(method, &target).empty().send();
            answer.has_refusal_head(Failure::MethodUnsupported);
            assert_eq!(answer.expect_header("Allow"), resource.allow(), "{method} {target}");
        }
    }
}

fn options_are_answered_without_credentials(setup: Setup) {
    let content = Content::prepare(&setup.start());
    let guarded = setup.guarded().start();

    for (resource, target) in addresses(&content) {
        let answer = guarded.request("OPTIONS", &target).send().expect(204);
        assert_eq!(answer.expect_header("Allow"), resource.allow(), "{target}");
        assert!(answer.all("Access-Control-Allow-Origin").is_empty());
    }
}

fn paths_of_no_endpoint_are_not_found(setup: Setup) {
    let registry = setup.start();

    for target in ["/", "/v1/", "/v3/", "/v2/a", "/v2/_unknown", "/v2/a/tags", "/v2/a/manifests", "/metrics"]
    {
        assert!(match_path(target).is_none());
        registry.get(target).send().refused(Failure::RouteUnknown);
    }
}

fn browsers_of_configured_origins_are_let_in(setup: Setup) {
    let origin = "https://ui.example.com";
    let cors = Cors { allow_origins: vec![origin.to_owned()] };
    let registry = setup.frontend(|config| config.cors = Some(cors)).start();
    registry.push_some_image("a", "v1");

    let preflight = registry
        .request("OPTIONS", "/v2/a/manifests/v1")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "GET")
        .send()
        .expect(204);
    let read = registry.get("/v2/a/manifests/v1").header("Origin", origin).send().expect(200);
    let foreign = registry.get("/v2/a/manifests/v1").header("Origin", "https://evil.example").send();

    assert_eq!(preflight.expect_header("Access-Control-Allow-Origin"), origin);
    assert!(preflight.expect_header("Access-Control-Allow-Methods").contains("GET"));
    assert!(preflight.expect_header("Access-Control-Allow-Headers").contains("Authorization"));
    assert_eq!(read.expect_header("Access-Control-Allow-Origin"), origin);
    assert!(read.expect_header("Access-Control-Expose-Headers").contains("Docker-Content-Digest"));
    assert!(foreign.all("Access-Control-Allow-Origin").is_empty());
    assert_eq!(foreign.expect_header("Vary"), "Origin");
}

/// S-15: everybody, but then without credentials.
fn a_wildcard_never_comes_with_credentials(setup: Setup) {
    let cors = Cors { allow_origins: vec!["*".to_owned()] };
    let registry = setup.frontend(|config| config.cors = Some(cors)).start();

    let answer = registry.get("/v2/").header("Origin", "https://anybody.example").send().expect(200);

    assert_eq!(answer.expect_header("Access-Control-Allow-Origin"), "*");
    assert_eq!(answer.header("Access-Control-Allow-Credentials"), None);
}

on_every_store![
    other_methods_are_told_which_are_accepted,
    options_are_answered_without_credentials,
    paths_of_no_endpoint_are_not_found,
    browsers_of_configured_origins_are_let_in,
    a_wildcard_never_comes_with_credentials,
];
