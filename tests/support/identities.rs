//! Who a registry is that has no key written down: what it finds around it where it runs, and the issuers of
//! temporary credentials that are asked there.
//!
//! The issuers are imitations on loopback, written from what each cloud documents. They refuse who does not
//! ask as documented, hand out what the stores of the tests really check, and remember what they were asked.

mod amazon;
mod google;
mod microsoft;

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use crate::proxy::{Answer, Proxy};
use crate::server::Environment;

pub use amazon::{Amazon, TemporaryKeys};
pub use google::{GOOGLE_TOKEN, Google};
pub use microsoft::Microsoft;

/// Who a registry is. What it needs for that runs and lies there until this is dropped.
#[derive(Debug)]
pub struct Identity {
    /// Variables it finds.
    pub(crate) environment: Environment,
    /// Lines of its store's section.
    pub(crate) configuration: String,
    asked: Asked,
    /// How often its keys were replaced.
    renewed: Arc<AtomicUsize>,
    _issuer: Option<Proxy>,
}

impl Identity {
    /// What the issuer was asked so far: methods and paths, without queries.
    pub fn asked(&self) -> Vec<String> {
        self.asked.all()
    }

    /// From now on the next keys are handed out.
    pub fn renew(&self) {
        self.renewed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Puts a file into `home`, and answers its path.
fn file(home: &Path, name: &str, content: &str) -> String {
    let path = home.join(name);
    std::fs::write(&path, content).expect("a file can be written");
    path.display().to_string()
}

/// What an issuer was asked.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    /// Has `say` answer every request to an issuer, each of which is noted.
    fn answer<S>(&self, say: S) -> impl Fn(Request<Incoming>) -> Answering + Clone + Send + 'static
    where
        S: Fn(&Question) -> Answer + Clone + Send + 'static,
    {
        let asked = self.clone();
        move |request| {
            let (asked, say) = (asked.clone(), say.clone());
            Box::pin(async move {
                let question = Question::read(request).await;
                asked.note(&question);
                say(&question)
            })
        }
    }

    fn note(&self, request: &Question) {
        let line = format!("{} {}", request.method, request.path);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A request an issuer was sent.
struct Question {
    method: String,
    path: String,
    query: String,
    headers: hyper::HeaderMap,
    body: String,
}

impl Question {
    async fn read(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A field of a form, decoded.
    fn field(&self, name: &str) -> String {
        let pairs = self.body.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.into_iter().find(|(given, _)| *given == name).map(|(_, value)| value);
        let plain = value.unwrap_or_default().replace('+', " ");
        percent_encoding::percent_decode_str(&plain).decode_utf8_lossy().into_owned()
    }
}

/// What an issuer answers with.
type Said = (StatusCode, &'static str, String);

fn json(value: &Value) -> Said {
    (StatusCode::OK, "application/json", value.to_string())
}

fn text(value: impl Into<String>) -> Said {
    (StatusCode::OK, "text/plain", value.into())
}

fn refused(status: StatusCode, why: &str) -> Said {
    (status, "application/json", serde_json::json!({"message": why}).to_string())
}

fn into_answer((status, kind, body): Said) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    answer
}
