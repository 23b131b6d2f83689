//! What the store's answers mean to a caller.
//!
//! The code in the body decides; the status only where there is no code. A 404 alone is never "not found": a
//! missing bucket, a wrong endpoint and a proxy in between answer 404 too.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use entrepot_storage::{Error, ErrorKind, Key};

use crate::NAME;

/// A call that failed: what is known of the answer, if there was one.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    status: Option<u16>,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    object_size: Option<u64>,
    retryable_without_answer: bool,
}

impl Failure {
    /// Reads what the SDK says.
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let Some(response) = error.raw_response() else {
            return Self::unanswered(error, !matches!(error, SdkError::ConstructionFailure(_)));
        };
        let header = |name| response.headers().get(name);
        let service = error.as_service_error();
        // HEAD has no body to tell the code in; MinIO tells it in a header.
        let code = service.and_then(|error| error.code()).filter(|code| *code != "NotFound");
        let code = code.or_else(|| header("x-minio-error-code")).filter(|code| !code.is_empty());
        let message = service.and_then(|error| error.message()).map(str::to_owned);
        Self {
            status: Some(response.status().as_u16()),
            code: code.map(str::to_owned),
            message: message.unwrap_or_else(|| chain(error)),
            request_id: header("x-amz-request-id").map(str::to_owned),
            retry_after: header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs),
            object_size: header("content-range").and_then(size_of_unsatisfied),
            retryable_without_answer: true,
        }
    }

    /// No answer came, or none within `limit`: whether the call was applied is unknown.
    pub(crate) fn late(limit: Duration) -> Self {
        Self {
            message: format!("no answer within {limit:?}"),
            retryable_without_answer: true,
            ..Self::default()
        }
    }

    /// What the store says of one object among many.
    pub(crate) fn told(code: Option<&str>, message: Option<&str>) -> Self {
        Self {
            status: Some(400),
            code: code.map(str::to_owned),
            message: message.unwrap_or("refused").to_owned(),
            ..Self::default()
        }
    }

    fn unanswered(error: &(dyn StdError + 'static), retryable: bool) -> Self {
        Self { message: chain(error), retryable_without_answer: retryable, ..Self::default() }
    }

    pub(crate) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    /// The length an unsatisfiable range met, where the answer tells it.
    pub(crate) fn object_size(&self) -> Option<u64> {
        self.object_size
    }

    /// An answer without a code that says 404: only to HEAD, and only as good as the bucket is there.
    pub(crate) fn is_bare_404(&self) -> bool {
        self.status == Some(404) && self.code.is_none()
    }

    /// Whether a conditional write met another at the same instant and was not applied.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code() == Some("ConditionalRequestConflict")
    }

    /// Whether no authority that this system knows stands behind the store's certificate. Told in words only: the
    /// layers in between hand no type on.
    pub(crate) fn is_of_unknown_authority(&self) -> bool {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        self.status.is_none() && self.message.contains(&unknown.to_string())
    }

    /// What it means where nothing more is known.
    pub(crate) fn kind(&self) -> ErrorKind {
        let Some(status) = self.status else {
            return ErrorKind::Backend { retryable: self.retryable_without_answer };
        };
        self.code().and_then(|code| self.of_code(code)).unwrap_or_else(|| self.of_status(status))
    }

    fn of_code(&self, code: &str) -> Option<ErrorKind> {
        Some(match code {
            "NoSuchKey" => ErrorKind::NotFound,
            "NoSuchUpload" => ErrorKind::UploadGone,
            "PreconditionFailed" => ErrorKind::Precondition,
            "InvalidPart" | "InvalidPartOrder" => ErrorKind::PartMismatch,
            "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "Throttling"
            | "ThrottlingException"
            | "RequestThrottled"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "BandwidthLimitExceeded" => ErrorKind::Throttled { retry_after: self.retry_after },
            "QuotaExceeded"
            | "XMinioStorageFull"
            | "XMinioAdminBucketQuotaExceeded"
            | "InsufficientStorage"
            | "InsufficientCapacity" => ErrorKind::Full,
            "NotImplemented" | "MethodNotAllowed" => ErrorKind::Unsupported,
            // A slow or damaged transfer, a credential that is being renewed, another write at this instant.
            "RequestTimeout"
            | "BadDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "IncompleteBody"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "InternalError" => ErrorKind::Backend { retryable: true },
            "NoSuchBucket" | "AccessDenied" | "RequestTimeTooSkewed" => {
                ErrorKind::Backend { retryable: false }
            }
            _ => return None,
        })
    }

    fn of_status(&self, status: u16) -> ErrorKind {
        match status {
            412 => ErrorKind::Precondition,
            429 => ErrorKind::Throttled { retry_after: self.retry_after },
            503 if self.retry_after.is_some() => ErrorKind::Throttled { retry_after: self.retry_after },
            501 | 405 => ErrorKind::Unsupported,
            507 => ErrorKind::Full,
            408 | 409 | 500.. => ErrorKind::Backend { retryable: true },
            // An answer of success that could not be read: it may have been cut short.
            200..=299 => ErrorKind::Backend { retryable: true },
            _ => ErrorKind::Backend { retryable: false },
        }
    }

    /// The error a caller sees.
    pub(crate) fn into_error(self, key: Option<&Key>) -> Error {
        let kind = self.kind();
        self.meaning(kind, key)
    }

    /// The error a caller sees where the call knows better what it means.
    pub(crate) fn meaning(self, kind: ErrorKind, key: Option<&Key>) -> Error {
        at(Error::new(NAME, kind), key).because(self)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(status) = self.status {
            write!(f, " (status {status}")?;
            match &self.request_id {
                Some(id) => write!(f, ", request {id})"),
                None => f.write_str(")"),
            }?;
        }
        Ok(())
    }
}

