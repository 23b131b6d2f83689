//! Durations as Go writes them: `168h`, `1h30m`, `250ms`, `1.5s`.
//!
//! A bare number counts nanoseconds, as in distribution; the bounds each key carries catch the
//! common slip of writing `10` for ten seconds.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Nanoseconds per unit; longer names first where one is the prefix of another.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("h", 3.6e12), ("m", 6e10), ("s", 1e9)];

/// A hundred years: past it arithmetic on instants would overflow.
const MAX_NANOS: f64 = 3.156e18;

/// Reads a Go duration.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    if let Ok(nanos) = text.parse::<u64>() {
        return Ok(Duration::from_nanos(nanos));
    }
    let mut rest = text;
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let (value, after) = component(rest).ok_or_else(|| unreadable(text))?;
        nanos += value;
        rest = after;
    }
    if text.is_empty() || !(0.0..=MAX_NANOS).contains(&nanos) {
        return Err(unreadable(text));
    }
    Ok(Duration::from_nanos(nanos.round() as u64))
}

/// One number with its unit, in nanoseconds, and what follows it.
fn component(text: &str) -> Option<(f64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let rest = &text[digits..];
    let (unit, nanos) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
    Some((number * nanos, &rest[unit.len()..]))
}

fn unreadable(text: &str) -> String {
    format!("`{text}` is no duration; write for example 90s, 5m, 1h30m or 168h")
}

/// Writes a duration the way [`parse`] reads it, with whole units and no zeros.
pub(super) fn format(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    let mut text = String::new();
    for (unit, nanos) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
        ("ns", 1),
    ] {
        let count = rest / nanos;
        rest %= nanos;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, millis) in [
            ("168h", 604_800_000),
            ("1h30m", 5_400_000),
            ("5m", 300_000),
            ("1.5s", 1500),
            ("250ms", 250),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("7us"), Ok(Duration::from_micros(7)));
        assert_eq!(parse("7µs"), Ok(Duration::from_micros(7)));
    }

    #[test]
    fn a_bare_number_counts_nanoseconds_as_in_distribution() {
        assert_eq!(parse("10000000000"), Ok(Duration::from_secs(10)));
    }

    #[test]
    fn nonsense_is_refused_with_examples() {
        for text in ["", "-5s", "5 m", "h", "5d", "1.2.3s", "999999999999h", "5m3"] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("1h30m"), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for nanos in [0, 1, 999, 1_500_000, 10_000_000_000, 5_400_000_000_000, 604_800_000_000_001] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse(&format(duration)), Ok(duration), "{}", format(duration));
        }
    }
}
