//! One event as one line.
//!
//! Written straight into the subscriber's buffer, field by field: the access log passes here once per
//! request, and a tree of values per line would cost more than many a request does.

use std::fmt::{self, Write as _};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::ser::{SerializeMap, Serializer};
use serde_json::ser::CompactFormatter;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::{ACCESS, Format, LogConfig};

/// Fields of an access event that its message, in the combined log format, says already: a person reads
/// them once, a machine gets them by name.
const COMBINED: [&str; 7] = ["client", "user", "method", "path", "status", "bytes_out", "user_agent"];

/// The field tracing keeps an event's text in.
const MESSAGE: &str = "message";

/// Writes events in the configured format.
#[derive(Debug)]
pub(super) struct Lines {
    format: Format,
    fields: Vec<(String, String)>,
    report_caller: bool,
}

impl Lines {
    pub(super) fn new(config: &LogConfig) -> Self {
        let fields = config.fields.iter().map(|(key, value)| (key.clone(), value.clone()));
        Self { format: config.format, fields: fields.collect(), report_caller: config.report_caller }
    }

    /// The configured fields that `event` does not bring itself.
    fn constant<'a>(&'a self, event: &'a Event<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fields = self.fields.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        fields.filter(|(key, _)| event.metadata().fields().field(key).is_none())
    }

    fn caller(&self, event: &Event<'_>) -> Option<String> {
        let meta = event.metadata();
        let place = meta.file().zip(meta.line()).filter(|_| self.report_caller);
        place.map(|(file, line)| format!("{file}:{line}"))
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = Timestamp::of(SystemTime::now());
        match self.format {
            Format::Text => self.write_text(&mut to, now.as_str(), event),
            Format::Json => self.write_json(&mut to, now.as_str(), event, &JSON),
            Format::Logstash => self.write_json(&mut to, now.as_str(), event, &LOGSTASH),
        }
    }
}

impl Lines {
    fn write_text(&self, to: &mut Writer<'_>, now: &str, event: &Event<'_>) -> fmt::Result {
        write!(to, "{now} {:>5} ", event.metadata().level().as_str())?;
        let said: &[&str] = if event.metadata().target() == ACCESS { &COMBINED } else { &[] };
        let mut line = TextLine { to, part: Part::Message, said, outcome: Ok(()) };
        event.record(&mut line);
        line.part = Part::Fields;
        for (key, value) in self.constant(event) {
            line.text(key, value);
        }
        event.record(&mut line);
        if let Some(caller) = self.caller(event) {
            line.text("caller", &caller);
        }
        line.outcome?;
        to.write_char('\n')
    }

    fn write_json(
        &self,
        to: &mut Writer<'_>,
        now: &str,
        event: &Event<'_>,
        names: &'static Names,
    ) -> fmt::Result {
        let mut serializer = serde_json::Serializer::new(Utf8(&mut *to));
        let map = serializer.serialize_map(None).map_err(|_| fmt::Error)?;
        let mut line = JsonLine { map, names, outcome: Ok(()) };
        line.entry(names.time, now);
        line.entry("level", event.metadata().level().as_str().to_ascii_lowercase().as_str());
        if let Some(version) = names.version {
            line.entry("@version", version);
        }
        event.record(&mut line);
        for (key, value) in self.constant(event).filter(|(key, _)| !names.has(key)) {
            line.entry(key, value);
        }
        if let Some(caller) = self.caller(event) {
            line.entry("caller", caller.as_str());
        }
        line.outcome.and_then(|()| line.map.end()).map_err(|_| fmt::Error)?;
        to.write_char('\n')
    }
}

/// What a JSON line calls the things every line has.
struct Names {
    time: &'static str,
    message: &'static str,
    version: Option<&'static str>,
}

const JSON: Names = Names { time: "time", message: "msg", version: None };
const LOGSTASH: Names = Names { time: "@timestamp", message: MESSAGE, version: Some("1") };

impl Names {
    /// Whether a line has something of this name already.
    fn has(&self, key: &str) -> bool {
        [self.time, self.message, "level", "caller"].contains(&key)
            || (self.version.is_some() && key == "@version")
    }
}

/// Which of an event's fields are wanted.
#[derive(PartialEq)]
enum Part {
    Message,
    Fields,
}

/// A line for a person, while its event is read.
struct TextLine<'a, 'w> {
    to: &'a mut Writer<'w>,
    part: Part,
    /// Fields the message says already.
    said: &'static [&'static str],
    outcome: fmt::Result,
}

impl TextLine<'_, '_> {
    fn wants(&self, field: &Field) -> bool {
        (self.part == Part::Message) == (field.name() == MESSAGE) && !self.said.contains(&field.name())
    }

