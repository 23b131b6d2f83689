//! What Azure's answers mean.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::error::ErrorKind as CoreKind;
use azure_core::http::RawResponse;
use azure_core::http::headers::HeaderName;
use entrepot_storage::{Error, ErrorKind, Key};

pub(crate) const NAME: &str = "azure";

/// Why a driver could not be opened. Names the configuration key that is to blame, never its value where
/// that is a secret.
#[derive(Debug, thiserror::Error)]
#[error("azure: {0}")]
pub struct OpenError(pub(crate) String);

impl OpenError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What is kept of an answer that was a failure. The answer itself is dropped: Azure repeats the signature
/// it was sent in the body of a 403, and errors end in logs.
#[derive(Debug)]
struct Answer {
    status: u16,
    code: String,
    request: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (request {})", self.status, self.code, self.request)
    }
}

impl std::error::Error for Answer {}

/// The status of an answer, 0 where none came.
pub(crate) fn status(error: &azure_core::Error) -> u16 {
    error.http_status().map_or(0, u16::from)
}

/// Azure's own word for what went wrong, where it came: `BlobNotFound`.
pub(crate) fn code(error: &azure_core::Error) -> Option<&str> {
    match error.kind() {
        CoreKind::HttpResponse { error_code: Some(code), .. } => Some(code),
        _ => header(error, "x-ms-error-code"),
    }
}

/// A header of the answer that was a failure.
pub(crate) fn header<'e>(error: &'e azure_core::Error, name: &'static str) -> Option<&'e str> {
    answer(error)?.headers().get_optional_str(&HeaderName::from_static(name))
}

fn answer(error: &azure_core::Error) -> Option<&RawResponse> {
    match error.kind() {
        CoreKind::HttpResponse { raw_response, .. } => raw_response.as_deref(),
        _ => None,
    }
}

/// The failure of a call that concerned `key`.
pub(crate) fn at(error: &azure_core::Error, key: &Key) -> Error {
    meaning(error).at(key)
}

/// The failure of a call.
pub(crate) fn meaning(error: &azure_core::Error) -> Error {
    Error::new(NAME, kind(error)).because(source(error))
}

