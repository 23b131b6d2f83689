//! Requests of our own to the store: addresses, deadlines, and answers read as far as they are needed.
//!
//! One request is one attempt; the decorator around the driver asks again, within its budget. HTTP/1.1
//! only: parts and reads in parallel then have a connection each, where HTTP/2 would share one window.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use entrepot_storage::decorate::Timeouts;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, Result, Version};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Config, PUBLIC_ENDPOINT};
use crate::credentials::Identity;
use crate::error::{Refusal, answered, lost, strange};
use crate::library::Library;
use crate::{NAME, OpenError};

/// What RFC 3986 leaves alone, so that a path and a signature over it have one spelling only.
pub(crate) const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same within a path, whose segments stay apart.
pub(crate) const STRICT_PATH: &AsciiSet = &STRICT.remove(b'/');

pub(crate) const GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");
pub(crate) const IF_GENERATION: HeaderName = HeaderName::from_static("x-goog-if-generation-match");
pub(crate) const HASH: HeaderName = HeaderName::from_static("x-goog-hash");
pub(crate) const STORED_LENGTH: HeaderName = HeaderName::from_static("x-goog-stored-content-length");
pub(crate) const STORED_ENCODING: HeaderName = HeaderName::from_static("x-goog-stored-content-encoding");
pub(crate) const KMS_KEY: HeaderName = HeaderName::from_static("x-goog-encryption-kms-key-name");

const CONNECT: Duration = Duration::from_secs(10);
const IDLE_CONNECTIONS: usize = 128;
/// No answer we read whole is larger: a page of 1,000 names of 1,024 bytes, escaped, is about 3 MiB.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// The way to one bucket.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) library: Library,
    pub(crate) identity: Identity,
    endpoint: String,
    pub(crate) bucket: String,
    /// Empty, or with a slash at its end.
    pub(crate) root: String,
    kms_key_name: Option<HeaderValue>,
    pub(crate) timeouts: Timeouts,
}

/// A request before we say who we are.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: reqwest::Body,
}

/// A success, read whole.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, url: String) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: reqwest::Body::from(Bytes::new()) }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.body = body.into();
        self
    }
}

impl Client {
    pub(crate) async fn open(config: &Config) -> std::result::Result<Self, OpenError> {
        // Where several libraries want a provider, the first one stays; all of ours bring ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = match &config.user_agent {
            Some(agent) => format!("{agent} entrepot/{}", env!("CARGO_PKG_VERSION")),
            None => format!("entrepot/{}", env!("CARGO_PKG_VERSION")),
        };
        let http = reqwest::Client::builder()
            .user_agent(&agent)
            .http1_only()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| OpenError::Client(error.to_string()))?;
        let kms_key_name = config.kms_key_name.as_deref().map(HeaderValue::from_str).transpose();
        let root = config.root_directory.trim_matches('/');
        let identity = Identity::open(config)?;
        let endpoint = base(config.endpoint.as_deref().unwrap_or(PUBLIC_ENDPOINT))?;
        Ok(Self {
            http,
            library: Library::open(config, &endpoint, &agent, identity.credentials()).await?,
            identity,
            endpoint,
            bucket: config.bucket.clone(),
            root: if root.is_empty() { String::new() } else { format!("{root}/") },
            kms_key_name: kms_key_name
                .map_err(|_| OpenError::Config("the KMS key's name is no header value".into()))?,
            timeouts: config.timeouts,
        })
    }

    /// The object's name in the bucket.
    pub(crate) fn name_of(&self, key: &Key) -> String {
        format!("{}{key}", self.root)
    }

    /// The key behind a name in the bucket, where it is one of ours.
    pub(crate) fn key_of(&self, name: &str) -> Option<Key> {
        name.strip_prefix(&self.root)?.parse().ok()
    }

    /// The object by the XML API.
    pub(crate) fn object_url(&self, key: &Key) -> String {
        let name = self.name_of(key);
        format!("{}/{}/{}", self.endpoint, self.bucket, utf8_percent_encode(&name, STRICT_PATH))
    }

    /// The bucket by the XML API.
    pub(crate) fn bucket_url(&self) -> String {
        format!("{}/{}", self.endpoint, self.bucket)
    }

    /// The bucket by the JSON API.
    pub(crate) fn json_url(&self) -> String {
        format!("{}/storage/v1/b/{}", self.endpoint, self.bucket)
    }

    /// A request that makes an object or begins one, with the key it is to be encrypted with.
    pub(crate) fn creating(&self, request: Request) -> Request {
        match &self.kms_key_name {
            Some(name) => request.header(KMS_KEY, name.clone()),
            None => request,
        }
    }

    /// Sends a request and waits for the head of its answer, both within `limit`.
    pub(crate) async fn send(
        &self,
        request: Request,
        limit: Duration,
    ) -> Result<std::result::Result<reqwest::Response, Refusal>> {
        let work = async {
            let Request { method, url, mut headers, body } = request;
            headers.extend(self.identity.headers(limit).await?);
            let built = self.http.request(method, url).headers(headers).body(body);
            let response = built.send().await.map_err(lost)?;
            if response.status().is_success() {
                return Ok(Ok(response));
            }
            let (status, headers) = (response.status(), response.headers().clone());
            // The status is worth more than the words that explain it.
            let body = read_whole(response).await.unwrap_or_default();
            Ok(Err(Refusal::read(status, &headers, &body)))
        };
        within(limit, work).await
    }

    /// Sends a request and reads its whole answer, all within `limit`.
    pub(crate) async fn call(
        &self,
        request: Request,
        limit: Duration,
    ) -> Result<std::result::Result<Answer, Refusal>> {
        let work = async {
            match self.send(request, limit).await? {
                Ok(response) => {
                    let headers = response.headers().clone();
                    Ok(Ok(Answer { headers, body: read_whole(response).await? }))
                }
                Err(refusal) => Ok(Err(refusal)),
            }
        };
        within(limit, work).await
    }
}

