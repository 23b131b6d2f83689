//! Errors by meaning: what the caller may do next, not what the vendor called it.

use std::fmt;
use std::time::Duration;

use crate::Key;

/// The result of a driver call.
pub type Result<T> = std::result::Result<T, Error>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The store itself said that the object does not exist. The only kind that may become a 404.
    NotFound,
    /// A put-if-absent met an existing object.
    AlreadyExists,
    /// A compare-and-swap met another version, or none.
    Precondition,
    /// The upload is unknown to the store: completed, aborted or expired.
    UploadGone,
    /// The parts named at completion are not the parts the store holds. Nothing became visible.
    PartMismatch,
    /// The store asks for fewer requests.
    Throttled {
        /// How long it asked to wait, where it said so.
        retry_after: Option<Duration>,
    },
    /// A range that begins at or past the end of the object.
    RangeNotSatisfiable {
        /// The object's length in bytes.
        size: u64,
    },
    /// The store or its driver cannot do this; see [`crate::Capabilities`].
    Unsupported,
    /// No room left: disk full, quota reached.
    Full,
    /// Anything else. The outcome of a write is unknown.
    Backend {
        /// Whether the same call may succeed later.
        retryable: bool,
    },
}

/// A failed driver call: what it means, whose it was, and what was behind it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    driver: &'static str,
    key: Option<Key>,
    source: Option<Source>,
}

impl Error {
    /// An error of `driver` with a known meaning.
    pub fn new(driver: &'static str, kind: ErrorKind) -> Self {
        Self { kind, driver, key: None, source: None }
    }

    /// Names the object concerned.
    #[must_use]
    pub fn at(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Keeps what was behind it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What it means.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Which object, where there is one.
    pub const fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Which driver answered.
    pub const fn driver(&self) -> &'static str {
        self.driver
    }

    /// Whether the store itself said that the object is not there.
    pub const fn is_not_found(&self) -> bool {
        matches!(self.kind, ErrorKind::NotFound)
    }

    /// Whether a conditional write lost, as far as its answer tells. The write may still have been
    /// applied by an earlier attempt of the same call: compare what is stored.
    pub const fn is_lost_condition(&self) -> bool {
        matches!(self.kind, ErrorKind::AlreadyExists | ErrorKind::Precondition)
    }

    /// Whether the same call may succeed when it is made again.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Throttled { .. } | ErrorKind::Backend { retryable: true })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::NotFound => f.write_str("not found"),
            ErrorKind::AlreadyExists => f.write_str("already exists"),
            ErrorKind::Precondition => f.write_str("changed since it was read"),
            ErrorKind::UploadGone => f.write_str("upload unknown to the store"),
            ErrorKind::PartMismatch => f.write_str("the store holds other parts than the ones written"),
            ErrorKind::Throttled { .. } => f.write_str("the store asks for fewer requests"),
            ErrorKind::RangeNotSatisfiable { size } => write!(f, "range past the end of {size} bytes"),
            ErrorKind::Unsupported => f.write_str("not supported by the store"),
            ErrorKind::Full => f.write_str("no room left"),
            ErrorKind::Backend { .. } => f.write_str("store failure"),
        }?;
        if let Some(key) = &self.key {
            write!(f, " at {key}")?;
        }
        write!(f, " ({})", self.driver)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
