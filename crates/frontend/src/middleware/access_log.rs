//! The access log: one event per request under the target `access`, with fields for programs and the
//! combined log format as its message.

use std::cell::Cell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::http::Version;
use actix_web::http::header::HeaderValue;

use super::observe::RequestSummary;
use super::record::Entry;

/// Writes the line of a request that is over. What clients sent is ASCII without control characters by
/// the time it gets here; quotes are escaped, so that no request forges a line or a field.
pub(crate) fn write(entry: &Entry, summary: &RequestSummary) {
    if !tracing::enabled!(target: "access", tracing::Level::INFO) {
        return;
    }
    let client = entry.client.map(|address| address.to_string());
    let client = client.as_deref().unwrap_or("-");
    tracing::info!(
        target: "access",
        request_id = text(Some(&entry.request_id)),
        client,
        user = entry.user.as_deref().unwrap_or("-"),
        method = entry.method.as_str(),
        path = entry.uri.path(),
        operation = summary.endpoint.map_or("-", |endpoint| endpoint.as_str()),
        status = summary.status.code(),
        bytes_in = summary.bytes_in,
        bytes_out = summary.bytes_out,
        duration_ms = summary.duration.as_micros() as f64 / 1e3,
        user_agent = text(entry.user_agent.as_ref()),
        "{}",
        Combined { entry, summary, client }
    );
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or("-")
}

/// `client - user [time] "request" status bytes "referer" "user agent"`. The query is left out: it may
/// hold the token of an upload.
struct Combined<'a> {
    entry: &'a Entry,
    summary: &'a RequestSummary,
    client: &'a str,
}

impl fmt::Display for Combined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, summary, client } = self;
        write!(
            f,
            "{client} - {} [{}] \"{} {} {}\" {} {} \"{}\" \"{}\"",
            Escaped(entry.user.as_deref().unwrap_or("-")),
            Time::now().as_str(),
            entry.method.as_str(),
            Escaped(entry.uri.path()),
            protocol(entry.version),
            summary.status.code(),
            summary.bytes_out,
            Escaped(text(entry.referer.as_ref())),
            Escaped(text(entry.user_agent.as_ref())),
        )
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// Text inside quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_special = |character: char| matches!(character, '"' | '\\') || character.is_control();
        let mut rest = self.0;
        while let Some(at) = rest.find(is_special) {
            let (plain, after) = rest.split_at(at);
            let mut after = after.chars();
            f.write_str(plain)?;
            match after.next() {
                Some(quote @ ('"' | '\\')) => write!(f, "\\{quote}")?,
                Some(control) => write!(f, "\\x{:02x}", u32::from(control))?,
                None => {}
            }
            rest = after.as_str();
        }
        f.write_str(rest)
    }
}

/// `10/Oct/2000:13:55:36 +0000`
#[derive(Clone, Copy)]
struct Time {
    second: u64,
    text: [u8; 26],
}

thread_local! {
    /// The text of the present second: thousands of requests end in it.
    static PRESENT: Cell<Time> = Cell::new(Time::of(0));
}

impl Time {
    fn now() -> Self {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let present = PRESENT.get();
        if present.second == second {
            return present;
        }
        let time = Self::of(second);
        PRESENT.set(time);
        time
    }

    fn of(second: u64) -> Self {
        const MONTHS: [&[u8; 3]; 12] =
            [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
        let (year, month, day) = civil(second / 86_400);
        let of_day = second % 86_400;
        let mut text = *b"00/Jan/0000:00:00:00 +0000";
        text[3..6].copy_from_slice(MONTHS[month]);
        let numbers = [
            (0, 2, day),
            (7, 4, year),
            (12, 2, of_day / 3600),
            (15, 2, of_day / 60 % 60),
            (18, 2, of_day % 60),
        ];
        for (at, width, mut value) in numbers {
            for digit in text[at..at + width].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        Self { second, text }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

/// Year, month (from 0) and day (from 1) of a day since 1970. Counted in years that begin in March, so
/// that the leap day is their last.
fn civil(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468; // since 1 March of year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> String {
        Time::of(seconds).as_str().to_owned()
    }

    #[test]
    fn times_are_written_as_the_format_wants_them() {
        assert_eq!(at(0), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(at(951_782_400), "29/Feb/2000:00:00:00 +0000");
        assert_eq!(at(971_186_136), "10/Oct/2000:13:55:36 +0000");
        assert_eq!(at(1_798_761_599), "31/Dec/2026:23:59:59 +0000");
        assert_eq!(at(4_107_542_400), "01/Mar/2100:00:00:00 +0000");
    }

    #[test]
    fn nothing_breaks_out_of_its_quotes_or_its_line() {
        assert_eq!(Escaped("a\"b\\c\nd\u{1b}[31m").to_string(), r#"a\"b\\c\x0ad\x1b[31m"#);
    }
}
