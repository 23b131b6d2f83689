//! Every way in which the registry refuses: a code, the status it travels with here, and when.
//!
//! [`ErrorCode`] is what programs match on; a failure is finer. Two failures may share a code and differ in
//! status (a manifest of the wrong size is 400, one beyond the limit 413) or share both and differ in cause.
//! The front end maps each error of the inner layers to one of these, and knows no status of its own.

use crate::header::{self, Header};
use crate::{ErrorCode, Status};

macro_rules! failures {
    ($($name:ident = $code:ident $(, $status:ident)?; $message:literal; $when:literal; [$($header:ident),*];)+) => {
        /// One reason for a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Failure {
            $(#[doc = $when] $name,)+
        }

        impl Failure {
            /// Every failure, in the order of the table.
            pub const ALL: &'static [Failure] = &[$(Failure::$name,)+];

            /// The code in the error body.
            pub const fn code(self) -> ErrorCode {
                match self {
                    $(Failure::$name => ErrorCode::$code,)+
                }
            }

            /// The status of the answer.
            pub const fn status(self) -> Status {
                match self {
                    $(Failure::$name => failures!(@status $code $($status)?),)+
                }
            }

            /// The message in the error body.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Failure::$name => $message,)+
                }
            }

            /// When it happens, for the generated reference.
            pub const fn when(self) -> &'static str {
                match self {
                    $(Failure::$name => $when,)+
                }
            }

            /// Headers this answer carries beside the usual ones.
            pub const fn headers(self) -> &'static [&'static Header] {
                match self {
                    $(Failure::$name => &[$(&header::$header,)*],)+
                }
            }

            /// The failure's own name, unique in the table; for tests and the OpenAPI examples.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Failure::$name => stringify!($name),)+
                }
            }
        }
    };
    (@status $code:ident) => { ErrorCode::$code.status() };
    (@status $code:ident $status:ident) => { Status::$status };
}

failures! {
    NameInvalid = NameInvalid;
        "invalid repository name";
        "The repository name does not follow the grammar or is longer than 255 bytes."; [];
    NameUnknown = NameUnknown;
        "repository name not known to the registry";
        "The repository does not exist."; [];
    TagInvalid = TagInvalid;
        "invalid tag";
        "A tag to be written does not follow the grammar."; [];
    ManifestUnknown = ManifestUnknown;
        "manifest unknown";
        "The repository exists and has no such tag or manifest; a tag that breaks the grammar counts as absent."; [];
    ManifestInvalid = ManifestInvalid;
        "manifest invalid";
        "The manifest is not acceptable JSON, its media type is unknown or contradicts `Content-Type`, or a field breaks a rule."; [];
    ManifestTooLarge = SizeInvalid, ContentTooLarge;
        "the manifest is larger than this registry accepts";
        "The manifest is larger than `limits.max_manifest_size`."; [];
    ManifestUnverified = ManifestUnverified;
        "manifest failed signature verification";
        "A trust policy rejects the manifest."; [];
    ManifestBlobUnknown = ManifestBlobUnknown;
        "the manifest names content that the repository does not hold";
        "A blob or child manifest is not in the repository; one error for each, `detail` names it."; [];
    TagConditionFailed = TagInvalid, PreconditionFailed;
        "the tag does not stand where the request's condition says";
        "`If-Match` or `If-None-Match` does not hold for the tag; nothing was written."; [];
    TooManyTags = TagInvalid, UriTooLong;
        "too many tags in one request";
        "More `tag` parameters than `limits.max_tags_per_push`."; [];
    DigestInvalid = DigestInvalid;
        "invalid digest";
        "A digest is missing, malformed, or of an unsupported algorithm."; [];
    DigestMismatch = DigestInvalid;
        "the content has another digest";
        "The received bytes do not hash to the stated digest; nothing was stored."; [];
    AlgorithmUnsupported = DigestInvalid;
        "unsupported digest algorithm";
        "`digest-algorithm` names none of the supported algorithms."; [];
    BlobUnknown = BlobUnknown;
        "blob unknown to the repository";
        "The repository does not hold the blob."; [];
    BlobTooLarge = SizeInvalid, ContentTooLarge;
        "the blob is larger than this registry accepts";
        "The blob is, or would become, larger than `limits.max_blob_size`."; [];
    UploadUnknown = BlobUploadUnknown;
        "upload session unknown to the registry";
        "The session was finished, cancelled or expired, belongs to another repository, or never was."; [];
    UploadInvalid = BlobUploadInvalid;
        "upload session invalid";
        "The session's token is damaged or was not issued by this registry."; [];
    ChunkOutOfOrder = RangeInvalid;
        "the chunk does not begin where the upload stands";
        "The chunk is not the next one, or another request appended first. `Range` says how far the upload got; it can go on from there."; [LOCATION, RANGE, UPLOAD_UUID];
    ContentRangeInvalid = RangeInvalid, BadRequest;
        "unreadable Content-Range";
        "`Content-Range` is not `<first>-<last>`."; [];
    SizeInvalid = SizeInvalid;
        "the stated size differs from the received one";
        "`Content-Range`, or the `size` or `length` parameter, contradicts the number of received bytes."; [];
    RangeUnsatisfiable = RangeInvalid;
        "the requested range lies outside the content";
        "No requested range overlaps the content."; [CONTENT_RANGE];
    PaginationInvalid = PaginationNumberInvalid;
        "invalid number of results requested";
        "`n` is not a number, is negative, or is beyond the limit of this list."; [];
    DeleteDisabled = Unsupported;
        "deletion is disabled";
        "`storage.delete.enabled` is false, or deletion of blobs is switched off."; [ALLOW];
    StillReferenced = Unsupported;
        "the content is still referenced";
        "A manifest of the repository names the content; `detail` says which."; [ALLOW];
    ReadOnly = Unsupported;
        "the registry is read-only at the moment";
        "`storage.maintenance.readonly.enabled` is true."; [ALLOW, RETRY_AFTER];
    Unauthorized = Unauthorized;
        "authentication required";
        "Credentials are missing or not accepted."; [WWW_AUTHENTICATE];
    Denied = Denied;
        "access to the resource is denied";
        "The caller may not do this in this repository."; [];
    Unavailable = Unavailable;
        "the registry cannot serve this now, try again";
        "The store does not answer, or a budget is used up. Never means that content is absent."; [RETRY_AFTER];
    TooManyRequests = TooManyRequests;
        "too many requests";
        "The caller is over a rate limit."; [RETRY_AFTER];
    MethodUnsupported = Unsupported;
        "this path does not accept the method";
        "The path exists; `Allow` lists its methods."; [ALLOW];
    RouteUnknown = Unsupported, NotFound;
        "no such endpoint";
        "The path belongs to no endpoint."; [];
    UriTooLong = SizeInvalid, UriTooLong;
        "the request line is too long";
        "The path and query are longer than the server reads."; [];
    HeadersTooLarge = SizeInvalid, HeaderFieldsTooLarge;
        "the request headers are too large";
        "The headers are longer or more than the server reads."; [];
    BodyTimeout = SizeInvalid, RequestTimeout;
        "the request body did not arrive in time";
        "The client stopped sending in the middle of the body. What arrived of an upload can be continued."; [];
    Internal = Unknown;
        "internal error";
        "A defect of the registry."; [];
}

