//! `GET` of an upload session: row B7.

use std::sync::Arc;
use std::time::Duration;

use entrepot_api::Failure;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::{FixedClock, Setup};

fn the_status_tells_how_far_the_upload_got(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");

    let mut status = registry.get(&location).send().expect(204);
    for (chunk, range) in [("0123456789", "0-9"), ("abcdef", "0-15")] {
        assert!(status.header("Docker-Upload-UUID").is_some() && status.body.is_empty());
        let location = status.expect_header("Location").to_owned();
        registry.patch(&location).body(chunk).send().expect(202);
        status = registry.get(&location).send().expect(204);
        assert_eq!(status.expect_header("Range"), range);
    }
}

fn a_session_without_bytes_stands_at_its_beginning(setup: Setup) {
    let registry = setup.start();
    let location = registry.open_upload("a");

    for method in ["GET", "HEAD"] {
        let status = registry.request(method, &location).send().expect(204);
        assert_eq!(status.expect_header("Range"), "0-0");
        assert!(status.expect_header("Location").starts_with("/v2/a/blobs/uploads/"));
    }
}

fn a_session_expires_with_its_token(setup: Setup) {
    let clock = Arc::new(FixedClock::at(1_700_000_000));
    let registry = setup.clock(clock.clone()).start();
    let location = registry.open_upload("a");

    clock.advance(Duration::from_secs(23 * 3600));
    let patched = registry.patch(&location).body(b"content").send().expect(202);
    let renewed = patched.expect_header("Location").to_owned();
    clock.advance(Duration::from_secs(2 * 3600));

    registry.get(&location).send().refused(Failure::UploadUnknown);
    registry.get(&renewed).send().expect(204);
}

on_every_store![
    the_status_tells_how_far_the_upload_got,
    a_session_without_bytes_stands_at_its_beginning,
    a_session_expires_with_its_token,
];
