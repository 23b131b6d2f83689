//! `GET /v2/<name>/blobs/<digest>` with `Range`: row A11, containerd's and podman's partial pulls.

use entrepot_api::Failure;
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::noise;

const CONTENT: &[u8] = b"0123456789abcdef";

/// Pushes [`CONTENT`] to `a` and answers its address.
fn pushed(client: &Client) -> String {
    format!("/v2/a/blobs/{}", client.push_blob("a", CONTENT))
}

fn ranged(client: &Client, target: &str, range: &str) -> Response {
    client.get(target).header("Range", range).send()
}

fn one_range_is_served_alone(setup: Setup) {
    let registry = setup.start();
    let target = pushed(&registry);

    for (range, place, body) in [
        ("bytes=0-3", "bytes 0-3/16", "0123"),
        ("bytes=4-4", "bytes 4-4/16", "4"),
        ("bytes=10-", "bytes 10-15/16", "abcdef"),
        ("bytes=0-", "bytes 0-15/16", "0123456789abcdef"),
        ("bytes=-2", "bytes 14-15/16", "ef"),
        ("bytes=-100", "bytes 0-15/16", "0123456789abcdef"),
        ("bytes=12-99", "bytes 12-15/16", "cdef"),
        ("Bytes=0-0", "bytes 0-0/16", "0"),
    ] {
        let answer = ranged(&registry, &target, range).expect(206);
        assert_eq!(answer.expect_header("Content-Range"), place, "{range}");
        assert_eq!(answer.expect_header("Content-Length"), body.len().to_string(), "{range}");
        assert_eq!(answer.expect_header("Content-Type"), "application/octet-stream", "{range}");
        assert!(answer.header("ETag").is_some() && answer.header("Docker-Content-Digest").is_some());
        assert_eq!(answer.text(), body, "{range}");
    }
}

fn a_range_beyond_the_end_is_refused_with_the_length(setup: Setup) {
    let registry = setup.start();
    let target = pushed(&registry);

    for range in [
        "bytes=16-",
        "bytes=16-20",
        "bytes=99999999999999999999-",
        "bytes=-0",
        "bytes=5-2",
        "bytes=20-30,40-50",
    ] {
        let refused = ranged(&registry, &target, range).refused(Failure::RangeUnsatisfiable);
        assert_eq!(refused.expect_header("Content-Range"), "bytes */16", "{range}");
    }
}

/// RFC 9110, section 14.2: what cannot be read as ranges of bytes is ignored.
fn what_is_no_range_is_ignored(setup: Setup) {
    let registry = setup.start();
    let target = pushed(&registry);

    for range in ["bytes=", "bytes=a-b", "lines=0-3", "0-3", "bytes=-", "bytes=0-3;x"] {
        let answer = ranged(&registry, &target, range).expect(200);
        assert_eq!(answer.body, CONTENT, "{range}");
    }
}

/// podman pulls the missing pieces of a zstd:chunked layer this way.
fn several_small_ranges_come_as_parts(setup: Setup) {
    let registry = setup.start();
    let target = pushed(&registry);

    let answer = ranged(&registry, &target, "bytes=0-1,4-5, -2").expect(206);

    let content_type = answer.expect_header("Content-Type");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
    assert_eq!(answer.header("Content-Range"), None);
    assert_eq!(answer.expect_header("Content-Length"), answer.body.len().to_string());
    let parts: Vec<&str> = answer.text().split(&format!("--{boundary}")).collect();
    assert_eq!(parts.last(), Some(&"--\r\n"));
    let bodies: Vec<(&str, &str)> =
        parts[1..parts.len() - 1].iter().map(|part| part.split_once("\r\n\r\n").unwrap()).collect();
    for ((head, body), (place, bytes)) in bodies.iter().zip([("0-1", "01"), ("4-5", "45"), ("14-15", "ef")]) {
        assert!(head.contains(&format!("Content-Range: bytes {place}/16")), "{head}");
        assert!(head.contains("Content-Type: application/octet-stream"), "{head}");
        assert_eq!(*body, format!("{bytes}\r\n"));
    }
    assert_eq!(bodies.len(), 3);
}

fn ranges_that_cannot_be_had_are_left_out(setup: Setup) {
    let registry = setup.start();
    let target = pushed(&registry);

    let answer = ranged(&registry, &target, "bytes=2-3,100-200").expect(206);

    assert_eq!(answer.expect_header("Content-Range"), "bytes 2-3/16");
    assert_eq!(answer.text(), "23");
}

