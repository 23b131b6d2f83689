//! The log: one line per event, for a person or for a machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::AsFd;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

mod line;

/// The tracing target of access log events: one event per answered request.
pub const ACCESS: &str = "access";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Time, level, message, then `key=value`.
    #[default]
    Text,
    /// One JSON object with `time`, `level`, `msg` and the fields.
    Json,
    /// One JSON object as Logstash expects it: `@timestamp`, `@version`, `level`, `message`.
    Logstash,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// How a line looks.
    pub format: Format,
    /// Fields every line carries.
    pub fields: BTreeMap<String, String>,
    /// Whether answered requests are logged.
    pub access_log: bool,
    /// Whether each line names the place in the source it comes from.
    pub report_caller: bool,
}

/// Keeps the log's thread. Dropping it writes what is still queued.
#[derive(Debug)]
pub struct LogGuard {
    _log: WorkerGuard,
    _access: WorkerGuard,
}

/// The log was set up before.
#[derive(Debug, thiserror::Error)]
#[error("the log was set up twice")]
pub struct AlreadySetUp;

/// Bytes gathered before they are written.
const BATCH_BYTES: usize = 64 * 1024;

/// Lines that may be queued before the writer is waited for: a tenth of a second of the fastest answers on
/// one core. A queue's slots are resident from the beginning, 32 bytes each.
const QUEUE: usize = 8_192;

/// Sets the process's log up: events to standard error, the access log to standard output.
pub fn init(config: &LogConfig) -> Result<LogGuard, AlreadySetUp> {
    let (log, log_guard) = writer(batched(std::io::stderr()));
    let (access, access_guard) = writer(batched(std::io::stdout()));
    // What a dependency says at its "info" is our "debug".
    let events = Targets::new()
        .with_default(config.level.min(LevelFilter::WARN))
        .with_target(OURS, config.level)
        .with_target(
            HTTP,
            if config.level >= LevelFilter::DEBUG { LevelFilter::WARN } else { LevelFilter::OFF },
        )
        .with_target(ACCESS, LevelFilter::OFF);
    let accesses = Targets::new()
        .with_target(ACCESS, if config.access_log { LevelFilter::INFO } else { LevelFilter::OFF });
    let line = || line::Lines::new(config);
    Registry::default()
        .with(layer(line(), log).with_filter(events))
        .with(layer(line(), access).with_filter(accesses))
        .try_init()
        .map_err(|_| AlreadySetUp)?;
    Ok(LogGuard { _log: log_guard, _access: access_guard })
}

/// What the targets of all our crates begin with.
const OURS: &str = "entrepot";

/// The HTTP library. It calls errors what a client does wrong, such as a try whether there is TLS; what goes
/// wrong here is told by us already.
const HTTP: &str = "actix_http";

/// The stream without the standard library's flush after each line: the log's thread flushes when it has
/// nothing more to write, so that a busy registry pays one system call for many lines.
fn batched(stream: impl Write + AsFd + Send + 'static) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(owned) => Box::new(BufWriter::with_capacity(BATCH_BYTES, File::from(owned))),
        Err(_) => Box::new(stream),
    }
}

fn writer(target: impl std::io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    // Lossless: a log that drops lines under load hides the load's cause.
    NonBlockingBuilder::default().lossy(false).buffered_lines_limit(QUEUE).finish(target)
}

fn layer<S>(lines: line::Lines, writer: NonBlocking) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer().event_format(lines).with_writer(writer)
}
