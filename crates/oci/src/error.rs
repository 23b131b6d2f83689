//! Why a word of the specification could not be read.
//!
//! One enum for the crate, variants by meaning. The front end maps each variant to one error code;
//! the text is written for the person who typed the value.

/// A value that does not follow its grammar. Carries the offending value, cut to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a repository name (distribution-spec, "Pulling manifests", grammar of `<name>`).
    #[error("invalid repository name {value:?}: {reason}")]
    Name {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a tag (`[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`).
    #[error("invalid tag {value:?}: {reason}")]
    Tag {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a digest of a supported algorithm (image-spec, "Digests").
    #[error("invalid digest {value:?}: {reason}")]
    Digest {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a media type (RFC 6838, section 4.2).
    #[error("invalid media type {value:?}: {reason}")]
    MediaType {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A byte range that cannot be read (`Range`, `Content-Range`).
    #[error("invalid range {value:?}: {reason}")]
    Range {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An access scope that cannot be read (distribution token specification).
    #[error("invalid scope {value:?}: {reason}")]
    Scope {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A manifest that is not acceptable; `reason` names the field.
    #[error("invalid manifest: {reason}")]
    Manifest {
        /// What is wrong, naming the field.
        reason: String,
    },
}

/// Cuts a rejected value so that an error never carries more than a line of it.
pub(crate) fn excerpt(value: &str) -> String {
    value.chars().take(128).collect()
}
