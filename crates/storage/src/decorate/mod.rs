//! Drivers around drivers: each adds one thing and passes everything on.
//!
//! A usual chain, from the outside in: [`Metrics`] counts what callers asked for; [`Retry`] asks again;
//! [`Timeout`] bounds each attempt, not their sum; [`Limit`] bounds what reaches the store at once; and
//! in tests [`Fault`] stands before the store and breaks it. [`Alone`] stands outside of all where the
//! store knows no conditions and one process is all there is.
//!
//! A decorator never changes the meaning of an answer. The trait has no default methods, so one that
//! forgot a call would not compile.

pub mod alone;
pub mod fault;
pub mod limit;
pub mod metrics;
mod operation;
pub mod retry;
pub mod timeout;

pub use alone::Alone;
pub use fault::{Controls, Effect, Fault, Point, Rule, Stepper, Ticket};
pub use limit::{Limit, Limits};
pub use metrics::{Counters, Counts, Metrics, Observation, Recorder};
pub use operation::{Class, Operation};
pub use retry::{Retry, RetryPolicy};
pub use timeout::{Timeout, Timeouts};
