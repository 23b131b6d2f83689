//! An issuer of tokens, where a machine with a managed identity finds one: at an address its surroundings
//! name, over plain HTTP on loopback.
//!
//! It answers as App Service does to
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>. Its tokens
//! are good for Azurite, which looks at what they claim and not at who signed them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::proxy::{Answer, Proxy};

/// What only the machine itself knows, so that nobody else is given its tokens.
const SECRET: &str = "only-for-this-machine";
const LIFE: Duration = Duration::from_secs(3600);

/// An issuer that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Issuer(Proxy);

impl Issuer {
    pub(crate) fn start() -> Self {
        Self(Proxy::start("issuer", async |request| answer(&request)))
    }

    /// What a process has to find in its environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let endpoint = format!("http://{}/msi/token", self.0.address());
        vec![("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", SECRET.to_owned())]
    }
}

fn answer<B>(request: &Request<B>) -> Answer {
    let is_known = request.headers().get("x-identity-header").is_some_and(|secret| secret == SECRET);
    // `resource=https%3A%2F%2Fstorage.azure.com`, with or without a slash at its end.
    let asks_for_storage = request.uri().query().unwrap_or_default().contains("storage.azure.com");
    let (status, body) = match (is_known, asks_for_storage) {
        (true, true) => (StatusCode::OK, issued()),
        (true, false) => (StatusCode::BAD_REQUEST, json!({"message": "a token for storage, or none"})),
        (false, _) => (StatusCode::UNAUTHORIZED, json!({"message": "the header is another"})),
    };
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    answer
}

fn issued() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs();
    let end = now + LIFE.as_secs();
    let claims = json!({
        "iss": "https://sts.windows.net/tenant/", "aud": "https://storage.azure.com",
        "nbf": now - 60, "iat": now - 60, "exp": end,
        "oid": "11059fcc-5514-4800-b5f8-49808b9cfab6", "tid": "ab1f708d-50f6-404c-a006-d71b2ac7a606",
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.unsigned", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims));
    json!({
        "access_token": token, "expires_on": end.to_string(),
        "resource": "https://storage.azure.com", "token_type": "Bearer",
    })
}
