//! Prometheus metrics, under the names distribution gave them where it has the same thing.

mod series;

use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use series::SeriesOf;

/// Every metric of the process. Recording takes no lock that another recording waits long for.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    in_flight: IntGauge,
    storage_durations: HistogramVec,
    storage_requests: IntCounterVec,
    storage_bytes: IntCounterVec,
    answers: SeriesOf<(&'static str, &'static str, u16), Answers>,
    calls: SeriesOf<(&'static str, &'static str, &'static str), Calls>,
}

/// The series of one kind of answer.
#[derive(Debug)]
struct Answers {
    requests: IntCounter,
    durations: Histogram,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
}

/// The series of one kind of storage call.
#[derive(Debug)]
struct Calls {
    requests: IntCounter,
    durations: Histogram,
    bytes: IntCounter,
}

/// Upper bounds in seconds, from a cached answer to a slow upload.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

impl Metrics {
    /// All metrics at zero. `version` becomes a label of `registry_build_info`.
    pub fn new(version: &str) -> Self {
        let registry = Registry::new();
        let metrics = Self {
            requests: counter(
                "registry_http_requests_total",
                "Answered requests.",
                &["handler", "method", "code"],
            ),
            durations: histogram(
                "registry_http_request_duration_seconds",
                "Time from a request's head to its answer's last byte.",
                &["handler", "method"],
            ),
            bytes_in: counter("registry_http_request_bytes_total", "Bytes of request bodies.", &["handler"]),
            bytes_out: counter(
                "registry_http_response_bytes_total",
                "Bytes of answers' bodies.",
                &["handler"],
            ),
            in_flight: IntGauge::new("registry_http_in_flight_requests", "Requests being answered.")
                .expect("a constant name"),
            storage_durations: histogram(
                "registry_storage_action_seconds",
                "Time a call of the storage driver took.",
                &["driver", "action"],
            ),
            storage_requests: counter(
                "registry_storage_requests_total",
                "Calls of the storage driver, by how they ended.",
                &["driver", "action", "outcome"],
            ),
            storage_bytes: counter(
                "registry_storage_bytes_total",
                "Bytes moved by calls of the storage driver.",
                &["driver", "action"],
            ),
            answers: SeriesOf::default(),
            calls: SeriesOf::default(),
            registry,
        };
        metrics.register(version);
        metrics
    }

    fn register(&self, version: &str) {
        let build = IntGaugeVec::new(Opts::new("registry_build_info", "What is running."), &["version"])
            .expect("a constant name");
        build.with_label_values(&[version]).set(1);
        let all: [Box<dyn prometheus::core::Collector>; 9] = [
            Box::new(build),
            Box::new(self.requests.clone()),
            Box::new(self.durations.clone()),
            Box::new(self.bytes_in.clone()),
            Box::new(self.bytes_out.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.storage_durations.clone()),
            Box::new(self.storage_requests.clone()),
            Box::new(self.storage_bytes.clone()),
        ];
        for collector in all {
            self.registry.register(collector).expect("each name is registered once");
        }
    }

    /// Notes that a request's head has arrived.
    pub fn request_began(&self) {
        self.in_flight.inc();
    }

    /// Notes that a request whose beginning was noted is over.
    pub fn request_ended(&self) {
        self.in_flight.dec();
    }

    /// Notes an answered request. `handler` is an endpoint's id, so the number of series is bounded.
    pub fn request(
        &self,
        handler: &'static str,
        method: &'static str,
        code: u16,
        took: Duration,
        bytes: (u64, u64),
    ) {
        let series = self.answers.find((handler, method, code), || {
            let mut digits = [0; 3];
            Answers {
                requests: self.requests.with_label_values(&[
                    handler,
                    method,
                    three_digits(code, &mut digits),
                ]),
                durations: self.durations.with_label_values(&[handler, method]),
                bytes_in: self.bytes_in.with_label_values(&[handler]),
                bytes_out: self.bytes_out.with_label_values(&[handler]),
            }
        });
        series.requests.inc();
        series.durations.observe(took.as_secs_f64());
        series.bytes_in.inc_by(bytes.0);
        series.bytes_out.inc_by(bytes.1);
    }

    /// Notes a call of a storage driver.
    pub fn storage(
        &self,
        driver: &'static str,
        action: &'static str,
        outcome: &'static str,
        took: Duration,
        bytes: u64,
    ) {
        let series = self.calls.find((driver, action, outcome), || Calls {
            requests: self.storage_requests.with_label_values(&[driver, action, outcome]),
            durations: self.storage_durations.with_label_values(&[driver, action]),
            bytes: self.storage_bytes.with_label_values(&[driver, action]),
        });
        series.requests.inc();
        series.durations.observe(took.as_secs_f64());
        series.bytes.inc_by(bytes);
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        encoded.expect("writing to memory cannot fail");
        String::from_utf8(text).expect("the format is text")
    }
}

fn three_digits(code: u16, digits: &mut [u8; 3]) -> &str {
    for (digit, unit) in digits.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + u8::try_from(code / unit % 10).unwrap_or(0);
    }
    std::str::from_utf8(digits).unwrap_or("000")
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("a constant name")
}

fn histogram(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)
        .expect("a constant name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_under_its_name() {
        let metrics = Metrics::new("1.2.3");

        metrics.request("manifest-get", "GET", 200, Duration::from_millis(2), (0, 7));
        metrics.storage("filesystem", "get", "ok", Duration::from_micros(30), 7);

        let text = metrics.render();
        for line in [
            r#"registry_build_info{version="1.2.3"} 1"#,
            r#"registry_http_requests_total{code="200",handler="manifest-get",method="GET"} 1"#,
            r#"registry_http_response_bytes_total{handler="manifest-get"} 7"#,
            r#"registry_storage_requests_total{action="get",driver="filesystem",outcome="ok"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
