//! Where metrics are taken: the front end tells, somebody else counts.

use std::fmt;
use std::time::Duration;

use entrepot_api::{EndpointId, Method, Status};

/// One request that is over.
#[derive(Clone, Debug)]
pub struct RequestSummary {
    /// Which operation; `None` if none was reached.
    pub endpoint: Option<EndpointId>,
    /// The method; `None` for one the API does not know.
    pub method: Option<Method>,
    /// The status of the answer, or that the client left before its end.
    pub status: Status,
    /// From the last byte of the headers to the last byte of the answer.
    pub duration: Duration,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
}

/// Watches requests. Called on the worker threads, many times a second: must not block.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A request began.
    fn started(&self) {}

    /// A request that began is over, one way or the other.
    fn finished(&self, summary: &RequestSummary);
}

/// Watches nothing.
#[derive(Debug)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn finished(&self, _: &RequestSummary) {}
}
