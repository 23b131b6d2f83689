//! What was found out about a store, for the person who runs the registry.

use std::time::Duration;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be, or worth knowing.
    Note,
    /// Could not be looked at, so nobody knows whether it is as it should be.
    Unknown,
    /// Works, but something will be slower, dearer or less safe than it could be.
    Warning,
    /// Data would be lost or requests would fail.
    Fault,
}

/// What an inspection of a store is allowed, and worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// It may write, so that permissions can be tried.
    pub writes: bool,
    /// Clients are sent to the store, so somebody has to sign.
    pub redirects: bool,
    /// How long an upload may rest before the registry gives it up.
    pub uploads_rest: Duration,
}

impl Inspection {
    /// Everything is allowed and worth looking at; uploads rest for a week.
    pub const EVERYTHING: Self =
        Self { writes: true, redirects: true, uploads_rest: Duration::from_secs(7 * 24 * 3600) };

    /// Days in which the slowest push is over. Stores' own rules count from an upload's beginning, and a push may
    /// go on for longer than it rests.
    pub const DAYS_OF_A_PUSH: u64 = 7;

    /// How long an upload may rest in whole days, as the rules of stores count.
    pub const fn days_of_rest(&self) -> u64 {
        self.uploads_rest.as_secs().div_ceil(24 * 3600)
    }
}

/// One thing found out about a store: what is so, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was looked at: `lifecycle rules`, `permission s3:PutObject`.
    pub subject: String,
    /// What is so, as one sentence.
    pub state: String,
    /// What to do about it. Empty where nothing is.
    pub remedy: String,
}

impl Finding {
    /// Something that is as it should be.
    pub fn note(subject: impl Into<String>, state: impl Into<String>) -> Self {
        Self { severity: Severity::Note, subject: subject.into(), state: state.into(), remedy: String::new() }
    }

    /// Something that could not be looked at, and who can.
    pub fn unknown(subject: impl Into<String>, state: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Unknown, ..Self::warning(subject, state, remedy) }
    }

    /// Something that could be better, and how.
    pub fn warning(subject: impl Into<String>, state: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            subject: subject.into(),
            state: state.into(),
            remedy: remedy.into(),
        }
    }

    /// Something that has to change, and how.
    pub fn fault(subject: impl Into<String>, state: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Fault,
            subject: subject.into(),
            state: state.into(),
            remedy: remedy.into(),
        }
    }
}