/// A server may send the whole; podman takes that for the full pull. It must not be made to send the same
/// bytes a thousand times.
fn too_many_or_too_large_ranges_get_the_whole(setup: Setup) {
    let registry = setup.frontend(|config| {
        config.limits.ranges = 4;
        config.limits.ranges_bytes = 8;
    });
    let registry = registry.start();
    let target = pushed(&registry);

    for range in ["bytes=0-0,2-2,4-4,6-6,8-8", "bytes=0-5,8-13", "bytes=0-,0-,0-,0-", "bytes=0-7,1-7,2-7"] {
        let answer = ranged(&registry, &target, range);
        let sent = answer.body.len();
        assert!(answer.status == 200 && answer.body == CONTENT || sent <= CONTENT.len(), "{range}: {answer}");
    }
    let hostile = format!("bytes={}", vec!["0-"; 5000].join(","));
    let answer = ranged(&registry, &target, &hostile);
    assert!(answer.body.len() <= CONTENT.len(), "{answer}");
}

fn a_range_of_changed_content_gets_the_whole(setup: Setup) {
    let registry = setup.start();
    let target = pushed(&registry);
    let digest = target.rsplit('/').next().unwrap();
    let with = |validator: &str| {
        registry.get(&target).header("Range", "bytes=0-3").header("If-Range", validator).send()
    };

    with(&format!("\"{digest}\"")).expect(206);
    with("\"sha256:other\"").expect(200);
    with(&format!("W/\"{digest}\"")).expect(200);
    with("Sat, 21 Nov 2026 00:00:00 GMT").expect(200);
}

fn any_range_of_nothing_is_nothing(setup: Setup) {
    let registry = setup.start();
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", b""));

    let answer = ranged(&registry, &target, "bytes=0-");

    assert!(answer.status == 200 && answer.body.is_empty(), "{answer}");
}

fn head_is_about_the_whole_whatever_range_it_names(setup: Setup) {
    let registry = setup.start();
    let target = pushed(&registry);

    let head = registry.head(&target).header("Range", "bytes=0-3").send().expect(200);

    assert_eq!(head.expect_header("Content-Length"), "16");
}

/// containerd opens many ranges to the end, reads a piece of each and hangs up.
fn readers_that_leave_early_harm_nobody(setup: Setup) {
    let registry = setup.start();
    let content = noise(4, 6 * 1024 * 1024);
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", &content));

    for start in [0, 1, 1024 * 1024, 5 * 1024 * 1024] {
        let mut connection = registry.connect();
        let request = registry.get(&target).header("Range", format!("bytes={start}-"));
        connection.write(&request.into_bytes("registry"));
        let beginning = connection.read_exact(2048);
        assert!(beginning.starts_with(b"HTTP/1.1 206 "));
    }

    assert!(registry.get(&target).send().expect(200).body == content);
}

fn a_range_of_a_large_blob_is_exact(setup: Setup) {
    let registry = setup.start();
    let content = noise(5, 3 * 1024 * 1024);
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", &content));

    for (first, last) in [(0, 0), (1_048_575, 1_048_576), (1, 2_999_999), (3_145_727, 3_145_727)] {
        let answer = ranged(&registry, &target, &format!("bytes={first}-{last}")).expect(206);
        assert!(answer.body == content[first..=last], "{first}-{last}");
    }
}

fn manifests_among_the_blobs_have_ranges_too(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");

    let answer = ranged(&registry, &format!("/v2/a/blobs/{}", image.digest()), "bytes=2-5").expect(206);

    assert_eq!(answer.body, &image.manifest.bytes[2..=5]);
}

on_every_store![
    one_range_is_served_alone,
    a_range_beyond_the_end_is_refused_with_the_length,
    what_is_no_range_is_ignored,
    several_small_ranges_come_as_parts,
    ranges_that_cannot_be_had_are_left_out,
    too_many_or_too_large_ranges_get_the_whole,
    a_range_of_changed_content_gets_the_whole,
    any_range_of_nothing_is_nothing,
    head_is_about_the_whole_whatever_range_it_names,
    readers_that_leave_early_harm_nobody,
    a_range_of_a_large_blob_is_exact,
    manifests_among_the_blobs_have_ranges_too,
];
