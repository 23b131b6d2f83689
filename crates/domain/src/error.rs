//! Why a verb of the registry failed: one enum, variants by meaning.

use std::time::Duration;

use entrepot_oci::{Digest, ParseError, RepositoryName};

/// The result of a domain call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed verb. The front end maps each variant to one answer; inner detail goes to the log only.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository never held anything.
    #[error("repository {0} is not known")]
    RepositoryUnknown(RepositoryName),
    /// No such manifest or tag in the repository.
    #[error("manifest {reference} is not known in {repository}")]
    ManifestUnknown {
        /// Where it was looked for.
        repository: RepositoryName,
        /// The tag or digest asked for.
        reference: String,
    },
    /// No such blob in the repository.
    #[error("blob {digest} is not known in {repository}")]
    BlobUnknown {
        /// Where it was looked for.
        repository: RepositoryName,
        /// Which one.
        digest: Digest,
    },
    /// The upload session does not exist, has ended, or is another repository's.
    #[error("upload session is not known")]
    UploadUnknown,
    /// The bytes offered do not begin where the upload stands.
    #[error("the upload stands at {offset} bytes")]
    OffsetMismatch {
        /// How many bytes the upload holds: the only acceptable next offset.
        offset: u64,
        /// How the session may be addressed from here on.
        session: crate::uploads::Session,
    },
    /// The content does not hash to the digest it was announced by.
    #[error("content has digest {computed}, not {expected}")]
    DigestMismatch {
        /// What was announced.
        expected: Digest,
        /// What arrived.
        computed: Digest,
    },
    /// The content has another length than announced.
    #[error("content has {actual} bytes, not {expected}")]
    SizeMismatch {
        /// What was announced.
        expected: u64,
        /// What arrived.
        actual: u64,
    },
    /// The content is larger than the configured limit.
    #[error("content exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The manifest is not acceptable.
    #[error(transparent)]
    ManifestInvalid(#[from] ParseError),
    /// The manifest breaks a configured rule; the text names the field and the rule.
    #[error("manifest refused: {0}")]
    ManifestRefused(String),
    /// The manifest names content the repository does not hold. Never empty, at most 100.
    #[error("{} referenced contents are not in the repository", .0.len())]
    ReferencesUnknown(Vec<Digest>),
    /// The manifest is still named by others, so it cannot be deleted.
    #[error("still referenced by {by}")]
    StillReferenced {
        /// A manifest that names it.
        by: Digest,
    },
    /// A tag did not satisfy the condition of a conditional push.
    #[error("tag {tag} does not satisfy the condition of the request")]
    ConditionFailed {
        /// The tag.
        tag: String,
    },
    /// More tags than one push may set.
    #[error("more than {limit} tags in one push")]
    TooManyTags {
        /// The limit.
        limit: usize,
    },
    /// The operation is switched off by configuration; the text says which switch.
    #[error("{0}")]
    Disabled(&'static str),
    /// The range holds no byte of the content.
    #[error("range outside of {size} bytes")]
    RangeNotSatisfiable {
        /// The content's length in bytes.
        size: u64,
    },
    /// The client's body broke off. What had arrived is kept where a session holds it.
    #[error("the request body broke off: {0}")]
    BodyBroken(String),
    /// Too much contention, a record dying under the operation, or memory used up: the same request
    /// may succeed later.
    #[error("busy: {reason}")]
    Busy {
        /// What was in the way.
        reason: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The store failed. Never a statement about whether content exists.
    #[error("the store failed: {0}")]
    Store(#[source] entrepot_storage::Error),
    /// A record in the store cannot be read: written by a newer version, or damaged.
    #[error("record {key} is unreadable: {reason}")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<entrepot_storage::Error> for Error {
    /// A range past the end is the client's mistake, not the store's failure.
    fn from(error: entrepot_storage::Error) -> Self {
        match error.kind() {
            entrepot_storage::ErrorKind::RangeNotSatisfiable { size } => Error::RangeNotSatisfiable { size },
            _ => Error::Store(error),
        }
    }
}

impl Error {
    /// When the same call is worth repeating, where somebody said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Busy { retry_after, .. } => Some(*retry_after),
            Error::Store(error) => match error.kind() {
                entrepot_storage::ErrorKind::Throttled { retry_after } => retry_after,
                _ => None,
            },
            _ => None,
        }
    }

    /// The answer to lost races: come back in a second.
    pub(crate) const fn busy(reason: &'static str) -> Self {
        Error::Busy { reason, retry_after: Duration::from_secs(1) }
    }
}
