//! Logs and metrics, built once at the start and handed to whoever records.
//!
//! Knows nothing of registries, HTTP or stores: callers give names and numbers. Nothing here reads the
//! environment, and nothing waits: log lines leave through a thread of their own.

pub mod logs;
pub mod metrics;

pub use logs::{Format, LogConfig, LogGuard};
pub use metrics::Metrics;
