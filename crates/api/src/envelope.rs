//! The body of every refusal: `{"errors":[{"code","message","detail"}]}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ErrorCode, Failure};

/// The `Content-Type` of an error body.
pub const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// How many errors one answer lists at most; a manifest may miss a million blobs.
pub const MAX_ERRORS: usize = 100;

/// The error body. One entry as a rule, several when a manifest names several missing blobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// What went wrong.
    pub errors: Vec<ErrorEntry>,
}

/// One error in the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    #[serde(default)]
    pub message: Cow<'static, str>,
    /// What it is about: a digest, a limit, a name. Its shape depends on the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl ErrorEntry {
    /// The failure with its own message.
    pub fn new(failure: Failure) -> Self {
        Self { code: failure.code(), message: Cow::Borrowed(failure.message()), detail: None }
    }

    /// Adds what was wrong with this very request to the message: most clients print nothing else.
    #[must_use]
    pub fn explain(mut self, reason: impl std::fmt::Display) -> Self {
        self.message = Cow::Owned(format!("{}: {reason}", self.message));
        self
    }

    /// Adds something for programs.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Value>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl Errors {
    /// A single error.
    pub fn one(entry: ErrorEntry) -> Self {
        Self { errors: vec![entry] }
    }

    /// The same failure about several things, the first [`MAX_ERRORS`] of them.
    pub fn each<D: Into<Value>>(failure: Failure, details: impl IntoIterator<Item = D>) -> Self {
        let errors = details.into_iter().take(MAX_ERRORS);
        Self { errors: errors.map(|detail| ErrorEntry::new(failure).detail(detail)).collect() }
    }

    /// The body as bytes to send.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an error body holds nothing but strings and JSON values")
    }
}

impl From<Failure> for Errors {
    fn from(failure: Failure) -> Self {
        Self::one(ErrorEntry::new(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_written_as_the_specification_wants_it() {
        let entry = ErrorEntry::new(Failure::NameInvalid).explain("uppercase").detail("UPPER/x");

        let body = String::from_utf8(Errors::one(entry).to_json()).unwrap();

        assert_eq!(
            body,
            r#"{"errors":[{"code":"NAME_INVALID","message":"invalid repository name: uppercase","detail":"UPPER/x"}]}"#
        );
    }

    #[test]
    fn detail_is_left_out_when_there_is_none() {
        let body = String::from_utf8(Errors::from(Failure::BlobUnknown).to_json()).unwrap();

        assert_eq!(
            body,
            r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to the repository"}]}"#
        );
    }

    #[test]
    fn a_body_is_read_back_as_it_was_written() {
        let errors = Errors::each(Failure::ManifestBlobUnknown, ["sha256:a", "sha256:b"]);

        let read: Errors = serde_json::from_slice(&errors.to_json()).unwrap();

        assert_eq!(read, errors);
        assert_eq!(read.errors.len(), 2);
    }

    #[test]
    fn a_body_never_lists_more_than_a_hundred_errors() {
        let errors = Errors::each(Failure::ManifestBlobUnknown, (0..100_000).map(|n| n.to_string()));

        assert_eq!(errors.errors.len(), MAX_ERRORS);
    }
}
