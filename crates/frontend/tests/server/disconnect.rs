//! Clients that leave.

use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use entrepot_api::Status;
use entrepot_frontend::{Observer, RequestSummary};

use super::support::{PATIENCE, Setup, open_upload, push_blob, start};

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<RequestSummary>>);

impl Observer for Seen {
    fn finished(&self, summary: &RequestSummary) {
        self.0.lock().unwrap().push(summary.clone());
    }
}

/// Waits for something that will happen.
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "it never happened");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn what_arrived_before_the_connection_broke_can_be_continued() {
    let running = start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();

    client.write_head(&format!("PATCH {location}\nContent-Length: 1000000"));
    client.write("hello");
    client.stream.get_ref().shutdown(Shutdown::Both).unwrap();
    drop(client);

    let stands = eventually(|| {
        let status = running.send(&format!("GET {location}"));
        (status.header("range") == Some("0-4")).then_some(status)
    });
    let mut client = running.connect();
    client.write_head(&format!(
        "PATCH {}\nContent-Range: 5-9\nContent-Length: 5",
        stands.header("location").unwrap()
    ));
    client.write("world");
    assert_eq!(client.read(false).header("range"), Some("0-9"));
}

#[test]
fn a_client_that_leaves_is_told_apart_in_the_metrics() {
    let seen = Arc::new(Seen::default());
    let running = Setup { observer: seen.clone(), ..Setup::default() }.start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();
    client.write_head(&format!("PATCH {location}\nContent-Length: 1000000"));
    client.write("hello");
    drop(client);

    let left = eventually(|| {
        let seen = seen.0.lock().unwrap();
        seen.iter().find(|summary| summary.status == Status::ClientClosedRequest).cloned()
    });

    assert_eq!(left.endpoint, Some(entrepot_api::EndpointId::UploadAppend));
}

#[test]
fn every_request_is_observed_with_its_bytes() {
    let seen = Arc::new(Seen::default());
    let running = Setup { observer: seen.clone(), ..Setup::default() }.start();
    let digest = push_blob(&running, "a", b"hello");

    running.send(&format!("GET /v2/a/blobs/{digest}"));

    let (pushed, pulled) = eventually(|| {
        let seen = seen.0.lock().unwrap();
        let find = |status| seen.iter().find(|summary| summary.status == status).cloned();
        Some((find(Status::Created)?, find(Status::Ok)?))
    });
    assert_eq!((pushed.bytes_in, pushed.bytes_out), (5, 0));
    assert_eq!((pulled.bytes_in, pulled.bytes_out), (0, 5));
}

#[test]
fn a_client_that_does_not_read_its_answer_is_given_up() {
    let seen = Arc::new(Seen::default());
    let mut setup = Setup { observer: seen.clone(), ..Setup::default() };
    setup.config.timeouts.idle = std::time::Duration::from_secs(3);
    let running = setup.start();
    let digest = push_blob(&running, "a", &vec![7; 64 << 20]);
    let mut client = running.connect();

    client.write_head(&format!("GET /v2/a/blobs/{digest}"));

    eventually(|| {
        let seen = seen.0.lock().unwrap();
        seen.iter().find(|summary| summary.status == Status::ClientClosedRequest).map(|_| ())
    });
}
