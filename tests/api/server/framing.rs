//! Where one request ends and the next begins: S-39, pipelining, bodies nobody reads.

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::http::Client;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{noise, with_digest};

fn requests_may_follow_without_waiting(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("a", "v1");
    let mut connection = registry.connect();
    let requests = [
        registry.get("/v2/a/manifests/v1").into_bytes("r"),
        registry.head("/v2/a/manifests/v1").into_bytes("r"),
        registry.get("/v2/a/manifests/v2").into_bytes("r"),
        registry.post("/v2/a/blobs/uploads/").empty().into_bytes("r"),
        registry.get("/v2/").into_bytes("r"),
    ];

    connection.write(&requests.concat());

    for (method, status) in [("GET", 200), ("HEAD", 200), ("GET", 404), ("POST", 202), ("GET", 200)] {
        connection.response_to(method).expect(status);
    }
}

/// A refused body, short or long, is never taken for the next request.
fn a_refused_body_is_not_the_next_request(setup: Setup) {
    let registry = setup.start();
    let smuggled = b"GET /v2/_catalog HTTP/1.1\r\nHost: r\r\n\r\n";
    for padding in [0, 100_000, 5_000_000] {
        let mut body = noise(1, padding);
        body.extend_from_slice(smuggled);
        let mut connection = registry.connect();

        let refused = registry.put("/v2/UPPER/manifests/v1").body(body).on(&mut connection);

        refused.refused(Failure::NameInvalid);
        connection.finish_writing();
        let more = connection.rest();
        assert!(more.is_empty(), "{padding}: {}", String::from_utf8_lossy(&more));
    }
}

/// Requests whose length two readers could take differently: one of them must be refused, and nothing in
/// their bodies is ever served.
fn ambiguous_lengths_are_refused(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("secret", "v1");
    let smuggled = "GET /v2/secret/tags/list HTTP/1.1\r\nHost: r\r\n\r\n";
    let length = smuggled.len();
    for framing in [
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length: {length}, {length}\r\n"),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 0x10\r\n".to_owned(),
        "Content-Length : 3\r\n".to_owned(),
        " Content-Length: 3\r\n".to_owned(),
    ] {
        let mut connection = registry.connect();
        let head = format!("POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: r\r\n{framing}\r\n");
        connection.write_if_open(format!("{head}0\r\n\r\n{smuggled}").as_bytes());
        connection.finish_writing();

        let answers = connection.rest();

        let text = String::from_utf8_lossy(&answers).into_owned();
        assert!(!text.contains("\"tags\""), "{framing:?} let a second request through: {text}");
        // Chunked with a length is the one that RFC 9112 lets a server read as chunked, if it closes.
        if !framing.contains("Transfer-Encoding: chunked\r\n") {
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{framing:?}: {text}");
        }
    }
}

/// pingora, RUSTSEC-2026-0033: a body of an old version's framing is no second request.
fn an_old_version_cannot_smuggle(setup: Setup) {
    let registry = setup.start();
    registry.push_some_image("secret", "v1");
    let smuggled = "GET /v2/secret/tags/list HTTP/1.1\r\nHost: r\r\n\r\n";
    let mut connection = registry.connect();
    let head = "POST /v2/a/blobs/uploads/ HTTP/1.0\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n";

    connection.write_if_open(format!("{head}0\r\n\r\n{smuggled}").as_bytes());
    connection.finish_writing();

    let text = String::from_utf8_lossy(&connection.rest()).into_owned();
    assert!(!text.contains("\"tags\""), "{text}");
}

fn chunks_that_are_none_never_become_a_blob(setup: Setup) {
    let registry = setup.start();
    let digest = Digest::sha256(b"content");
    for coding in [
        "7\r\ncontent",
        "7\r\ncontent\r\n",
        "zz\r\ncontent\r\n0\r\n\r\n",
        "7\r\ncontentX\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\ncontent\r\n0\r\n\r\n",
        "-7\r\ncontent\r\n0\r\n\r\n",
    ] {
        let mut connection = registry.connect();
        let target = with_digest(&registry.open_upload("a"), digest);
        let put = registry.put(target).header("Transfer-Encoding", "chunked").raw(coding);
        connection.write_if_open(&put.into_bytes("r"));
        connection.finish_writing();

        let text = String::from_utf8_lossy(&connection.rest()).into_owned();

        assert!(!text.starts_with("HTTP/1.1 201"), "{coding:?}: {text}");
        registry.head(format!("/v2/a/blobs/{digest}")).send().expect(404);
    }
}

fn what_is_no_request_is_refused_and_the_server_lives_on(setup: Setup) {
    let registry = setup.start();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nBad\x00Header: x\r\n\r\n",
        b"GET /v2/\x00 HTTP/1.1\r\nHost: r\r\n\r\n",
        b"\r\n\r\n\r\n\x00\xff\xfe",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut connection = registry.connect();
        connection.write_if_open(bytes);
        connection.finish_writing();

        let answer = connection.rest();

        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
        registry.get("/v2/").send().expect(200);
    }
}

fn every_answer_is_framed(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    let client: &Client = &registry;
    let mut connection = registry.connect();

    for request in [
        client.get("/v2/"),
        client.get("/v2/a/manifests/v1"),
        client.get("/v2/a/manifests/v1").header("If-None-Match", "*"),
        client.get(format!("/v2/a/blobs/{}", image.digest())),
        client.get("/v2/a/tags/list"),
        client.get("/nowhere"),
        client.post("/v2/a/blobs/uploads/").empty(),
        client.request("OPTIONS", "/v2/"),
    ] {
        let answer = request.on(&mut connection);
        let framed = answer.header("Content-Length").is_some()
            || answer.header("Transfer-Encoding").is_some()
            || [204, 304].contains(&answer.status);
        assert!(framed, "{answer}");
    }
}

on_every_store![
    requests_may_follow_without_waiting,
    a_refused_body_is_not_the_next_request,
    ambiguous_lengths_are_refused,
    an_old_version_cannot_smuggle,
    chunks_that_are_none_never_become_a_blob,
    what_is_no_request_is_refused_and_the_server_lives_on,
    every_answer_is_framed,
];
