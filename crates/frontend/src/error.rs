//! The one crossing from the errors of the inner layers into the wire contract.
//!
//! Outside sees a code, a message and a detail; the log sees the source and the key, once, here.

use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use entrepot_api::{EndpointId, ErrorEntry, Errors, Failure, Method};
use entrepot_auth::Refusal;
use entrepot_domain::Error;
use serde_json::{Value, json};

use crate::context::Context;
use crate::extract::body::End;
use crate::respond::upload;

/// A request that ends in a refusal: which one, in which words, with which headers.
#[derive(Debug)]
pub(crate) struct Failed(Box<Inner>);

#[derive(Debug)]
struct Inner {
    failure: Failure,
    errors: Errors,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::new(failure, Errors::from(failure))
    }
}

impl Failed {
    fn new(failure: Failure, errors: Errors) -> Self {
        Self(Box::new(Inner { failure, errors, headers: Vec::new() }))
    }

    /// `failure` with what was wrong with this very request.
    pub(crate) fn because(failure: Failure, reason: impl std::fmt::Display) -> Self {
        Self::new(failure, Errors::one(ErrorEntry::new(failure).explain(reason)))
    }

    /// `failure` about one thing.
    pub(crate) fn about(failure: Failure, detail: Value) -> Self {
        Self::new(failure, Errors::one(ErrorEntry::new(failure).detail(detail)))
    }

    /// A defect of ours: logged in full, told in one word.
    pub(crate) fn internal(defect: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(defect), "a request met a defect");
        Failure::Internal.into()
    }

    /// Adds a header. A value that cannot be one is left out: it never came from us.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.0.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    #[must_use]
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        // Rounded up: a client that comes back early only meets the same answer.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }

    pub(crate) fn failure(&self) -> Failure {
        self.0.failure
    }

    pub(crate) fn into_parts(self) -> (Failure, Errors, Vec<(HeaderName, HeaderValue)>) {
        (self.0.failure, self.0.errors, self.0.headers)
    }
}

/// How long a client waits before it asks a failed store again, unless the store said so itself.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// Turns an error of the domain into an answer of this endpoint.
pub(crate) fn from_domain(context: &Context<'_>, error: Error) -> Failed {
    let patience = error.retry_after().unwrap_or(STORE_PATIENCE);
    match error {
        Error::RepositoryUnknown(name) => {
            Failed::about(Failure::NameUnknown, json!({ "name": name.as_str() }))
        }
        Error::ManifestUnknown { repository, reference } => Failed::about(
            Failure::ManifestUnknown,
            json!({ "name": repository.as_str(), "reference": reference }),
        ),
        Error::BlobUnknown { digest, .. } => {
            Failed::about(Failure::BlobUnknown, json!({ "digest": digest.to_string() }))
        }
        Error::UploadUnknown => Failure::UploadUnknown.into(),
        Error::OffsetMismatch { offset, session } => {
            let failed = Failed::because(
                Failure::ChunkOutOfOrder,
                format_args!("the upload stands at {offset} bytes"),
            );
            let headers = upload::session_headers(&context.locations(), &session, offset);
            headers.into_iter().fold(failed, |failed, (name, value)| failed.header(name, &value))
        }
        Error::DigestMismatch { expected, computed } => Failed::about(
            Failure::DigestMismatch,
            json!({ "digest": expected.to_string(), "computed": computed.to_string() }),
        ),
        Error::SizeMismatch { expected, actual } => {
            Failed::about(Failure::SizeInvalid, json!({ "expected": expected, "received": actual }))
        }
        Error::TooLarge { limit } => too_large(context.endpoint.id, limit),
        Error::ManifestInvalid(reason) => Failed::because(Failure::ManifestInvalid, reason),
        Error::ManifestRefused(reason) => Failed::because(Failure::ManifestInvalid, reason),
        Error::ReferencesUnknown(digests) => {
            let details = digests.iter().map(|digest| json!({ "digest": digest.to_string() }));
            Failed::new(Failure::ManifestBlobUnknown, Errors::each(Failure::ManifestBlobUnknown, details))
        }
        Error::StillReferenced { by } => {
            Failed::about(Failure::StillReferenced, json!({ "by": by.to_string() }))
                .header(header::ALLOW, context.endpoint.resource.allow())
        }
        Error::ConditionFailed { tag } => Failed::about(Failure::TagConditionFailed, json!({ "tag": tag })),
        Error::TooManyTags { limit } => Failed::about(Failure::TooManyTags, json!({ "limit": limit })),
        Error::Disabled(reason) => disabled(context, reason),
        Error::RangeNotSatisfiable { size } => Failed::from(Failure::RangeUnsatisfiable)
            .header(header::CONTENT_RANGE, &format!("bytes */{size}")),
        Error::BodyBroken(reason) => body_broken(context, &reason),
        Error::Busy { reason, .. } => {
            tracing::warn!(reason, "a request was turned away");
            Failed::because(Failure::Unavailable, reason).retry_after(patience)
        }
        Error::Store(source) => {
            tracing::error!(error = %Chain(&source), operation = context.endpoint.operation, "the store failed");
            Failed::from(Failure::Unavailable).retry_after(patience)
        }
        Error::Record { key, reason } => {
            tracing::error!(key, reason, "a record in the store cannot be used");
            Failure::Internal.into()
        }
    }
}

fn too_large(endpoint: EndpointId, limit: u64) -> Failed {
    let failure = match endpoint {
        EndpointId::ManifestPut => Failure::ManifestTooLarge,
        _ => Failure::BlobTooLarge,
    };
    Failed::about(failure, json!({ "limit": limit }))
}

/// A write that the configuration forbids: 405, whose `Allow` leaves out what is forbidden.
pub(crate) fn disabled(context: &Context<'_>, reason: &str) -> Failed {
    let read_only = context.is_read_only();
    let failure = if read_only { Failure::ReadOnly } else { Failure::DeleteDisabled };
    let allowed = |method: &Method| match method {
        Method::Get | Method::Head | Method::Options => true,
        Method::Delete => false,
        Method::Post | Method::Patch | Method::Put => !read_only,
    };
    let methods = context.endpoint.resource.methods().filter(allowed);
    let allow = methods.map(Method::as_str).collect::<Vec<_>>().join(", ");
    let failed = Failed::because(failure, reason).header(header::ALLOW, &allow);
    if read_only { failed.retry_after(Duration::from_secs(60)) } else { failed }
}

/// The body ended before its end. Whoever is still there to read it learns why.
fn body_broken(context: &Context<'_>, reason: &str) -> Failed {
    match context.body.end() {
        End::TooSlow => Failure::BodyTimeout.into(),
        End::Open | End::Complete | End::Broken => Failed::because(Failure::SizeInvalid, reason),
    }
}

/// Turns a refusal at the gate into an answer.
pub(crate) fn from_refusal(refusal: Refusal) -> Failed {
    match refusal {
        Refusal::Unauthenticated { challenges, reason } => {
            challenges.iter().fold(Failed::because(Failure::Unauthorized, reason), |failed, challenge| {
                failed.header(header::WWW_AUTHENTICATE, &challenge.to_string())
            })
        }
        Refusal::Denied(reason) => Failed::because(Failure::Denied, reason),
        Refusal::Throttled { retry_after } => Failed::from(Failure::TooManyRequests).retry_after(retry_after),
        Refusal::Unavailable(source) => {
            tracing::error!(error = %Chain(&*source), "the authentication service failed");
            Failed::from(Failure::Unavailable).retry_after(STORE_PATIENCE)
        }
    }
}

/// An error with everything that caused it, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
