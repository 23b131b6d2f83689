//! What a log must not hold, at the finest level there is.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use entrepot_driver_s3::{CredentialSource, StaticCredentials};
use entrepot_storage::{Key, PutMode, ReadRange, StorageDriver as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::canned::{Canned, answer, error};
use crate::presigned::options;

const SECRET_KEY: &str = "wJalrXUtnFEMI-very-secret";
const SESSION_TOKEN: &str = "FwoGZXIvYXdzEBYaD-session-token";
/// A log in memory, of all libraries: events, and what spans carry.
#[derive(Clone)]
struct Log {
    text: Arc<Mutex<String>>,
    takes: fn(&Metadata<'_>) -> bool,
}

impl Log {
    fn of(takes: fn(&Metadata<'_>) -> bool) -> Self {
        Self { text: Arc::default(), takes }
    }

    fn add(&self, metadata: &Metadata<'_>, fields: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        fields(&mut line);
        self.write(&line.0);
    }

    fn write(&self, line: &str) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (self.takes)(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.add(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.write(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.add(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is written while a driver is used whose last two calls are answered so, and the secrets of that time.
async fn log_of(log: Log, refusal: String) -> (String, Vec<String>) {
    // Of one subscriber alone the library asks whichever thread comes by an event first whether it is wanted, and
    // believes it for all of them: other tests' threads have none. Of two it asks both.
    let _other = Dispatch::new(log.clone());
    let _guard = tracing::subscriber::set_default(log.clone());
    let key: Key = "secrets/object".parse().expect("a key");
    let written = answer("200 OK", "ETag: \"a\"\r\n", "");
    let read = answer("200 OK", "ETag: \"a\"\r\n", "x");
    let server = Canned::with(vec![written, read, refusal.clone(), refusal]);
    let keys = StaticCredentials::new("AKIDEXAMPLE", SECRET_KEY, Some(SESSION_TOKEN.to_owned()));
    let driver = server.driver_with(|config| config.credentials = CredentialSource::Static(keys)).await;

    driver.put(&key, Bytes::from_static(b"x"), PutMode::Overwrite).await.expect("it is written");
    driver.get(&key, ReadRange::Whole).await.expect("it is read");
    let url = driver.presign_get(&key, &options(SystemTime::now())).await.expect("it signs").expect("a URL");
    let read = driver.get(&key, ReadRange::Whole).await.expect_err("it is refused");
    let deleted = driver.delete(&key, None).await.expect_err("it is refused");
    log.write(&format!("{driver:?} {driver} {url:?} {read} {read:?} {deleted} {deleted:?}"));

    let heads = server.heads();
    let signed = heads.iter().map(String::as_str).chain([url.url.as_str()]);
    let signatures = signed.map(|text| text.split("Signature=").nth(1).expect("a signature"));
    let mut secrets: Vec<_> = signatures.map(|rest| rest[..64].to_owned()).collect();
    secrets.extend([SECRET_KEY, SESSION_TOKEN].map(str::to_owned));
    (log.text(), secrets)
}

fn assert_none_is_told(log: &str, secrets: &[String]) {
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret}: {line:?}");
    }
}

#[tokio::test]
async fn no_log_holds_a_secret_key_a_session_token_or_a_signature() {
    let refusal = error("403 Forbidden", "", "SignatureDoesNotMatch");

    let (log, secrets) = log_of(Log::of(|_| true), refusal).await;

    for told in ["signing request", "transmitting request", "SignatureDoesNotMatch"] {
        assert!(log.contains(told), "the SDK says nothing of {told}");
    }
    assert_none_is_told(&log, &secrets);
}

/// AWS does so with a signature it does not agree with. The SDK's own TRACE shows the answers to some calls whole,
/// so only what a registry may write is looked at: of libraries nothing below WARN (`entrepot_telemetry::logs`).
#[tokio::test]
async fn what_a_store_repeats_of_a_request_it_refuses_is_in_no_log_of_a_registry() {
    const PROVIDED: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let body = format!(
        "<?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>It differs.</Message>\
        <SignatureProvided>{PROVIDED}</SignatureProvided>\
        <CanonicalRequest>x-amz-security-token:{SESSION_TOKEN}</CanonicalRequest></Error>"
    );
    let refusal = answer("403 Forbidden", "Content-Type: application/xml\r\n", &body);
    let written = |metadata: &Metadata<'_>| {
        metadata.target().starts_with("entrepot") || *metadata.level() <= Level::WARN
    };

    let (log, mut secrets) = log_of(Log::of(written), refusal).await;

    secrets.push(PROVIDED.to_owned());
    assert!(log.contains("SignatureDoesNotMatch"), "{log}");
    assert_none_is_told(&log, &secrets);
}
