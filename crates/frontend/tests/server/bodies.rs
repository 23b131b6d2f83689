//! Bodies: ranges, and what happens to those nobody reads.

use std::io::Read;

use super::support::{Setup, digest_of, open_upload, push_blob, start};

#[test]
fn single_ranges_are_cut_out_of_the_blob() {
    let running = start();
    let digest = push_blob(&running, "a", b"0123456789");
    for (range, body, place) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=0-0,99-", "0", "bytes 0-0/10"),
    ] {
        let response = running.send(&format!("GET /v2/a/blobs/{digest}\nRange: {range}"));

        assert_eq!((response.status, response.text().as_str()), (206, body), "{range}");
        assert_eq!(response.header("content-range"), Some(place));
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
    }
}

#[test]
fn a_range_outside_the_blob_is_refused_with_its_size() {
    let running = start();
    let digest = push_blob(&running, "a", b"0123456789");
    for range in ["bytes=10-", "bytes=-0", "bytes=10-,20-30", "bytes=5-1"] {
        let response = running.send(&format!("GET /v2/a/blobs/{digest}\nRange: {range}"));

        assert_eq!((response.status, response.code().as_str()), (416, "RANGE_INVALID"), "{range}");
        assert_eq!(response.header("content-range"), Some("bytes */10"));
    }
}

#[test]
fn what_is_no_range_is_answered_whole() {
    let running = start();
    let digest = push_blob(&running, "a", b"0123456789");
    let empty = push_blob(&running, "a", b"");
    for header in ["Range: lines=1-2", "Range: bytes=x-1", "Range: bytes=0-1\nIf-Range: \"other\""] {
        let response = running.send(&format!("GET /v2/a/blobs/{digest}\n{header}"));

        assert_eq!((response.status, response.body.len()), (200, 10), "{header}");
    }
    let current =
        running.send(&format!("GET /v2/a/blobs/{digest}\nRange: bytes=0-1\nIf-Range: \"{digest}\""));
    assert_eq!(current.status, 206);
    assert_eq!(running.send(&format!("GET /v2/a/blobs/{empty}\nRange: bytes=0-")).status, 200);
}

#[test]
fn several_ranges_come_in_parts() {
    let running = start();
    let digest = push_blob(&running, "a", b"0123456789");
    let mut client = running.connect();

    let response = client.send(&format!("GET /v2/a/blobs/{digest}\nRange: bytes=0-1,4-5,-1"));

    assert_eq!(response.status, 206);
    let kind = response.header("content-type").unwrap().to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |place: &str, body: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {place}/10\r\n\r\n{body}"
        )
    };
    let expected =
        [part("0-1", "01"), part("4-5", "45"), part("9-9", "9"), format!("\r\n--{boundary}--\r\n")].concat();
    assert_eq!(response.text(), expected);
    assert_eq!(client.send("GET /v2/").status, 200, "the announced length was right");
}

#[test]
fn too_many_ranges_are_answered_whole() {
    let mut setup = Setup::default();
    setup.config.limits.ranges = 2;
    setup.config.limits.ranges_bytes = 5;
    let running = setup.start();
    let digest = push_blob(&running, "a", b"0123456789");

    for range in ["bytes=0-0,2-2,4-4", "bytes=0-2,4-6"] {
        let response = running.send(&format!("GET /v2/a/blobs/{digest}\nRange: {range}"));
        assert_eq!((response.status, response.body.len()), (200, 10), "{range}");
    }
}

/// Large bodies go another way to the socket than headers and small ones: neither may overtake the other.
#[test]
fn answers_of_all_sizes_follow_each_other_on_one_connection() {
    let running = start();
    let sizes = [0, 1, 32 * 1024 - 1, 32 * 1024, 300_000, 3 * 1024 * 1024];
    let blobs = sizes.map(|size| (0..size).map(|at| (at / 7 % 251) as u8).collect::<Vec<_>>());
    let digests: Vec<_> = blobs.iter().map(|content| push_blob(&running, "a", content)).collect();
    let mut client = running.connect();

    for (content, digest) in blobs.iter().zip(&digests).chain(blobs.iter().zip(&digests).rev()) {
        let whole = client.send(&format!("GET /v2/a/blobs/{digest}"));
        let head = client.send(&format!("HEAD /v2/a/blobs/{digest}"));

        let length = content.len().to_string();
        assert!(whole.status == 200 && whole.body == *content, "{length} bytes: {:?}", whole.headers);
        assert_eq!(whole.header("content-length"), Some(length.as_str()));
        assert_eq!(head.header("content-length"), Some(length.as_str()));
        assert_eq!(whole.headers.iter().filter(|(name, _)| name == "content-length").count(), 1);
        assert_eq!(whole.header("transfer-encoding"), None);
    }
}

#[test]
fn a_client_that_leaves_within_a_large_body_harms_nobody() {
    let running = start();
    let content = vec![7; 8 * 1024 * 1024];
    let digest = push_blob(&running, "a", &content);
    for _ in 0..20 {
        let mut client = running.connect();
        client.write_head(&format!("GET /v2/a/blobs/{digest}"));
        client.stream.read_exact(&mut [0; 1000]).unwrap();
    }

    let whole = running.send(&format!("GET /v2/a/blobs/{digest}"));

    assert!(whole.status == 200 && whole.body == content);
}

#[test]
fn a_blob_larger_than_any_buffer_arrives_whole() {
    let running = start();
    let content: Vec<u8> = (0..5_000_011_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let digest = push_blob(&running, "a", &content);

    let response = running.send(&format!("GET /v2/a/blobs/{digest}"));

    assert_eq!(digest_of(&response.body), digest);
}

#[test]
fn a_chunked_body_of_unknown_length_is_taken() {
    let running = start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();

    client.write_head(&format!("PATCH {location}\nTransfer-Encoding: chunked"));
    client.write("3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    let response = client.read(false);

    assert_eq!((response.status, response.header("range")), (202, Some("0-6")));
}

#[test]
fn a_manifest_beyond_the_limit_is_refused_before_its_bytes() {
    let mut setup = Setup::default();
    setup.domain.max_manifest_bytes = 1000;
    let running = setup.start();
    let mut client = running.connect();

    client.write_head("PUT /v2/a/manifests/x\nContent-Length: 1000000000");
    let announced = client.read(false);

    assert_eq!((announced.status, announced.code().as_str()), (413, "SIZE_INVALID"));
    assert_eq!(announced.header("connection"), Some("close"));
}

#[test]
fn an_endless_chunked_body_is_not_read_to_its_end() {
    let mut setup = Setup::default();
    setup.domain.max_manifest_bytes = 1000;
    let running = setup.start();
    let mut client = running.connect();

    client.write_head("PUT /v2/a/manifests/x\nTransfer-Encoding: chunked");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    client.write(&chunk);
    client.write(&chunk);
    let refused = client.read(false);

    assert_eq!((refused.status, refused.header("connection")), (413, Some("close")));
}

#[test]
fn a_short_body_nobody_needs_does_not_cost_the_connection() {
    let running = start();
    let mut client = running.connect();

    client.write_with("POST /v2/a/blobs/uploads/\nContent-Length: 2", "{}");
    let opened = client.read(false);
    let after = client.send("GET /v2/");

    assert_eq!((opened.status, opened.header("connection"), after.status), (202, None, 200));
}
