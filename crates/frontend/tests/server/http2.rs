//! HTTP/2 without TLS, by prior knowledge.

use std::net::SocketAddr;

use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use h2::client::SendRequest;

use super::support::{Setup, digest_of, push_blob};

struct Answer {
    status: u16,
    length: Option<String>,
    body: Vec<u8>,
}

fn h2c() -> Setup {
    let mut setup = Setup::default();
    setup.config.h2c = true;
    setup
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    actix_web::rt::spawn(connection);
    client.ready().await.unwrap()
}

/// Opens a connection, sends one request, and waits until the server ends the connection.
async fn wait_for_the_end(address: SocketAddr) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = actix_web::rt::spawn(connection);
    let client = client.ready().await.unwrap();
    assert_eq!(send(&client, "GET", "/v2/", b"").await.status, 200);
    let _ = connection.await.unwrap();
}

async fn send(client: &SendRequest<Bytes>, method: &str, path: &str, content: &'static [u8]) -> Answer {
    let uri = format!("http://registry.test{path}");
    let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
    let mut client = client.clone().ready().await.unwrap();
    let (response, mut stream) = client.send_request(request, content.is_empty()).unwrap();
    if !content.is_empty() {
        stream.send_data(Bytes::from_static(content), true).unwrap();
    }
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let length = response.headers().get("content-length").map(|value| value.to_str().unwrap().to_owned());
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(chunk) = incoming.data().await {
        let chunk = chunk.unwrap();
        incoming.flow_control().release_capacity(chunk.len()).unwrap();
        body.extend_from_slice(&chunk);
    }
    Answer { status, length, body }
}

#[test]
fn http2_is_understood_beside_http1_on_one_port() {
    let running = h2c().start();
    let digest = push_blob(&running, "a", b"hello");

    let answer = block_on(async {
        let client = connect(running.address()).await;
        send(&client, "GET", &format!("/v2/a/blobs/{digest}"), b"").await
    });

    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
}

#[test]
fn without_the_setting_http2_is_not_spoken_in_the_clear() {
    let running = Setup::default().start();
    let mut client = running.connect();

    client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

    assert_eq!(client.read(false).status, 400);
}

#[test]
fn a_blob_is_pushed_and_asked_for_over_http2() {
    let running = h2c().start();
    let digest = digest_of(b"hello");

    let (pushed, head) = block_on(async {
        let client = connect(running.address()).await;
        let path = format!("/v2/a/blobs/uploads/?digest={digest}");
        let pushed = send(&client, "POST", &path, b"hello").await;
        (pushed, send(&client, "HEAD", &format!("/v2/a/blobs/{digest}"), b"").await)
    });

    assert_eq!(pushed.status, 201);
    assert_eq!((head.status, head.length.as_deref(), head.body.len()), (200, Some("5"), 0));
}

#[test]
fn requests_beyond_the_limit_of_a_connection_are_turned_away() {
    let mut setup = h2c();
    setup.config.limits.requests_per_connection = 2;
    let running = setup.start();
    let location = super::support::open_upload(&running, "a");

    let refused = block_on(async {
        let client = connect(running.address()).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut client = client.clone().ready().await.unwrap();
            let uri = format!("http://registry.test{location}");
            let request = http::Request::builder().method("PATCH").uri(uri).body(()).unwrap();
            held.push(client.send_request(request, false).unwrap());
        }
        send(&client, "GET", "/v2/", b"").await
    });

    assert_eq!(refused.status, 503);
}

#[test]
fn a_flood_of_empty_frames_ends_the_connection() {
    let running = h2c().start();
    let location = super::support::open_upload(&running, "a");

    let cut = block_on(async {
        let client = connect(running.address()).await;
        let mut sender = client.clone().ready().await.unwrap();
        let uri = format!("http://registry.test{location}");
        let request = http::Request::builder().method("PATCH").uri(uri).body(()).unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        for _ in 0..2000 {
            if stream.send_data(Bytes::new(), false).is_err() {
                break;
            }
        }
        response.await.is_err()
    });

    assert!(cut);
    assert_eq!(running.send("GET /v2/").status, 200);
}

#[test]
fn a_connection_that_does_nothing_is_ended_even_if_it_answers_pings() {
    let mut setup = h2c();
    setup.config.timeouts.idle = std::time::Duration::from_secs(3);
    let running = setup.start();

    block_on(wait_for_the_end(running.address()));
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end_of_the_server() {
    let running = h2c().start();
    let address = running.address();
    let (sender, receiver) = std::sync::mpsc::channel();
    let client = std::thread::spawn(move || {
        block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let (client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = actix_web::rt::spawn(connection);
            let client = client.ready().await.unwrap();
            assert_eq!(send(&client, "GET", "/v2/", b"").await.status, 200);
            sender.send(()).unwrap();
            let _ = connection.await.unwrap();
        });
    });
    receiver.recv().unwrap();

    running.stop();

    client.join().unwrap();
}
