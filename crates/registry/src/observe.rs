//! Connects those who tell to those who count: the front end and the store to the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use entrepot_frontend::debug::DebugPages;
use entrepot_frontend::{Observer, RequestSummary};
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::metrics::{Observation, Recorder};
use entrepot_telemetry::Metrics;

use crate::health::Health;

/// Counts requests.
#[derive(Debug)]
pub struct Requests(pub Arc<Metrics>);

impl Observer for Requests {
    fn started(&self) {
        self.0.request_began();
    }

    fn finished(&self, summary: &RequestSummary) {
        self.0.request_ended();
        let handler = summary.endpoint.map_or("none", |endpoint| endpoint.as_str());
        let method = summary.method.map_or("other", |method| method.as_str());
        let bytes = (summary.bytes_in, summary.bytes_out);
        self.0.request(handler, method, summary.status.code(), summary.duration, bytes);
    }
}

/// Counts calls of a store.
#[derive(Debug)]
pub struct StoreCalls {
    /// Where they are counted.
    pub metrics: Arc<Metrics>,
    /// The driver's name.
    pub driver: &'static str,
}

impl Recorder for StoreCalls {
    fn record(&self, observation: &Observation<'_>) {
        let outcome = observation.error.map_or("ok", outcome);
        let action = observation.operation.as_str();
        self.metrics.storage(self.driver, action, outcome, observation.duration, observation.bytes);
    }
}

/// A label with few values: what the failure means, not which object it met.
const fn outcome(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::AlreadyExists | ErrorKind::Precondition => "condition_lost",
        ErrorKind::UploadGone => "upload_gone",
        ErrorKind::PartMismatch => "part_mismatch",
        ErrorKind::Throttled { .. } => "throttled",
        ErrorKind::RangeNotSatisfiable { .. } => "range",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Full => "full",
        ErrorKind::Backend { .. } => "failed",
    }
}

/// What the debug server shows.
#[derive(Debug)]
pub struct Pages {
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// All checks.
    pub health: Health,
}

impl DebugPages for Pages {
    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn failures(&self) -> BTreeMap<String, String> {
        self.health.failures()
    }

    fn is_ready(&self) -> bool {
        self.health.is_ready()
    }

    fn set_down(&self, down: bool) {
        self.health.set_down(down);
    }
}
