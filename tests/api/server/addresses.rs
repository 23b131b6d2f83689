//! Addresses in answers: row A29, reliability row 41, S-22, S-27; listeners: row A33.

use std::net::SocketAddr;

use entrepot_frontend::{ForwardedHeaders, Listener};
use entrepot_tests::http::Request;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

/// The `Location` of a fresh upload.
fn location(request: Request<'_>) -> String {
    request.empty().send().expect(202).expect_header("Location").to_owned()
}

fn nobody_bends_the_address_of_an_upload(setup: Setup) {
    let registry = setup.start();
    let post = || registry.post("/v2/a/blobs/uploads/");

    for (name, value) in [
        ("Host", "evil.example"),
        ("Host", ""),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "gopher"),
        ("Forwarded", "host=\"evil.example\";proto=https"),
        ("X-Original-URL", "/v2/evil/"),
        ("X-Forwarded-Prefix", "//evil.example"),
    ] {
        let location = location(post().header(name, value));
        assert!(location.starts_with("/v2/a/blobs/uploads/"), "{name}: {location}");
    }
}

fn a_configured_host_makes_addresses_absolute(setup: Setup) {
    let registry = setup.frontend(|config| config.host = Some("https://r.example.com".into())).start();

    let location = location(registry.post("/v2/a/blobs/uploads/").header("Host", "evil.example"));

    assert!(location.starts_with("https://r.example.com/v2/a/blobs/uploads/"), "{location}");
}

fn forwarded_headers_count_from_trusted_proxies_only(setup: Setup) {
    let absolute = setup.frontend(|config| config.relative_urls = false);
    let trusting =
        absolute.clone().frontend(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let standard = trusting.clone().frontend(|config| config.forwarded_headers = ForwardedHeaders::Forwarded);
    let other =
        absolute.clone().frontend(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]);
    let told = |setup: &Setup, name: &str, value: &str| {
        let registry = setup.start();
        let post = registry.post("/v2/a/blobs/uploads/").header("Host", "inside:5000");
        location(post.header(name, value))
    };
    let forwarded = "host=r.example.com;proto=https";

    assert!(told(&standard, "Forwarded", forwarded).starts_with("https://r.example.com/v2/"));
    assert!(told(&standard, "X-Forwarded-Host", "r.example.com").starts_with("http://inside:5000/v2/"));
    assert!(told(&trusting, "Forwarded", forwarded).starts_with("http://inside:5000/v2/"));
    assert!(told(&trusting, "X-Forwarded-Host", "r.example.com").starts_with("http://r.example.com/v2/"));
    assert!(told(&trusting, "X-Forwarded-Host", "r.example.com/evil?").starts_with("/v2/"));
    for distrusting in [&absolute, &other] {
        assert!(told(distrusting, "Forwarded", forwarded).starts_with("http://inside:5000/v2/"));
        assert!(told(distrusting, "X-Forwarded-Host", "evil").starts_with("http://inside:5000/v2/"));
    }
}

fn an_upload_goes_on_at_its_absolute_address(setup: Setup) {
    let registry = setup.frontend(|config| config.host = Some("https://r.example.com".into())).start();
    let location = location(registry.post("/v2/a/blobs/uploads/"));

    // A proxy may send the whole address in the request line.
    registry.patch(&location).body(b"content").send().expect(202);
    registry.patch(location.strip_prefix("https://r.example.com").unwrap()).body(b"more").send();
}

fn ipv6_alone_is_enough(setup: Setup) {
    let loopback: SocketAddr = "[::1]:0".parse().unwrap();
    let registry = setup.frontend(|config| config.listeners = vec![Listener::plain(loopback)]).start();

    registry.push_some_image("a", "v1");

    assert!(registry.address().is_ipv6());
    registry.get("/v2/a/manifests/v1").send().expect(200);
}

on_every_store![
    nobody_bends_the_address_of_an_upload,
    a_configured_host_makes_addresses_absolute,
    forwarded_headers_count_from_trusted_proxies_only,
    an_upload_goes_on_at_its_absolute_address,
    ipv6_alone_is_enough,
];