impl Failure {
    /// Answered before an endpoint is chosen, so that no row of `ENDPOINTS` lists them.
    pub const UNROUTED: &'static [Failure] = &[
        Failure::RouteUnknown,
        Failure::MethodUnsupported,
        Failure::UriTooLong,
        Failure::HeadersTooLarge,
        Failure::BodyTimeout,
    ];

    /// In the contract, but not to be provoked from outside: `Internal` takes a defect; the others
    /// wait for trust policies and rate limits, and move into the rows of their endpoints with them.
    pub const RESERVED: &'static [Failure] =
        &[Failure::Internal, Failure::ManifestUnverified, Failure::TooManyRequests];

    /// Whether it can happen only where authentication is configured.
    pub const fn requires_auth(self) -> bool {
        matches!(self, Failure::Unauthorized | Failure::Denied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ENDPOINTS;

    #[test]
    fn every_failure_belongs_to_an_endpoint_or_is_declared_to_belong_to_none() {
        for failure in Failure::ALL {
            let listed = ENDPOINTS.iter().any(|endpoint| endpoint.failures.contains(failure));
            let apart = Failure::UNROUTED.contains(failure) || Failure::RESERVED.contains(failure);
            assert!(listed ^ apart, "{failure:?}");
        }
    }

    #[test]
    fn every_error_code_is_used_by_some_failure() {
        for code in ErrorCode::ALL {
            assert!(Failure::ALL.iter().any(|failure| failure.code() == *code), "{code}");
        }
    }

    #[test]
    fn answers_that_ask_for_patience_or_credentials_say_how() {
        for failure in Failure::ALL {
            let fields: Vec<_> = failure.headers().iter().map(|header| header.field).collect();
            let wanted = match failure.status() {
                Status::Unauthorized => "www-authenticate",
                Status::MethodNotAllowed => "allow",
                Status::TooManyRequests | Status::ServiceUnavailable => "retry-after",
                _ => continue,
            };
            assert!(fields.contains(&wanted), "{failure:?}");
        }
    }
}