/// Waits for a request of the library's, within `limit`.
pub(crate) async fn ask<T>(
    limit: Duration,
    request: impl Future<Output = google_cloud_storage::Result<T>>,
) -> Result<std::result::Result<T, Refusal>> {
    within(limit, async { answered(request.await) }).await
}

/// Bounds one attempt.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(NAME, ErrorKind::Backend { retryable: true })
            .because(format!("no answer within {limit:?}"))),
    }
}

async fn read_whole(mut response: reqwest::Response) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if whole.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(strange("an answer longer than any that makes sense"));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// An endpoint without a slash at its end.
pub(crate) fn base(endpoint: &str) -> std::result::Result<String, OpenError> {
    let trimmed = endpoint.trim_end_matches('/');
    let parsed: std::result::Result<http::Uri, _> = trimmed.parse();
    match parsed {
        Ok(uri) if uri.scheme().is_some() && uri.host().is_some() && uri.query().is_none() => {
            Ok(trimmed.to_owned())
        }
        _ => Err(OpenError::Config(format!("{endpoint:?} is no endpoint: it needs a scheme and a host"))),
    }
}

/// A header as text.
pub(crate) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// A header as a number.
pub(crate) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The CRC32C an answer tells, where it tells one. It may stand in one header beside the MD5 or in its own.
/// <https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash>
pub(crate) fn told_crc(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(HASH).iter().filter_map(|value| value.to_str().ok());
    values.find_map(|value| {
        let mut hashes = value.split(',').map(str::trim);
        hashes.find_map(|hash| hash.strip_prefix("crc32c=").map(str::to_owned))
    })
}

/// A CRC32C as Google writes it: base64 of four bytes, the highest first.
pub(crate) fn crc_text(crc: u32) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(crc.to_be_bytes())
}

/// What an answer of the XML API tells about an object.
pub(crate) fn meta(key: &Key, headers: &HeaderMap, size: u64) -> ObjectMeta {
    let modified = text(headers, &header::LAST_MODIFIED)
        .and_then(|date| jiff::fmt::rfc2822::parse(&date).ok())
        .map(|date| date.timestamp().into());
    let version = number(headers, &GENERATION).map(|generation| Version(generation.to_string()));
    ObjectMeta { key: key.clone(), size, version, modified }
}

/// Whether two CRCs that are both known differ.
pub(crate) fn check_crc(ours: u32, headers: &HeaderMap) -> Result<()> {
    match told_crc(headers) {
        Some(theirs) if theirs != crc_text(ours) => {
            Err(strange(format!("the store holds other bytes than were sent: CRC32C {theirs}")))
        }
        _ => Ok(()),
    }
}

/// The header that makes Google refuse bytes that changed on their way.
pub(crate) fn hash_header(crc: u32) -> HeaderValue {
    // Base64 never holds a byte that a header may not.
    HeaderValue::from_str(&format!("crc32c={}", crc_text(crc))).unwrap_or(HeaderValue::from_static(""))
}

/// Nothing but a status.
pub(crate) const NOT_SATISFIABLE: StatusCode = StatusCode::RANGE_NOT_SATISFIABLE;
