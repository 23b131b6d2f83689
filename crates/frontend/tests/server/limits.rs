//! Too much, too long, too slow, too clever.

use std::time::Duration;

use super::support::{Setup, open_upload, start};

#[test]
fn a_long_request_line_is_refused() {
    let running = start();

    let long = running.send(&format!("GET /v2/a/tags/list?last={}", "x".repeat(40_000)));
    let longer = running.send(&format!("GET /v2/a/tags/list?last={}", "x".repeat(100_000)));

    assert_eq!(long.status, 414);
    assert_eq!(longer.status, 400, "no address of this length can be read at all");
}

#[test]
fn too_many_or_too_large_headers_are_refused() {
    let running = start();
    let many: String = (0..200).map(|n| format!("\nX-{n}: y")).collect();

    assert_eq!(running.send(&format!("GET /v2/{many}")).status, 431);
    assert_eq!(running.send(&format!("GET /v2/\nX-Large: {}", "y".repeat(200_000))).status, 431);
}

#[test]
fn framing_that_two_servers_could_read_differently_is_refused() {
    let running = start();
    for request in [
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v2/a/blobs/uploads/ HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: b\r\n folded\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /v2/a\u{0}b HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut client = running.connect();
        client.write(request);
        assert_eq!(client.read(false).status, 400, "{request:?}");
    }
}

#[test]
fn names_that_climb_are_refused_and_never_resolved() {
    let running = start();
    for path in [
        "/v2/../../etc/passwd/tags/list",
        "/v2/%2e%2e%2f/tags/list",
        "/v2/a%00/tags/list",
        "/v2/a//b/tags/list",
        "/v2/a%252f/tags/list",
    ] {
        let response = running.send(&format!("GET {path}"));
        assert_eq!((response.status, response.code().as_str()), (400, "NAME_INVALID"), "{path}");
    }
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order_and_framed_by_their_own_method() {
    let running = start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();
    let head = |request: &str, more: &str| format!("{request} HTTP/1.1\r\nHost: x\r\n{more}\r\n");

    client.write(
        [
            head("GET /v2/", ""),
            head("HEAD /v2/", ""),
            head("GET /v2/x/tags/list", ""),
            head(&format!("PATCH {location}"), "Content-Length: 5\r\n"),
            "hello".to_owned(),
            head("HEAD /v2/x/tags/list", ""),
            head("POST /v2/a/blobs/uploads/", "Content-Length: 0\r\n"),
            head("GET /v2/_catalog", ""),
        ]
        .concat(),
    );

    for (is_head, status) in
        [(false, 200), (true, 200), (false, 404), (false, 202), (true, 404), (false, 202), (false, 200)]
    {
        assert_eq!(client.read(is_head).status, status);
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_served() {
    let running = start();
    let mut client = running.connect();

    for byte in b"\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nHEAD /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" {
        client.write([*byte]);
    }

    assert_eq!((client.read(false).status, client.read(true).status), (200, 200));
}

fn impatient() -> Setup {
    let mut setup = Setup::default();
    setup.config.timeouts.header = Duration::from_secs(3);
    setup.config.timeouts.body_window = Duration::from_secs(3);
    setup.config.timeouts.min_body_rate = 100;
    setup
}

#[test]
fn a_client_that_never_says_anything_is_dropped() {
    let running = impatient().start();
    let mut client = running.connect();

    let response = client.read(false);

    assert_eq!(response.status, 408);
    assert!(client.is_over());
}

#[test]
fn headers_of_a_later_request_have_a_limit_too() {
    let running = impatient().start();
    let mut client = running.connect();
    assert_eq!(client.send("GET /v2/").status, 200);

    client.write("GET /v2/ HT");

    assert!(client.is_over());
}

#[test]
fn a_body_that_stops_is_cut_off_and_what_arrived_is_kept() {
    let running = impatient().start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();

    client.write_with(&format!("PATCH {location}\nContent-Length: 100000"), "hello");
    let response = client.read(false);

    assert_eq!(response.status, 408, "{}", response.text());
    assert_eq!(running.send(&format!("GET {location}")).header("range"), Some("0-4"));
}
