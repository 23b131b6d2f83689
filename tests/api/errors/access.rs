//! No way around the door: S-18, S-20, S-26; reliability row 7. What each door asks for is auth's affair.

use entrepot_api::{Access, ENDPOINTS, Failure};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

use super::sample::Content;

fn without_credentials_nothing_opens(setup: Setup) {
    let content = Content::prepare(&setup.start());
    let guarded = setup.guarded().start();

    for row in ENDPOINTS.iter().filter(|row| row.access != Access::None) {
        for authorization in [None, Some("Bearer nobody"), Some("Basic YW5uOmFubg=="), Some(""), Some("ann")]
        {
            let mut request = content.sample(row.id, &guarded);
            if let Some(authorization) = authorization {
                request = request.header("Authorization", authorization);
            }
            request.send().has_refusal_head(Failure::Unauthorized);
        }
    }
}

fn the_challenge_names_what_the_request_needs(setup: Setup) {
    let guarded = setup.guarded().start();
    let challenge = |method: &str, target: &str| {
        let refused = guarded.request(method, target).send().expect(401);
        refused.expect_header("WWW-Authenticate").to_owned()
    };
    let realm = "Bearer realm=\"https://auth.example/token\",service=\"registry\"";

    assert_eq!(challenge("GET", "/v2/"), realm);
    for (method, target, scope) in [
        ("GET", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/v1", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/v1", "repository:a/b:delete"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
    ] {
        assert_eq!(challenge(method, target), format!("{realm},scope=\"{scope}\""));
    }
}

/// Variants of an address lead to the same door or to none.
fn no_spelling_of_an_address_avoids_the_door(setup: Setup) {
    Content::prepare(&setup.start());
    let guarded = setup.guarded().start();

    for target in [
        "/v2/private/app/manifests/v1",
        "//v2/private/app/manifests/v1",
        "/v2//private/app/manifests/v1",
        "/v2/private//app/manifests/v1",
        "/v2/private/app/manifests/v1/",
        "/v2/private/app//manifests/v1",
        "/V2/private/app/manifests/v1",
        "/v2/private%2fapp/manifests/v1",
        "/v2/private/app/%6danifests/v1",
        "/v2/./private/app/manifests/v1",
        "/v2/public/../private/app/manifests/v1",
        "/v2/private/app/manifests/v1?x=/public",
        "/v2/private/app/manifests/v1;x",
        "/v2\\private\\app\\manifests\\v1",
        "http://elsewhere/v2/private/app/manifests/v1",
    ] {
        let answer = guarded.get(target).send();
        assert!([400, 401, 404].contains(&answer.status), "{target}: {answer}");
        assert!(!answer.text().contains("schemaVersion"), "{target}: {answer}");
    }
}

/// S-18: what exists and what does not look alike to those who may not look.
fn what_is_hidden_looks_like_what_is_not_there(setup: Setup) {
    Content::prepare(&setup.start());
    let guarded = setup.guarded().start();

    for authorization in ["Bearer bob", "Bearer nobody"] {
        for target in ["manifests/v1", "tags/list", "manifests/absent"] {
            let ask = |name: &str| {
                let request = guarded.get(format!("/v2/private/{name}/{target}"));
                let mut answer = request.header("Authorization", authorization).send();
                answer.headers.retain(|(name, _)| name != "x-request-id" && name != "date");
                answer.headers.sort();
                answer.to_string().replace(&format!("private/{name}"), "")
            };
            assert_eq!(ask("app"), ask("nil"));
        }
    }
}

on_every_store![
    without_credentials_nothing_opens,
    the_challenge_names_what_the_request_needs,
    no_spelling_of_an_address_avoids_the_door,
    what_is_hidden_looks_like_what_is_not_there,
];