impl StdError for Failure {}

/// An answer that breaks the store's own protocol.
pub(crate) fn broken(reason: impl Into<String>, key: Option<&Key>) -> Error {
    at(Error::new(NAME, ErrorKind::Backend { retryable: true }), key).because(reason.into())
}

fn at(error: Error, key: Option<&Key>) -> Error {
    match key {
        Some(key) => error.at(key),
        None => error,
    }
}

/// An error with all that is behind it: the SDK's own `Display` stops at "service error".
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// `bytes */1234`
fn size_of_unsatisfied(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes */")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> Failure {
        let code = (!code.is_empty()).then(|| code.to_owned());
        Failure { status: Some(status), code, ..Failure::default() }
    }

    #[test]
    fn only_the_stores_own_word_means_not_found() {
        assert_eq!(answer(404, "NoSuchKey").kind(), ErrorKind::NotFound);
        for code in ["NoSuchBucket", "", "NoSuchVersion", "404"] {
            assert!(matches!(answer(404, code).kind(), ErrorKind::Backend { retryable: false }), "{code}");
        }
    }

    #[test]
    fn a_store_that_is_asked_too_much_is_told_from_one_that_is_down() {
        let retry_after = Some(Duration::from_secs(7));
        let slow = Failure { retry_after, ..answer(503, "SlowDown") };
        let busy = Failure { retry_after, ..answer(503, "") };

        assert_eq!(slow.kind(), ErrorKind::Throttled { retry_after });
        assert_eq!(busy.kind(), ErrorKind::Throttled { retry_after });
        assert_eq!(answer(429, "").kind(), ErrorKind::Throttled { retry_after: None });
        assert_eq!(answer(503, "SlowDownWrite").kind(), ErrorKind::Throttled { retry_after: None });
        assert_eq!(answer(503, "").kind(), ErrorKind::Backend { retryable: true });
    }

    #[test]
    fn full_stores_damaged_transfers_and_refusals_have_their_own_kinds() {
        for (status, code) in [(507, ""), (507, "XMinioStorageFull"), (403, "QuotaExceeded")] {
            assert_eq!(answer(status, code).kind(), ErrorKind::Full, "{status} {code}");
        }
        for (status, code) in [(400, "BadDigest"), (400, "RequestTimeout"), (500, ""), (409, "")] {
            assert_eq!(
                answer(status, code).kind(),
                ErrorKind::Backend { retryable: true },
                "{status} {code}"
            );
        }
        for (status, code) in [(403, "AccessDenied"), (400, "InvalidArgument"), (301, "PermanentRedirect")] {
            let refused = ErrorKind::Backend { retryable: false };
            assert_eq!(answer(status, code).kind(), refused, "{status} {code}");
        }
        assert_eq!(answer(501, "").kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_failure_says_code_status_and_request() {
        let failure = Failure {
            message: "Please reduce your request rate.".into(),
            request_id: Some("R1".into()),
            ..answer(503, "SlowDown")
        };

        let text = failure.to_string();
        assert_eq!(text, "SlowDown: Please reduce your request rate. (status 503, request R1)");
    }
}
