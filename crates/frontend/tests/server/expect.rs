//! `Expect: 100-continue`: asked for the body only if it is wanted.

use super::support::{digest_of, open_upload, start};

#[test]
fn the_body_is_asked_for_once_everything_else_is_well() {
    let running = start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();

    client.write_head(&format!("PATCH {location}\nContent-Length: 5\nExpect: 100-continue"));
    assert_eq!(client.read(true).status, 100);
    client.write("hello");

    assert_eq!(client.read(false).status, 202);
    assert_eq!(client.send("GET /v2/").status, 200);
}

#[test]
fn a_request_that_would_be_refused_is_refused_without_its_body() {
    let running = start();
    let location = open_upload(&running, "a");
    let digest = digest_of(b"hello");
    let expecting = "Content-Length: 5\nExpect: 100-continue";
    for (request, status, code) in [
        ("PATCH /v2/UPPER/blobs/uploads/x".to_owned(), 400, "NAME_INVALID"),
        ("PATCH /v2/a/blobs/uploads/no-such".to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        (format!("PUT /v2/b{}&digest={digest}", &location[5..]), 404, "BLOB_UPLOAD_UNKNOWN"),
        (format!("PATCH {location}\nContent-Range: 9-13"), 416, "RANGE_INVALID"),
        (format!("PUT {location}&digest=sha256:0"), 400, "DIGEST_INVALID"),
        (format!("PUT {location}"), 400, "DIGEST_INVALID"),
        ("PUT /v2/a/manifests/-bad".to_owned(), 400, "TAG_INVALID"),
        ("PUT /nowhere".to_owned(), 404, "UNSUPPORTED"),
        ("PUT /v2/a/tags/list".to_owned(), 405, "UNSUPPORTED"),
    ] {
        let response = running.send(&format!("{request}\n{expecting}"));

        assert_eq!((response.status, response.code().as_str()), (status, code), "{request}");
        assert_eq!(response.header("docker-distribution-api-version"), Some("registry/2.0"));
        assert!(response.header("x-request-id").is_some());
    }
}

#[test]
fn a_repeated_commit_is_asked_for_its_body_and_succeeds() {
    let running = start();
    let location = open_upload(&running, "a");
    let digest = digest_of(b"hello");
    for _ in 0..2 {
        let mut client = running.connect();
        client
            .write_head(&format!("PUT {location}&digest={digest}\nContent-Length: 5\nExpect: 100-continue"));
        assert_eq!(client.read(true).status, 100);
        client.write("hello");
        assert_eq!(client.read(false).status, 201);
    }
}