fn source(error: &azure_core::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match status(error) {
        0 => chain(error).into(),
        status => Box::new(Answer {
            status,
            code: code(error).unwrap_or("without a code").to_owned(),
            request: header(error, "x-ms-request-id").unwrap_or("unknown").to_owned(),
        }),
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &azure_core::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(inner) = next {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        next = inner.source();
    }
    text
}

fn kind(error: &azure_core::Error) -> ErrorKind {
    let code = code(error).unwrap_or_default();
    match (status(error), code) {
        // No other 404 is the store's word about an object: `ContainerNotFound` is a wrong configuration,
        // and a proxy's 404 has no code at all.
        (404, "BlobNotFound") => ErrorKind::NotFound,
        (409, "BlobAlreadyExists") => ErrorKind::AlreadyExists,
        (412, "ConditionNotMet" | "TargetConditionNotMet") => ErrorKind::Precondition,
        (429 | 503, _) | (500, "OperationTimedOut") => {
            ErrorKind::Throttled { retry_after: retry_after(error) }
        }
        (409, "ContainerBeingDeleted" | "OperationNotAllowedOnBlobBeingRestored") => retryable(true),
        // What arrived was not what was sent.
        (400, "Md5Mismatch" | "Crc64Mismatch") => retryable(true),
        (408 | 500 | 502 | 504, _) => retryable(true),
        (0, _) => retryable(may_pass(error)),
        _ => retryable(false),
    }
}

/// Whether a call that was not answered may be later: nobody was reached, or it was for want of a token whose
/// issuer was not reached or was busy. The latter is told by what is behind the SDK's error.
fn may_pass(error: &azure_core::Error) -> bool {
    match error.kind() {
        CoreKind::Connection | CoreKind::Io => true,
        CoreKind::HttpResponse { status, .. } => {
            matches!(u16::from(*status), 408 | 410 | 429 | 500 | 502 | 503 | 504)
        }
        CoreKind::Credential => behind(error).is_some_and(may_pass),
        _ => false,
    }
}

/// The next error of the SDK's behind this one.
fn behind(error: &azure_core::Error) -> Option<&azure_core::Error> {
    let mut next = std::error::Error::source(error);
    while let Some(inner) = next {
        let shared = inner.downcast_ref::<Arc<azure_core::Error>>().map(AsRef::as_ref);
        if let Some(found) = shared.or_else(|| inner.downcast_ref()) {
            return Some(found);
        }
        next = inner.source();
    }
    None
}

const fn retryable(retryable: bool) -> ErrorKind {
    ErrorKind::Backend { retryable }
}

fn retry_after(error: &azure_core::Error) -> Option<Duration> {
    let millis = |name| header(error, name)?.parse().ok().map(Duration::from_millis);
    let seconds = || header(error, "retry-after")?.parse().ok().map(Duration::from_secs);
    millis("x-ms-retry-after-ms").or_else(|| millis("retry-after-ms")).or_else(seconds)
}

/// A failure of this driver's own: an answer that makes no sense.
pub(crate) fn nonsense(key: &Key, text: impl Into<String>) -> Error {
    Error::new(NAME, retryable(true)).at(key).because(text.into())
}

#[cfg(test)]
mod tests {
    use azure_core::http::StatusCode;
    use azure_core::http::headers::Headers;

    use super::*;

    fn answered(status: u16, code: Option<&str>, headers: &[(&'static str, &'static str)]) -> ErrorKind {
        let mut all = Headers::new();
        headers.iter().for_each(|(name, value)| all.insert(*name, *value));
        let status = StatusCode::from(status);
        let raw_response = Some(Box::new(RawResponse::from_bytes(status, all, "")));
        let kind = CoreKind::HttpResponse { status, error_code: code.map(str::to_owned), raw_response };
        kind_of(&azure_core::Error::with_message(kind, "answered"))
    }

    fn kind_of(error: &azure_core::Error) -> ErrorKind {
        meaning(error).kind()
    }

    #[test]
    fn only_the_stores_word_about_an_object_is_not_found() {
        assert_eq!(answered(404, Some("BlobNotFound"), &[]), ErrorKind::NotFound);
        for code in [None, Some("ContainerNotFound"), Some("ResourceNotFound"), Some("AccountNotFound")] {
            assert_eq!(answered(404, code, &[]), ErrorKind::Backend { retryable: false }, "{code:?}");
        }
    }

    #[test]
    fn an_answer_without_a_body_tells_its_code_in_a_header() {
        let kind = answered(404, None, &[("x-ms-error-code", "BlobNotFound")]);

        assert_eq!(kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_busy_server_is_throttling_and_says_for_how_long() {
        let seconds = Some(Duration::from_secs(7));
        let millis = Some(Duration::from_millis(1500));

        assert_eq!(
            answered(503, Some("ServerBusy"), &[("retry-after", "7")]),
            ErrorKind::Throttled { retry_after: seconds }
        );
        assert_eq!(
            answered(429, None, &[("x-ms-retry-after-ms", "1500"), ("retry-after", "7")]),
            ErrorKind::Throttled { retry_after: millis }
        );
        assert_eq!(answered(500, Some("OperationTimedOut"), &[]), ErrorKind::Throttled { retry_after: None });
    }

    #[test]
    fn conflicts_and_lost_conditions_are_told_apart() {
        assert_eq!(answered(409, Some("BlobAlreadyExists"), &[]), ErrorKind::AlreadyExists);
        assert_eq!(answered(412, Some("ConditionNotMet"), &[]), ErrorKind::Precondition);
        assert_eq!(answered(412, Some("LeaseIdMissing"), &[]), ErrorKind::Backend { retryable: false });
        assert_eq!(answered(403, None, &[]), ErrorKind::Backend { retryable: false });
        assert_eq!(answered(500, None, &[]), ErrorKind::Backend { retryable: true });
    }

    /// What `azure_identity` makes of an answer of the issuer's.
    fn without_token(status: u16) -> azure_core::Error {
        let status = StatusCode::from(status);
        let kind = CoreKind::HttpResponse { status, error_code: None, raw_response: None };
        let answer = azure_core::Error::with_message(kind, "answered");
        azure_core::Error::with_error(CoreKind::Credential, answer, "ClientSecretCredential failed")
    }

    #[test]
    fn a_busy_issuer_of_tokens_may_be_asked_again_and_a_wrong_secret_not() {
        for status in [429, 500, 503, 504] {
            let told_again = Arc::new(without_token(status));
            let told_again = azure_core::Error::new(CoreKind::Credential, told_again);

            assert_eq!(kind_of(&without_token(status)), ErrorKind::Backend { retryable: true }, "{status}");
            assert_eq!(kind_of(&told_again), ErrorKind::Backend { retryable: true }, "{status}");
        }
        for status in [400, 401, 403] {
            assert_eq!(kind_of(&without_token(status)), ErrorKind::Backend { retryable: false }, "{status}");
        }
        let silent = azure_core::Error::new(CoreKind::Io, std::io::Error::other("nobody answers"));
        let silent = azure_core::Error::with_error(CoreKind::Credential, silent, "no token");
        assert_eq!(kind_of(&silent), ErrorKind::Backend { retryable: true });
    }

    #[test]
    fn the_body_of_an_answer_is_not_repeated() {
        let status = StatusCode::from(403);
        let body = "The MAC signature 'c2VjcmV0' is not the same as any computed signature";
        let raw_response = Some(Box::new(RawResponse::from_bytes(status, Headers::new(), body)));
        let error_code = Some("AuthenticationFailed".to_owned());
        let kind = CoreKind::HttpResponse { status, error_code, raw_response };
        let error = meaning(&azure_core::Error::with_message(kind, body));

        assert!(!format!("{error} {error:?}").contains("c2VjcmV0"));
        assert!(error.to_string().contains("403 AuthenticationFailed"), "{error}");
    }
}