    fn then(&mut self, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.outcome.is_ok() {
            self.outcome = write(self.to);
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.then(|to| {
            write!(to, " {key}=")?;
            if is_word(value) {
                return to.write_str(value);
            }
            serde_json::to_writer(Utf8(to), value).map_err(|_| fmt::Error)
        });
    }

    /// A value that is a word by nature: a number, a truth value.
    fn word(&mut self, field: &Field, value: impl fmt::Display) {
        if self.wants(field) {
            self.then(|to| match field.name() {
                MESSAGE => write!(to, "{value}"),
                name => write!(to, " {name}={value}"),
            });
        }
    }
}

impl Visit for TextLine<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            _ if !self.wants(field) => {}
            MESSAGE => self.then(|to| Plain(to).write_str(value)),
            name => self.text(name, value),
        }
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.word(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.word(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.word(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.word(field, value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            _ if !self.wants(field) => {}
            MESSAGE => self.then(|to| write!(Plain(to), "{value:?}")),
            name => self.text(name, &format!("{value:?}")),
        }
    }
}

type JsonMap<'a, 'b, 'w> = serde_json::ser::Compound<'a, Utf8<'b, 'w>, CompactFormatter>;

/// A line for a machine, while its event is read.
struct JsonLine<'a, 'b, 'w> {
    map: JsonMap<'a, 'b, 'w>,
    names: &'static Names,
    outcome: serde_json::Result<()>,
}

impl JsonLine<'_, '_, '_> {
    fn entry(&mut self, key: &str, value: impl serde::Serialize) {
        if self.outcome.is_ok() {
            self.outcome = self.map.serialize_entry(key, &value);
        }
    }

    fn field(&mut self, field: &Field, value: impl serde::Serialize) {
        match field.name() {
            MESSAGE => self.entry(self.names.message, value),
            // Two entries of one name would leave it to the reader which counts.
            name if self.names.has(name) => {}
            name => self.entry(name, value),
        }
    }
}

impl Visit for JsonLine<'_, '_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, format_args!("{value:?}"));
    }
}

/// Lets serde_json, which writes UTF-8, write to the subscriber's buffer.
struct Utf8<'a, 'w>(&'a mut Writer<'w>);

impl io::Write for Utf8<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text that needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'=')
}

/// Writes a message with its control characters escaped: a client's text must not forge a line or colour
/// one.
struct Plain<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for Plain<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, after) = rest.split_at(at);
            let mut after = after.chars();
            let control = after.next().map(char::escape_default).into_iter().flatten();
            self.0.write_str(plain)?;
            control.into_iter().try_for_each(|character| self.0.write_char(character))?;
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}

/// UTC with milliseconds: `2026-11-21T02:30:00.123Z`.
struct Timestamp([u8; 24]);

impl Timestamp {
    fn of(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let milliseconds = u64::from(since.subsec_millis());
        let fields = [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, seconds / 3600),
            (14, 2, seconds / 60 % 60),
            (17, 2, seconds % 60),
            (20, 3, milliseconds),
        ];
        for (at, width, mut value) in fields {
            for digit in text[at..at + width].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The Gregorian date of a number of days since 1970.
const fn civil(days: u64) -> (u64, u64, u64) {
    // Counted in years that begin in March, so that the leap day is a year's last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + (month <= 2) as u64, month, day)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_795_228_200, "2026-11-21T02:30:00.000Z"),
        ] {
            assert_eq!(Timestamp::of(UNIX_EPOCH + Duration::from_secs(seconds)).as_str(), text);
        }
    }

    /// What `log` writes in `format`, without its time.
    fn written(format: Format, log: impl FnOnce()) -> String {
        let fields = BTreeMap::from([("region".to_owned(), "eu west".to_owned())]);
        let level = tracing::level_filters::LevelFilter::INFO;
        let config = LogConfig { level, format, fields, access_log: true, report_caller: false };
        let file = tempfile::NamedTempFile::new().unwrap();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Lines::new(&config))
            .with_writer(Mutex::new(file.reopen().unwrap()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn a_line_for_a_person_is_the_message_and_its_fields() {
        let text = written(Format::Text, || {
            tracing::warn!(count = 3, ratio = 0.5, ok = true, path = "a b", name = "c", "one\ntwo {}", 3);
        });

        assert_eq!(
            text.split_once(' ').unwrap().1,
            " WARN one\\ntwo 3 region=\"eu west\" count=3 ratio=0.5 ok=true path=\"a b\" name=c\n"
        );
    }

    #[test]
    fn a_line_for_a_machine_has_each_name_once() {
        let json = written(Format::Json, || tracing::info!(region = "us", level = "fake", n = 1, "text"));

        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(json.ends_with("\"msg\":\"text\",\"region\":\"us\",\"n\":1}\n"), "{json}");
        assert_eq!(line["level"], "info", "{json}");
    }

    #[test]
    fn logstash_gets_the_names_it_knows() {
        let json = written(Format::Logstash, || tracing::error!("text"));

        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(line["@timestamp"].is_string(), "{json}");
        assert_eq!((&line["@version"], &line["message"]), (&"1".into(), &"text".into()), "{json}");
        assert_eq!(line["region"], "eu west", "{json}");
    }

    #[test]
    fn an_access_line_says_nothing_twice() {
        let access = || tracing::info!(target: ACCESS, client = "::1", status = 200, operation = "base", "::1 - - 200");

        let (text, json) = (written(Format::Text, access), written(Format::Json, access));

        assert!(text.ends_with("INFO ::1 - - 200 region=\"eu west\" operation=base\n"), "{text}");
        assert!(json.contains("\"client\":\"::1\",\"status\":200"), "{json}");
    }

    #[test]
    fn control_characters_cannot_forge_a_line() {
        let mut escaped = String::new();

        Plain(&mut escaped).write_str("a\nb\u{1b}[31m").unwrap();

        assert_eq!(escaped, "a\\nb\\u{1b}[31m");
        assert!(!is_word("a b") && !is_word("a\nb") && is_word("a/b:1"));
    }
}
