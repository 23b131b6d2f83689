//! A proxy that sends each request to the next replica: the least friendly balancer there is.
//!
//! Two requests of one connection go to two replicas, so whatever a replica keeps to itself between requests
//! is missed at once. Bodies are streamed and counted, headers are passed on as they are, `Host` among them.
//! A replica nobody listens at is passed over; one that dies within a request is answered for with 502,
//! unless its answer has begun, which then is cut.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::net::TcpStream;

use crate::http::Client;
use crate::proxy::{self, Answer, Proxy};

#[derive(Debug)]
struct Shared {
    replicas: Vec<SocketAddr>,
    turn: AtomicUsize,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    requests: Vec<AtomicU64>,
}

/// A balancer that runs until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    proxy: Proxy,
    shared: Arc<Shared>,
}

impl Balancer {
    /// Listens on a free port of loopback before these replicas.
    pub fn before(replicas: &[SocketAddr]) -> Self {
        assert!(!replicas.is_empty(), "a balancer needs somebody to ask");
        let shared = Arc::new(Shared {
            replicas: replicas.to_vec(),
            turn: AtomicUsize::default(),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            requests: replicas.iter().map(|_| AtomicU64::default()).collect(),
        });
        let state = Arc::clone(&shared);
        let proxy = Proxy::start("balancer", move |request| pass(Arc::clone(&state), request));
        Self { proxy, shared }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::of(self.address())
    }

    /// Bytes of bodies that passed from clients to replicas so far.
    pub fn bytes_in(&self) -> u64 {
        self.shared.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that passed from replicas to clients so far.
    pub fn bytes_out(&self) -> u64 {
        self.shared.bytes_out.load(Ordering::Relaxed)
    }

    /// How many requests each replica was sent.
    pub fn requests(&self) -> Vec<u64> {
        self.shared.requests.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

async fn pass(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let Some(stream) = shared.next().await else {
        return proxy::bad_gateway("no replica listens");
    };
    let counter = Arc::clone(&shared);
    let request = request.map(|body| Counted { body, count: move |bytes| counter.count_in(bytes) });
    match proxy::send(stream, request).await {
        Ok(answer) => {
            answer.map(|body| Counted { body, count: move |bytes| shared.count_out(bytes) }.boxed())
        }
        Err(error) => proxy::bad_gateway(&format!("the replica did not answer: {error}")),
    }
}

impl Shared {
    /// A connection to the replica whose turn it is, or to the next one that takes connections.
    async fn next(&self) -> Option<TcpStream> {
        for _ in &self.replicas {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len();
            if let Some(stream) = proxy::connect(self.replicas[turn]).await {
                self.requests[turn].fetch_add(1, Ordering::Relaxed);
                return Some(stream);
            }
        }
        None
    }

    fn count_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    fn count_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A body whose bytes are counted on their way. Its framing stays what it was.
struct Counted<F> {
    body: Incoming,
    count: F,
}

impl<F: Fn(u64) + Unpin> Body for Counted<F> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            (self.count)(data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Setup;
    use crate::registry::content::noise;

    #[test]
    fn each_request_of_one_connection_goes_to_another_replica() {
        let setup = Setup::memory();
        let replicas = [setup.start(), setup.start(), setup.start()];
        let balancer = Balancer::before(&replicas.each_ref().map(|replica| replica.address()));
        let mut connection = balancer.client().connect();

        for _ in 0..6 {
            balancer.client().get("/v2/").on(&mut connection).expect(200);
        }

        assert_eq!(balancer.requests(), [2, 2, 2]);
    }

    #[test]
    fn bodies_of_either_framing_pass_whole_and_are_counted() {
        let setup = Setup::memory();
        let replicas = [setup.start(), setup.start()];
        let balancer = Balancer::before(&replicas.each_ref().map(|replica| replica.address()));
        let client = balancer.client();
        let content = noise(1, 3_000_000);

        let location = client.open_upload("a");
        let patched = client.patch(&location).chunked(&content[..1_000_000], 70_000).send().expect(202);
        let location = patched.expect_header("Location").to_owned();
        client.patch(&location).body(&content[1_000_000..]).send().expect(202);
        let digest = entrepot_oci::Digest::sha256(&content);
        client.put(crate::registry::content::with_digest(&location, digest)).empty().send().expect(201);

        let before = balancer.bytes_out();
        let head = client.head(format!("/v2/a/blobs/{digest}")).send().expect(200);
        assert_eq!(head.expect_header("Content-Length"), "3000000");
        assert_eq!(balancer.bytes_out(), before);
        assert!(client.get(format!("/v2/a/blobs/{digest}")).send().expect(200).body == content);
        assert_eq!(balancer.bytes_out() - before, 3_000_000);
        assert_eq!(balancer.bytes_in(), 3_000_000);
    }

    #[test]
    fn a_replica_that_is_gone_is_passed_over_until_none_is_left() {
        let setup = Setup::memory();
        let (one, two) = (setup.start(), setup.start());
        let balancer = Balancer::before(&[one.address(), two.address()]);

        drop(one);
        for _ in 0..4 {
            balancer.client().get("/v2/").send().expect(200);
        }
        drop(two);

        balancer.client().get("/v2/").send().expect(502);
    }
}
