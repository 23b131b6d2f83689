//! Bytes that change on their way: the store compares them with the checksum that goes along.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;

use bytes::Bytes;
use entrepot_driver_s3::S3Driver;
use entrepot_storage::{Key, PutMode, StorageDriver, StorageDriverExt};

use super::server;

/// Stands in what is sent, so that nothing else is changed.
const MARK: &[u8] = b"<a byte of this is changed>";

/// Passes on everything, and changes a byte of each [`MARK`] that goes to `server`. Its threads end with their
/// connections, or with the tests.
fn meddler(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a client comes");
            let server = TcpStream::connect(server).expect("the server listens");
            let (back, forth) =
                (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            thread::spawn(move || pass(client, forth, true));
            thread::spawn(move || pass(server, back, false));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, meddles: bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let found = buffer[..count].windows(MARK.len()).position(|window| window == MARK);
        if let Some(at) = found.filter(|_| meddles) {
            buffer[at + 1] ^= 1;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may have closed it already.
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// A driver on the main server, past the meddler, and one that is not.
async fn drivers() -> Option<(S3Driver, S3Driver)> {
    let mut server = server::named(server::FIRST)?;
    let sound = server.open().await;
    let endpoint = server.config.endpoint.clone().expect("an endpoint");
    let Some(host) = endpoint.strip_prefix("http://") else {
        server::skip("nobody can change a byte within https");
        return None;
    };
    let address = host.to_socket_addrs().expect("host and port").next().expect("an address");
    server.config.endpoint = Some(format!("http://{}", meddler(address)));
    Some((server.open().await, sound))
}

#[tokio::test]
async fn an_object_that_changed_on_its_way_is_refused() {
    let Some((damaging, sound)) = drivers().await else { return };
    let key: Key = "damaged/object".parse().expect("a key");

    let outcome = damaging.put(&key, Bytes::from_static(MARK), PutMode::Overwrite).await;

    let error = outcome.expect_err("its checksum is another");
    assert!(error.is_retryable(), "{error}");
    assert_eq!(sound.stat_if_present(&key).await.expect("it answers"), None);
}

#[tokio::test]
async fn a_part_that_changed_on_its_way_is_refused_and_may_be_sent_again() {
    let Some((damaging, sound)) = drivers().await else { return };
    let key: Key = "damaged/parts".parse().expect("a key");
    let upload = sound.upload_begin(&key).await.expect("it begins");

    let outcome = damaging.upload_part(&upload, 1, vec![Bytes::from_static(MARK)]).await;
    let again = sound.upload_part(&upload, 1, vec![Bytes::from_static(MARK)]).await.expect("it is taken");
    sound.upload_complete(&upload, &[again]).await.expect("it completes");

    let error = outcome.expect_err("its checksum is another");
    assert!(error.is_retryable(), "{error}");
    let (content, _) = sound.read(&key).await.expect("it reads").expect("it is there");
    assert_eq!(content, MARK);
}
