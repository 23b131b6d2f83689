//! The server: a thread of its own with a runtime of its own, so that tests of any kind can have one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::SERVICE_ACCOUNT;
use super::answers::Body;
use super::calls::Call;
use super::faults::{Effect, Faults, Operation};
use super::signatures::{Arrived, Signers};
use super::store::{Store, wrong};
use crate::config::{Config, CredentialSource, MIN_PART_BYTES, Secret};

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The one bucket it has.
    pub bucket: String,
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// The smallest part, the last one excepted, in bytes. Google's is 5 MiB.
    pub min_part: u64,
    /// A completion that has both faults is refused for a part that is too small, and not for one that is not
    /// there.
    pub tells_size_first: bool,
    /// How many writes of a name that was written before are answered 429, without a `Retry-After`, until one
    /// is let through. Google answers so for about a second.
    pub writes_too_soon: usize,
    /// Requests have to bring a bearer token or a signature.
    pub demands_authorization: bool,
    /// The one token that is good; any is where this is `None`.
    pub token: Option<String>,
    /// Accounts whose signatures are good: email, and the public key as PKCS#1 in DER.
    pub accounts: Vec<(String, Vec<u8>)>,
    /// HMAC keys whose signatures are good: access id and secret.
    pub hmac_keys: Vec<(String, String)>,
    /// What the bucket's settings are answered with.
    pub settings: serde_json::Value,
}

impl Options {
    /// A bucket on any free port that knows [`SERVICE_ACCOUNT`].
    pub fn new(bucket: impl Into<String>) -> Self {
        let bucket = bucket.into();
        Self {
            settings: serde_json::json!({ "kind": "storage#bucket", "name": bucket }),
            bucket,
            port: 0,
            min_part: MIN_PART_BYTES,
            tells_size_first: false,
            writes_too_soon: 0,
            demands_authorization: true,
            token: None,
            accounts: crate::credentials::public_part(SERVICE_ACCOUNT).into_iter().collect(),
            hmac_keys: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    settings: serde_json::Value,
    demands_authorization: bool,
    token: Option<String>,
    signers: Signers,
}

/// A fake that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    bucket: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// Fails where the port is taken or no thread can be had.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let store = Store::new(&options);
        let signers = Signers {
            accounts: options.accounts.into_iter().collect(),
            hmac_keys: options.hmac_keys.into_iter().collect(),
        };
        let shared = Arc::new(Shared {
            store: Mutex::new(store),
            faults: Mutex::default(),
            settings: options.settings,
            demands_authorization: options.demands_authorization,
            token: options.token,
            signers,
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("fake-gcs".into()).spawn(move || {
            // Dropping the runtime ends the connections that are still open.
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, state) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, bucket: options.bucket, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Settings of a driver on it that has [`SERVICE_ACCOUNT`]'s key.
    pub fn config(&self) -> Config {
        let mut config = Config::new(&self.bucket);
        config.endpoint = Some(self.url());
        config.credentials = CredentialSource::Key(Secret::new(SERVICE_ACCOUNT));
        config
    }

    /// The next `times` requests of this kind have this effect.
    pub fn fail(&self, operation: Operation, times: u64, effect: Effect) {
        lock(&self.shared.faults).plan(operation, times, effect);
    }

    /// How many requests of this kind arrived since the start or [`forget`](Self::forget).
    pub fn count(&self, operation: Operation) -> u64 {
        lock(&self.shared.faults).count(operation)
    }

    /// Forgets planned failures and counted requests. Objects stay.
    pub fn forget(&self) {
        lock(&self.shared.faults).clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens where the thread has ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            // A client that goes away is none of our business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Closing the connection instead of answering.
#[derive(Debug)]
struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up on purpose")
    }
}

impl std::error::Error for HangUp {}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, HangUp> {
    let (mut head, body) = request.into_parts();
    let call = Call::parse(&head.method, head.uri.path(), head.uri.query().unwrap_or_default());
    // Before it is applied: an upload that is cut on its way changes nothing.
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else { return Err(HangUp) };
    if let Err(refusal) = shared.admit(&call, &head) {
        return Ok(call.refuse(refusal).send(None));
    }
    let effect = lock(&shared.faults).meet(call.operation);
    match &effect {
        Some(Effect::FailBefore { status, retry_after }) => {
            let failure = call.fail(*status);
            let failure = match retry_after {
                Some(seconds) => failure.with(header::RETRY_AFTER, seconds.to_string()),
                None => failure,
            };
            return Ok(failure.send(None));
        }
        Some(Effect::HangUpBefore) => return Err(HangUp),
        Some(Effect::Delay(pause)) => tokio::time::sleep(*pause).await,
        _ => {}
    }
    let body = match &effect {
        Some(Effect::Replace { sent, arrived }) => replaced(body, sent, arrived),
        _ => body,
    };
    if let Some(Effect::AnotherRange(range)) = &effect {
        head.headers.remove(header::RANGE);
        head.headers.extend(range.map(|range| (header::RANGE, HeaderValue::from_static(range))));
    }
    let answer = shared.apply(&call, &head.headers, body);
    match &effect {
        Some(Effect::FailAfter { status }) => Ok(call.fail(*status).send(None)),
        Some(Effect::HangUpAfter) => Err(HangUp),
        Some(Effect::AnotherHash(content)) => Ok(answer.hashed(crc32c::crc32c(content)).send(None)),
        effect => Ok(answer.send(effect.as_ref())),
    }
}

fn replaced(body: Bytes, sent: &[u8], arrived: &[u8]) -> Bytes {
    let Some(place) = body.windows(sent.len()).position(|window| window == sent) else { return body };
    [&body[..place], arrived, &body[place + sent.len()..]].concat().into()
}

impl Shared {
    fn admit(&self, call: &Call, head: &http::request::Parts) -> Result<(), super::store::Wrong> {
        if call.is_signed() {
            let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            return self.signers.check(&Arrived {
                method: head.method.as_str(),
                path: head.uri.path(),
                query: head.uri.query().unwrap_or_default(),
                host,
            });
        }
        let authorization = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let is_good = |token| self.token.as_deref().is_none_or(|good| good == token);
        match token.is_some_and(is_good) || !self.demands_authorization {
            true => Ok(()),
            false => Err(wrong(401, "AuthenticationRequired", "Authentication required.")),
        }
    }

    fn apply(&self, call: &Call, headers: &http::HeaderMap, body: Bytes) -> super::answers::Answer {
        call.apply(&mut lock(&self.store), &self.settings, headers, body)
    }
}
