//! A proxy before an object store that notes every request that goes by.
//!
//! It looks into plain HTTP only, which is what stores on loopback speak. Where it stands before a store for the
//! clients alone, it can show that a client asks for several ranges at once: see [`Wire::gathering`].

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::RANGE;
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::sync::watch;

use crate::proxy::{self, Answer, Proxy};

/// Headers that make a write a copy within the store.
const COPIES: [&str; 3] = ["x-amz-copy-source", "x-ms-copy-source", "x-goog-copy-source"];

/// How long a range waits for others to be asked for beside it. Less than a client waits for an answer, or it
/// would ask again and be counted twice.
const GATHERING_LIMIT: Duration = Duration::from_secs(20);

/// A request as it went by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// What was to be done.
    pub method: Method,
    /// To what: the path, as it was spelt.
    pub path: String,
    /// What stood behind the question mark, or nothing.
    pub query: String,
    /// Whether the store was told to copy what it has.
    pub is_copy: bool,
    /// Which part of it: the header `Range`, as it was spelt.
    pub range: Option<String>,
}

#[derive(Debug, Default)]
struct Noted {
    passed: Mutex<Vec<Passed>>,
    on_their_way: AtomicU64,
    gathering: Option<Gathering>,
}

/// Ranges that are answered together.
#[derive(Debug)]
struct Gathering {
    wanted: usize,
    limit: Duration,
    /// How many wait, and from the moment that all are there that they were.
    waiting: watch::Sender<usize>,
}

/// A range that waits, and is no longer counted once its client has hung up.
struct Waiting<'g>(&'g Gathering);

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub struct Wire {
    proxy: Proxy,
    noted: Arc<Noted>,
}

impl Wire {
    /// Listens on a free port of loopback before the store that listens at `store`.
    pub fn before(store: SocketAddr) -> Self {
        Self::start(store, Noted::default())
    }

    /// The same, and it answers no range beyond an object's first byte before `wanted` of them wait at once.
    ///
    /// A client that asks for one after the other has none answered: each is given up after 20 s, with a 504.
    /// Once they have met, nothing is held back any more.
    pub fn gathering(store: SocketAddr, wanted: usize) -> Self {
        Self::gathering_within(GATHERING_LIMIT, store, wanted)
    }

    fn gathering_within(limit: Duration, store: SocketAddr, wanted: usize) -> Self {
        let gathering = Gathering { wanted, limit, waiting: watch::Sender::new(0) };
        Self::start(store, Noted { gathering: Some(gathering), ..Noted::default() })
    }

    fn start(store: SocketAddr, noted: Noted) -> Self {
        let noted = Arc::new(noted);
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
    let _on_its_way = OnItsWay::new(Arc::clone(&noted));
    let passed = Passed::of(&request);
    noted.passed().push(passed.clone());
    let met = match &noted.gathering {
        Some(gathering) if passed.is_beyond_the_beginning() => gathering.meet().await,
        _ => true,
    };
    if met { forward(store, request).await } else { alone() }
}

/// A request without an answer yet, until whoever sent it has one or went away.
struct OnItsWay(Arc<Noted>);

impl OnItsWay {
    fn new(noted: Arc<Noted>) -> Self {
        noted.on_their_way.fetch_add(1, Ordering::SeqCst);
        Self(noted)
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.on_their_way.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn forward(store: SocketAddr, request: Request<Incoming>) -> Answer {
    let answer = match proxy::connect(store).await {
        Some(stream) => proxy::send(stream, request).await.map_err(|error| error.to_string()),
        None => Err("nobody listens".to_owned()),
    };
    match answer {
        Ok(answer) => answer.map(BodyExt::boxed),
        Err(why) => proxy::bad_gateway(&format!("the store did not answer: {why}")),
    }
}

/// What a range is told that nobody came to meet.
fn alone() -> Answer {
    let mut answer = proxy::bad_gateway("no other range was asked for at the same time");
    *answer.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    answer
}

impl Gathering {
    /// Waits until all are there; whether they came.
    async fn meet(&self) -> bool {
        self.waiting.send_modify(|count| *count += 1);
        let waiting = Waiting(self);
        let mut counts = self.waiting.subscribe();
        let all = counts.wait_for(|count| *count >= self.wanted);
        let met = tokio::time::timeout(self.limit, all).await.is_ok();
        drop(waiting);
        met
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Those who met stay counted: for whoever comes later, they have.
        let wanted = self.0.wanted;
        self.0.waiting.send_if_modified(|count| {
            *count -= usize::from(*count < wanted);
            false
        });
    }
}

impl Passed {
    fn is_beyond_the_beginning(&self) -> bool {
        self.range.as_ref().is_some_and(|range| !range.starts_with("bytes=0-"))
    }

    fn of<B>(request: &Request<B>) -> Self {
        let is_copy = |headers: &HeaderMap| COPIES.iter().any(|name| headers.contains_key(*name));
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            is_copy: is_copy(request.headers()),
            range: request
                .headers()
                .get(RANGE)
                .map(|range| String::from_utf8_lossy(range.as_bytes()).into_owned()),
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

    fn range(wire: &Wire, target: &str, wanted: &str) -> (u16, usize) {
        let answer = Client::of(wire.address()).get(target).header("Range", wanted).send();
        (answer.status, answer.body.len())
    }

    #[test]
    fn ranges_are_answered_once_they_have_met() {
        let registry = Setup::memory().start();
        let wire = Wire::gathering(registry.address(), 3);
        let digest = registry.push_blob("a", &noise(2, 1_000));
        let target = format!("/v2/a/blobs/{digest}");

        let first = range(&wire, &target, "bytes=0-");
        let together: Vec<_> = std::thread::scope(|threads| {
            let ask = |wanted| {
                threads.spawn({
                    let (wire, target) = (&wire, &target);
                    move || range(wire, target, wanted)
                })
            };
            let asked = ["bytes=100-", "bytes=200-", "bytes=300-"].map(ask);
            asked.map(|thread| thread.join().expect("a range is asked for")).to_vec()
        });
        let later = range(&wire, &target, "bytes=400-");

        assert_eq!(first, (206, 1_000));
        assert_eq!(together, [(206, 900), (206, 800), (206, 700)]);
        assert_eq!(later, (206, 600));
        let mut ranges: Vec<_> = wire.take().into_iter().filter_map(|passed| passed.range).collect();
        ranges.sort_unstable();
        assert_eq!(ranges, ["bytes=0-", "bytes=100-", "bytes=200-", "bytes=300-", "bytes=400-"]);
    }

    #[test]
    fn ranges_asked_for_one_after_the_other_never_meet() {
        let registry = Setup::memory().start();
        let wire = Wire::gathering_within(Duration::ZERO, registry.address(), 2);
        let digest = registry.push_blob("a", &noise(3, 1_000));
        let target = format!("/v2/a/blobs/{digest}");

        let statuses = ["bytes=0-", "bytes=100-", "bytes=200-"].map(|wanted| range(&wire, &target, wanted).0);

        assert_eq!(statuses, [206, 504, 504]);
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
