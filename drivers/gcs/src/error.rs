//! What Google's answers mean.
//!
//! The XML API names its failures by a code (<https://cloud.google.com/storage/docs/xml-api/reference-status>),
//! the JSON API by a reason and a message (<https://cloud.google.com/storage/docs/json_api/v1/status-codes>).
//! Only `NoSuchKey`, or JSON's "No such object", is the store's word that an object is not there: a bucket
//! that is missing has the same status.

use std::time::Duration;

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key};
use google_cloud_gax::error::CredentialsError;
use google_cloud_gax::error::rpc::StatusDetails;
use google_cloud_storage::error::WriteError;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::NAME;
use crate::credentials::failed;

/// What to wait after a 429 that does not say: Google takes about one write per second and name
/// (<https://cloud.google.com/storage/quotas#objects>), and tells nobody when the next is due.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);

/// Why a driver could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting contradicts itself or the store's limits.
    #[error("{0}")]
    Config(String),
    /// The credentials cannot be read or are of no known kind. The text never holds their content.
    #[error("the credentials cannot be used: {0}")]
    Credentials(String),
    /// No HTTP client could be made.
    #[error("no HTTP client: {0}")]
    Client(String),
}

/// An answer that is no success, read as far as it says why.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The XML code or the JSON reason; empty where there was no body.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct XmlError {
    #[serde(rename = "Code", default)]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
    #[serde(rename = "Details", default)]
    details: String,
}

#[derive(Deserialize)]
struct JsonError {
    error: JsonErrorBody,
}

#[derive(Deserialize)]
struct JsonErrorBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<JsonErrorItem>,
}

#[derive(Deserialize)]
struct JsonErrorItem {
    #[serde(default)]
    reason: String,
}

impl Refusal {
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Self {
        let (code, message) = explanation(&String::from_utf8_lossy(body));
        Self { status, code, message, retry_after: retry_after(headers) }
    }

    /// The store's answer in an error of the library's, where there was one.
    fn in_error(error: &google_cloud_storage::Error) -> Option<Self> {
        let status = StatusCode::from_u16(error.http_status_code()?).ok()?;
        let none = HeaderMap::new();
        let headers = error.http_headers().unwrap_or(&none);
        let Some(told) = error.status() else {
            return Some(Self::read(status, headers, error.http_payload().unwrap_or(&Bytes::new())));
        };
        // The library has read the JSON, and calls each of its reasons a detail.
        let reason = told.details.iter().find_map(|detail| match detail {
            StatusDetails::ErrorInfo(info) => Some(info.reason.clone()),
            _ => None,
        });
        let (code, message) = (reason.unwrap_or_default(), told.message.clone());
        Some(Self { status, code, message, retry_after: retry_after(headers) })
    }

    /// Whether the store itself says that there is no such object.
    pub(crate) fn is_missing_object(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
            && (self.code == "NoSuchKey" || self.message.starts_with("No such object"))
    }

    pub(crate) fn is_missing_upload(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.code == "NoSuchUpload"
    }

