//! Too much and too slow: reliability rows 43 and 44. Limits are set low; nothing is asserted about time
//! but that an end comes.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;

/// Short for a test, and long enough for a machine that is busy with other things.
const SHORT: Duration = Duration::from_secs(6);

fn too_long_an_address_is_refused(setup: Setup) {
    let registry = setup.start();

    registry.get(format!("/v2/{}/tags/list", "a".repeat(40_000))).send().refused(Failure::UriTooLong);
    // Past 64 KiB the HTTP library finds no request in it at all.
    let longest = registry.get(format!("/v2/{}/tags/list", "a".repeat(100_000))).send();
    assert!([400, 414].contains(&longest.status), "{longest}");
    registry.get(format!("/v2/a/tags/list?x={}", "a".repeat(40_000))).send().refused(Failure::UriTooLong);
}

fn too_many_or_too_large_headers_are_refused(setup: Setup) {
    let registry = setup.start();
    let many = (0..10_000).fold(registry.get("/v2/"), |get, n| get.header(&format!("X-{n}"), "x"));
    let large = registry.get("/v2/").header("X-Large", "x".repeat(1_000_000));

    // Answered below the table, by the HTTP library: the status is all there is.
    for answer in [many.send(), large.send()] {
        assert_eq!(answer.status, Failure::HeadersTooLarge.status().code(), "{answer}");
    }
    registry.get("/v2/").send().expect(200);
}

fn slow_headers_end(setup: Setup) {
    let registry = setup.frontend(|config| config.timeouts.header = SHORT).start();
    let mut connection = registry.connect();

    connection.write(b"GET /v2/ HTTP/1.1\r\nHost: r\r\nX-Slow:");
    let answer = connection.rest();

    let text = String::from_utf8_lossy(&answer);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
    registry.get("/v2/").send().expect(200);
}

fn slow_headers_of_a_later_request_end_too(setup: Setup) {
    let registry = setup.frontend(|config| config.timeouts.header = SHORT).start();
    let mut connection = registry.connect();
    registry.get("/v2/").on(&mut connection).expect(200);

    connection.write(b"GET /v2/ HTTP/1.1\r\nHost: r\r\nX-Slow:");

    let text = String::from_utf8_lossy(&connection.rest()).into_owned();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
}

fn silent_connections_end(setup: Setup) {
    let setup = setup.frontend(|config| {
        config.timeouts.header = SHORT;
        config.timeouts.idle = SHORT;
    });
    let registry = setup.start();
    let mut idle = registry.connect();
    registry.get("/v2/").on(&mut idle).expect(200);
    let mut silent = registry.connect();

    silent.rest();
    idle.rest();

    registry.get("/v2/").send().expect(200);
}

fn a_slow_body_ends_and_what_arrived_is_kept(setup: Setup) {
    let setup = setup.frontend(|config| {
        config.timeouts.body_window = SHORT;
        config.timeouts.min_body_rate = 1000;
    });
    let registry = setup.start();
    let location = registry.open_upload("a");

    let patch = registry.patch(&location).header("Content-Length", 1000).raw(b"01234");
    let answer = patch.send();

    answer.refused(Failure::BodyTimeout);
    let status = registry.get(&location).send().expect(204);
    assert_eq!(status.expect_header("Range"), "0-4");
}

fn a_slow_manifest_ends(setup: Setup) {
    let setup = setup.frontend(|config| {
        config.timeouts.body_window = SHORT;
        config.timeouts.min_body_rate = 1000;
    });
    let registry = setup.start();

    let put = registry.put("/v2/a/manifests/v1").header("Content-Length", 1000).raw(b"{");

    put.send().refused(Failure::BodyTimeout);
}

on_every_store![
    too_long_an_address_is_refused,
    too_many_or_too_large_headers_are_refused,
    slow_headers_end,
    slow_headers_of_a_later_request_end_too,
    silent_connections_end,
    a_slow_body_ends_and_what_arrived_is_kept,
    a_slow_manifest_ends,
];
