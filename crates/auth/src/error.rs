//! Why nobody was let in.

use std::time::Duration;

use crate::Challenge;

/// What an [`Authenticator`](crate::Authenticator) or [`Authorizer`](crate::Authorizer) answers
/// instead of yes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Credentials are missing, wrong or expired; better ones may help.
    #[error("not authenticated: {0}")]
    Unauthenticated(&'static str),
    /// The identity is known and may not do this; other credentials of the same identity do not help.
    #[error("denied: {0}")]
    Denied(String),
    /// Too many attempts.
    #[error("too many attempts")]
    Throttled {
        /// When the next attempt is worth making.
        retry_after: Duration,
    },
    /// Whoever has to be asked does not answer. Nobody is let in meanwhile.
    #[error("the authentication service failed: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A refusal as it leaves the [`Gate`](crate::Gate).
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Come back with credentials that answer one of these. Never empty.
    #[error("authentication required: {reason}")]
    Unauthenticated {
        /// What would be accepted.
        challenges: Vec<Challenge>,
        /// What was wrong with what was presented.
        reason: &'static str,
    },
    /// No.
    #[error("denied: {0}")]
    Denied(String),
    /// Not now: too many attempts.
    #[error("too many attempts")]
    Throttled {
        /// When the next attempt is worth making.
        retry_after: Duration,
    },
    /// Whoever has to be asked does not answer.
    #[error("the authentication service failed: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