    fn is_too_much(&self) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
            StatusCode::FORBIDDEN => {
                matches!(self.code.as_str(), "rateLimitExceeded" | "userRateLimitExceeded")
            }
            _ => false,
        }
    }

    /// What it means where nothing else was agreed upon.
    pub(crate) fn kind(&self) -> ErrorKind {
        if self.is_missing_object() {
            return ErrorKind::NotFound;
        }
        if self.is_too_much() {
            let by_status = (self.status == StatusCode::TOO_MANY_REQUESTS).then_some(BETWEEN_WRITES);
            return ErrorKind::Throttled { retry_after: self.retry_after.or(by_status) };
        }
        // A 401 is retried because a token may have died on its way; a 409 is another write at work.
        let retryable = self.status.is_server_error()
            || matches!(
                self.status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::UNAUTHORIZED
            );
        match self.status {
            StatusCode::PRECONDITION_FAILED => ErrorKind::Precondition,
            _ => ErrorKind::Backend { retryable },
        }
    }

    pub(crate) fn into_error(self, key: Option<&Key>) -> Error {
        let kind = self.kind();
        self.into_error_of(kind, key)
    }

    pub(crate) fn into_error_of(self, kind: ErrorKind, key: Option<&Key>) -> Error {
        let error = Error::new(NAME, kind).because(self.to_string());
        match key {
            Some(key) => error.at(key),
            None => error,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        // Google repeats the caller's email and the object here, which an operator needs to see.
        let message: String = self.message.chars().take(300).collect();
        if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn explanation(body: &str) -> (String, String) {
    if let Ok(JsonError { error }) = serde_json::from_str(body) {
        let reason = error.errors.into_iter().next().map(|item| item.reason).unwrap_or_default();
        return (reason, error.message);
    }
    match quick_xml::de::from_str::<XmlError>(body) {
        Ok(error) if error.details.is_empty() => (error.code, error.message),
        Ok(error) => (error.code, format!("{} {}", error.message, error.details)),
        Err(_) => (String::new(), body.chars().take(300).collect()),
    }
}

/// An answer that makes no sense, which another may.
pub(crate) fn strange(what: impl Into<String>) -> Error {
    Error::new(NAME, ErrorKind::Backend { retryable: true }).because(what.into())
}

/// A request that got no answer. The outcome of a write is unknown.
pub(crate) fn lost(error: reqwest::Error) -> Error {
    // Without its URL: one that was signed is as good as a password.
    let retryable = !error.is_builder();
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    Error::new(NAME, ErrorKind::Backend { retryable }).because(words)
}

/// What became of a request of the library's: a success, the store's refusal, or no answer.
pub(crate) fn answered<T>(
    outcome: google_cloud_storage::Result<T>,
) -> Result<std::result::Result<T, Refusal>, Error> {
    outcome.map(Ok).or_else(|error| match Refusal::in_error(&error) {
        Some(refusal) => Ok(Err(refusal)),
        None => Err(unanswered(&error)),
    })
}

/// A request of the library's that got no answer, or one that makes no sense. The outcome of a write is
/// unknown.
pub(crate) fn unanswered(error: &google_cloud_storage::Error) -> Error {
    let source = std::error::Error::source(error);
    if error.is_authentication() {
        let cause = source.and_then(|source| source.downcast_ref::<CredentialsError>());
        return failed(cause.is_some_and(CredentialsError::is_transient), &words(error));
    }
    if let Some(WriteError::ChecksumMismatch { mismatch, .. }) =
        source.and_then(|source| source.downcast_ref::<WriteError>())
    {
        return strange(format!("the store holds other bytes than were sent: {mismatch}"));
    }
    let retryable = !error.is_binding();
    Error::new(NAME, ErrorKind::Backend { retryable }).because(words(error))
}

/// What is behind an error of the library's, from the outside in. An error of the HTTP client is passed over
/// and what is behind it is not: its own words are an address.
fn words(error: &google_cloud_storage::Error) -> String {
    let mut words = String::from(if error.is_authentication() {
        "no token"
    } else if error.is_connect() {
        "no connection"
    } else {
        "no answer that could be used"
    });
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if !inner.is::<reqwest::Error>() {
            words = format!("{words}: {inner}");
        }
        source = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &'static str) -> Refusal {
        let status = StatusCode::from_u16(status).expect("a status");
        Refusal::read(status, &HeaderMap::new(), &Bytes::from_static(body.as_bytes()))
    }

    const NO_OBJECT: &str = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code>\
        <Message>The specified key does not exist.</Message><Details>No such object: b/o</Details></Error>";
    const NO_BUCKET: &str = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchBucket</Code>\
        <Message>The specified bucket does not exist.</Message></Error>";
    const NO_OBJECT_JSON: &str = r#"{"error":{"code":404,"message":"No such object: b/o",
        "errors":[{"message":"No such object: b/o","domain":"global","reason":"notFound"}]}}"#;
    const NO_BUCKET_JSON: &str = r#"{"error":{"code":404,"message":"The specified bucket does not exist.",
        "errors":[{"message":"The specified bucket does not exist.","domain":"global","reason":"notFound"}]}}"#;

    #[test]
    fn only_a_missing_object_is_not_found() {
        for body in [NO_OBJECT, NO_OBJECT_JSON] {
            assert_eq!(refusal(404, body).kind(), ErrorKind::NotFound);
        }
        for body in [NO_BUCKET, NO_BUCKET_JSON, "", "<html>Not Found</html>"] {
            assert_eq!(refusal(404, body).kind(), ErrorKind::Backend { retryable: false }, "{body}");
        }
    }

    /// What the library makes of an answer: JSON is read, anything else is kept as it is.
    fn by_library(status: u16, body: &'static str) -> google_cloud_storage::Error {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().expect("a header"));
        let body = Bytes::from_static(body.as_bytes());
        match google_cloud_gax::error::rpc::Status::try_from(&body) {
            Ok(read) => {
                google_cloud_storage::Error::service_with_http_metadata(read, Some(status), Some(headers))
            }
            Err(_) => google_cloud_storage::Error::http(status, headers, body),
        }
    }

    #[test]
    fn an_answer_means_the_same_to_the_library_and_to_us() {
        const NO_OBJECT_TEXT: &str = "No such object: b/o";
        const RATE: &str =
            r#"{"error":{"code":403,"message":"x","errors":[{"reason":"rateLimitExceeded"}]}}"#;
        let answers = [(404, NO_OBJECT_TEXT), (404, NO_OBJECT_JSON), (404, NO_BUCKET_JSON), (404, "")];
        for (status, body) in answers.into_iter().chain([(403, RATE), (412, "{}"), (503, ""), (500, "")]) {
            let error = by_library(status, body);

            let told = Refusal::in_error(&error).expect("it is an answer");

            let ours = refusal(status, body);
            assert_eq!((told.code, told.message), (ours.code, ours.message), "{body}");
            assert_eq!(told.status.as_u16(), status);
            assert_eq!(told.retry_after, Some(Duration::from_secs(7)));
        }
        let text = Refusal::in_error(&by_library(404, NO_OBJECT_TEXT)).expect("it is an answer");
        assert_eq!(text.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn no_answer_is_told_without_an_address() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let get = reqwest::Client::new().get("http://127.0.0.1:1/object?X-Goog-Signature=SECRET");
        let error = google_cloud_storage::Error::connect(get.send().await.expect_err("nobody listens"));

        let error = unanswered(&error);

        assert_eq!(error.kind(), ErrorKind::Backend { retryable: true });
        assert!(error.to_string().contains("no connection: "), "{error}");
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }

    #[test]
    fn throttling_says_how_long_to_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().expect("a header"));

        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            let kind = Refusal::read(status, &headers, &Bytes::new()).kind();

            assert_eq!(kind, ErrorKind::Throttled { retry_after: Some(Duration::from_secs(7)) });
        }
        let quota = r#"{"error":{"code":403,"message":"x","errors":[{"reason":"rateLimitExceeded"}]}}"#;
        assert_eq!(refusal(403, quota).kind(), ErrorKind::Throttled { retry_after: None });
        assert_eq!(refusal(503, "").kind(), ErrorKind::Throttled { retry_after: None });
    }

    #[test]
    fn a_429_without_a_word_is_about_one_name_and_passes_within_a_second() {
        let kind = refusal(429, "").kind();

        assert_eq!(kind, ErrorKind::Throttled { retry_after: Some(Duration::from_secs(1)) });
    }

    #[test]
    fn what_may_pass_may_be_asked_again() {
        for status in [500, 502, 504, 408, 409, 401] {
            assert_eq!(refusal(status, "").kind(), ErrorKind::Backend { retryable: true }, "{status}");
        }
        for status in [400, 403, 411, 413] {
            assert_eq!(refusal(status, "").kind(), ErrorKind::Backend { retryable: false }, "{status}");
        }
    }
}
