//! The error codes of the distribution specification, and the six that registries have always added.
//!
//! One row per code: the word on the wire, the status it usually travels with, the message, and when it is
//! used. A code that travels with another status now and then has several rows in [`crate::Failure`].

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Status;

macro_rules! error_codes {
    ($($name:ident = $code:literal, $status:ident, $message:literal, $description:literal;)+) => {
        /// What went wrong, in one word that programs may rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $(#[doc = $description] $name,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $code,)+
                }
            }

            /// The status this code travels with unless a [`crate::Failure`] says otherwise.
            pub const fn status(self) -> Status {
                match self {
                    $(ErrorCode::$name => Status::$status,)+
                }
            }

            /// The message for people when nothing more precise is known.
            pub const fn message(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $message,)+
                }
            }

            /// When the code is used, for the generated reference.
            pub const fn description(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $description,)+
                }
            }
        }
    };
}

error_codes! {
    Unknown = "UNKNOWN", InternalServerError, "unknown error",
        "A defect of the registry; its log says more under the request's id.";
    Unsupported = "UNSUPPORTED", MethodNotAllowed, "the operation is unsupported",
        "The registry does not do this, or is configured not to.";
    Unauthorized = "UNAUTHORIZED", Unauthorized, "authentication required",
        "Credentials are missing or not accepted; the challenge says which are wanted.";
    Denied = "DENIED", Forbidden, "access to the resource is denied",
        "The caller is known and may not do this.";
    Unavailable = "UNAVAILABLE", ServiceUnavailable, "service unavailable, try again",
        "The store does not answer, or the registry is at a limit; the same request may succeed later.";
    TooManyRequests = "TOOMANYREQUESTS", TooManyRequests, "too many requests",
        "The caller is over a rate limit and has to wait as long as `Retry-After` says.";
    DigestInvalid = "DIGEST_INVALID", BadRequest, "the digest is not acceptable, or not that of the content",
        "A digest that is missing, malformed or of an unknown algorithm, or that differs from the received bytes.";
    SizeInvalid = "SIZE_INVALID", BadRequest, "the size is not acceptable, or not that of the content",
        "A stated size that differs from the received one, or content beyond a limit.";
    RangeInvalid = "RANGE_INVALID", RangeNotSatisfiable, "the range is not acceptable",
        "A chunk that is not the next one, or a range outside the content.";
    NameInvalid = "NAME_INVALID", BadRequest, "invalid repository name",
        "The repository name does not follow the grammar, or is longer than 255 bytes.";
    TagInvalid = "TAG_INVALID", BadRequest, "invalid tag",
        "A tag that does not follow the grammar, or that may not be written as asked.";
    NameUnknown = "NAME_UNKNOWN", NotFound, "repository name not known to the registry",
        "Nothing was ever pushed under this name, or all of it was deleted.";
    ManifestUnknown = "MANIFEST_UNKNOWN", NotFound, "manifest unknown",
        "The repository has no such tag or manifest.";
    ManifestInvalid = "MANIFEST_INVALID", BadRequest, "manifest invalid",
        "The manifest cannot be read, contradicts itself, or breaks a rule of this registry.";
    ManifestUnverified = "MANIFEST_UNVERIFIED", BadRequest, "manifest failed signature verification",
        "A signature or trust rule rejects the manifest.";
    ManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN", BadRequest,
        "the manifest names content that the repository does not hold",
        "A blob or child manifest has to be pushed to (or mounted into) the repository first; one error for each.";
    BlobUnknown = "BLOB_UNKNOWN", NotFound, "blob unknown to the repository",
        "The repository has no such blob, whatever other repositories hold.";
    BlobUploadUnknown = "BLOB_UPLOAD_UNKNOWN", NotFound, "upload session unknown to the registry",
        "The session was finished, cancelled or expired, belongs to another repository, or never was.";
    BlobUploadInvalid = "BLOB_UPLOAD_INVALID", NotFound, "upload session invalid",
        "The session's token is damaged or was not issued by this registry; start again with a new session.";
    PaginationNumberInvalid = "PAGINATION_NUMBER_INVALID", BadRequest, "invalid number of results requested",
        "`n` is not a number from 0 up to the limit of this list.";
}

impl ErrorCode {
    /// Reads the word on the wire; `None` for a code of another registry.
    pub fn parse(word: &str) -> Option<ErrorCode> {
        ErrorCode::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        ErrorCode::parse(&word)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown error code {word:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients and scripts match on these; a change here is a change of the contract.
    const GOLDEN: &str = "\
UNKNOWN 500 unknown error
UNSUPPORTED 405 the operation is unsupported
UNAUTHORIZED 401 authentication required
DENIED 403 access to the resource is denied
UNAVAILABLE 503 service unavailable, try again
TOOMANYREQUESTS 429 too many requests
DIGEST_INVALID 400 the digest is not acceptable, or not that of the content
SIZE_INVALID 400 the size is not acceptable, or not that of the content
RANGE_INVALID 416 the range is not acceptable
NAME_INVALID 400 invalid repository name
TAG_INVALID 400 invalid tag
NAME_UNKNOWN 404 repository name not known to the registry
MANIFEST_UNKNOWN 404 manifest unknown
MANIFEST_INVALID 400 manifest invalid
MANIFEST_UNVERIFIED 400 manifest failed signature verification
MANIFEST_BLOB_UNKNOWN 400 the manifest names content that the repository does not hold
BLOB_UNKNOWN 404 blob unknown to the repository
BLOB_UPLOAD_UNKNOWN 404 upload session unknown to the registry
BLOB_UPLOAD_INVALID 404 upload session invalid
PAGINATION_NUMBER_INVALID 400 invalid number of results requested
";

    #[test]
    fn every_code_keeps_its_status_and_its_message() {
        let table: String = ErrorCode::ALL
            .iter()
            .map(|code| format!("{code} {} {}\n", code.status().code(), code.message()))
            .collect();

        assert_eq!(table, GOLDEN);
    }

    #[test]
    fn a_code_is_read_back_from_its_word_and_from_nothing_else() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
        }
        assert!(serde_json::from_str::<ErrorCode>("\"IM_A_TEAPOT\"").is_err());
        assert_eq!(ErrorCode::parse("name_invalid"), None);
    }
}
