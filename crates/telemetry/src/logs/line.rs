//! One event as one line.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::{Format, LogConfig};

/// Writes events in the configured format.
#[derive(Debug)]
pub(super) struct Lines {
    format: Format,
    fields: Map<String, Value>,
    report_caller: bool,
}

impl Lines {
    pub(super) fn new(config: &LogConfig) -> Self {
        let fields = config.fields.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        Self { format: config.format, fields: fields.collect(), report_caller: config.report_caller }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut seen = Seen::default();
        event.record(&mut seen);
        let meta = event.metadata();
        if self.report_caller
            && let (Some(file), Some(line)) = (meta.file(), meta.line())
        {
            seen.fields.insert("caller".into(), format!("{file}:{line}").into());
        }
        let level = meta.level().as_str();
        let now = rfc3339(SystemTime::now());
        match self.format {
            Format::Text => self.write_text(&mut to, &now, level, seen),
            Format::Json => {
                self.write_json(&mut to, seen, [("time", now), ("level", level.to_lowercase())], "msg")
            }
            Format::Logstash => {
                seen.fields.insert("@version".into(), "1".into());
                let head = [("@timestamp", now), ("level", level.to_lowercase())];
                self.write_json(&mut to, seen, head, "message")
            }
        }
    }
}

impl Lines {
    fn write_text(&self, to: &mut Writer<'_>, now: &str, level: &str, seen: Seen) -> fmt::Result {
        write!(to, "{now} {level:>5} {}", Plain(&seen.message))?;
        for (key, value) in self.fields.iter().chain(&seen.fields) {
            match value {
                Value::String(text) if is_word(text) => write!(to, " {key}={text}")?,
                other => write!(to, " {key}={other}")?,
            }
        }
        writeln!(to)
    }

    fn write_json(
        &self,
        to: &mut Writer<'_>,
        seen: Seen,
        head: [(&str, String); 2],
        message: &str,
    ) -> fmt::Result {
        let mut line = self.fields.clone();
        line.extend(seen.fields);
        line.extend(head.map(|(key, value)| (key.to_owned(), Value::from(value))));
        line.insert(message.to_owned(), seen.message.into());
        writeln!(to, "{}", Value::Object(line))
    }
}

/// Text that needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'=')
}

/// A message with its control characters escaped: a client's text must not forge a line or colour one.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character.is_control() {
                true => write!(f, "{}", character.escape_default())?,
                false => fmt::Write::write_char(f, character)?,
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Seen {
    message: String,
    fields: Map<String, Value>,
}

impl Seen {
    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }
}

/// UTC with milliseconds: `2026-11-21T02:30:00.123Z`.
fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_795_228_200, "2026-11-21T02:30:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn control_characters_cannot_forge_a_line() {
        assert_eq!(Plain("a\nb\u{1b}[31m").to_string(), "a\\nb\\u{1b}[31m");
        assert!(!is_word("a b") && !is_word("a\nb") && is_word("a/b:1"));
    }
}
