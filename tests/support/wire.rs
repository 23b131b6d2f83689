//! A proxy before an object store that notes every request that goes by.
//!
//! It looks into plain HTTP only, which is what stores on loopback speak.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request};

use crate::proxy::{self, Answer, Proxy};

/// Headers that make a write a copy within the store.
const COPIES: [&str; 3] = ["x-amz-copy-source", "x-ms-copy-source", "x-goog-copy-source"];

/// A request as it went by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// What was to be done.
    pub method: Method,
    /// To what: the path, as it was spelt.
    pub path: String,
    /// What stood behind the question mark, or nothing.
    pub query: String,
    /// Whether the store was told to copy what it has.
    pub is_copy: bool,
}

#[derive(Debug, Default)]
struct Noted {
    passed: Mutex<Vec<Passed>>,
    on_their_way: AtomicU64,
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub struct Wire {
    proxy: Proxy,
    noted: Arc<Noted>,
}

impl Wire {
    /// Listens on a free port of loopback before the store that listens at `store`.
    pub fn before(store: SocketAddr) -> Self {
        let noted = Arc::<Noted>::default();
        let state = Arc::clone(&noted);
        let proxy = Proxy::start("wire", move |request| pass(store, Arc::clone(&state), request));
        Self { proxy, noted }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// The requests that went by since this was last asked.
    ///
    /// Fails the test where one is still without an answer: who sent it has gone on, and nobody could say
    /// what it belongs to.
    pub fn take(&self) -> Vec<Passed> {
        let passed = std::mem::take(&mut *self.noted.passed());
        assert_eq!(self.noted.on_their_way.load(Ordering::SeqCst), 0, "not answered yet, one of {passed:?}");
        passed
    }
}

impl Noted {
    fn passed(&self) -> std::sync::MutexGuard<'_, Vec<Passed>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass(store: SocketAddr, noted: Arc<Noted>, request: Request<Incoming>) -> Answer {
    noted.on_their_way.fetch_add(1, Ordering::SeqCst);
    noted.passed().push(Passed::of(&request));
    let answer = match proxy::connect(store).await {
        Some(stream) => proxy::send(stream, request).await.map_err(|error| error.to_string()),
        None => Err("nobody listens".to_owned()),
    };
    noted.on_their_way.fetch_sub(1, Ordering::SeqCst);
    match answer {
        Ok(answer) => answer.map(BodyExt::boxed),
        Err(why) => proxy::bad_gateway(&format!("the store did not answer: {why}")),
    }
}

impl Passed {
    fn of<B>(request: &Request<B>) -> Self {
        let is_copy = |headers: &HeaderMap| COPIES.iter().any(|name| headers.contains_key(*name));
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            is_copy: is_copy(request.headers()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Client;
    use crate::registry::Setup;
    use crate::registry::content::noise;

    #[test]
    fn what_goes_by_is_noted_once_and_unchanged() {
        let registry = Setup::memory().start();
        let wire = Wire::before(registry.address());
        let client = Client::of(wire.address());
        let content = noise(1, 300_000);
        let digest = registry.push_blob("a", &content);

        let blob = client.get(format!("/v2/a/blobs/{digest}?n=%2F")).send().expect(200);
        let refused = client.put("/v2/a/copied").header("x-ms-copy-source", "b").empty().send();

        assert!(blob.body == content);
        assert_eq!(refused.status, 404);
        let passed = wire.take();
        let words: Vec<_> = passed.iter().map(|one| (one.method.as_str(), one.query.as_str())).collect();
        assert_eq!(words, [("GET", "n=%2F"), ("PUT", "")]);
        assert_eq!(passed[0].path, format!("/v2/a/blobs/{digest}"));
        assert_eq!((passed[0].is_copy, passed[1].is_copy), (false, true));
        assert!(wire.take().is_empty());
    }

    #[test]
    fn a_store_that_is_gone_is_answered_for() {
        let registry = Setup::memory().start();
        let wire = Wire::before(registry.address());

        drop(registry);

        Client::of(wire.address()).get("/v2/").send().expect(502);
        assert_eq!(wire.take().len(), 1);
    }
}
