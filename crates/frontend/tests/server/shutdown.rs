//! The end of a server: nobody in flight is cut, nobody idle holds it up.

use super::support::{Setup, digest_of, open_upload, start};

#[test]
fn a_request_in_flight_finishes_and_an_idle_connection_is_closed() {
    let running = start();
    let location = open_upload(&running, "a");
    let digest = digest_of(b"hello");
    let mut idle = running.connect();
    assert_eq!(idle.send("GET /v2/").status, 200);
    let mut busy = running.connect();
    busy.write_head(&format!("PUT {location}&digest={digest}\nContent-Length: 5\nExpect: 100-continue"));
    assert_eq!(busy.read(true).status, 100, "the request is being served");
    busy.write("hel");

    let stopping = std::thread::spawn(move || running.stop());
    assert!(idle.is_over());
    busy.write("lo");
    let response = busy.read(false);

    assert_eq!((response.status, response.header("connection")), (201, Some("close")));
    stopping.join().unwrap();
}

#[test]
fn a_request_that_does_not_end_is_cut_when_the_time_is_over() {
    let mut setup = Setup::default();
    setup.config.timeouts.drain = std::time::Duration::from_secs(1);
    let running = setup.start();
    let location = open_upload(&running, "a");
    let mut client = running.connect();
    client.write_head(&format!("PATCH {location}\nContent-Length: 5\nExpect: 100-continue"));
    assert_eq!(client.read(true).status, 100);

    running.stop();

    assert!(client.is_over());
}
