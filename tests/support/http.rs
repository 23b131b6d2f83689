//! A client that sends exactly the bytes a test wants, and shows exactly what came back.
//!
//! Real clients hide what these suites are about: they add `Accept` and `Content-Length`, follow
//! redirects, join repeated headers and retry. This one adds nothing but `Host`, changes nothing, and
//! keeps answers as they came. It blocks its thread; every wait is bounded by [`PATIENCE`].

mod client;
mod connection;
mod request;
mod response;
mod tls;

pub use client::Client;
pub use connection::Connection;
pub use request::Request;
pub use response::Response;

use std::time::Duration;

/// How long any single read or write may take before the test fails. Nothing is asserted about time;
/// this only keeps a hanging server from hanging the suite.
pub const PATIENCE: Duration = Duration::from_secs(120);
