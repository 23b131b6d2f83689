//! Amounts of bytes: a plain number, or one with a unit such as `8MiB` or `20GB`.
//!
//! `M` alone is refused because half of its readers take it for a million.

use serde::{Deserialize, Deserializer, Serializer};

const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Reads an amount of bytes.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| unreadable(text))?;
    let unit = text[digits..].trim_start();
    let factor = if unit.is_empty() { Some(1) } else { factor(unit) };
    factor.and_then(|factor| number.checked_mul(factor)).ok_or_else(|| unreadable(text))
}

fn factor(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

fn unreadable(text: &str) -> String {
    format!("`{text}` is no amount of bytes; write for example 1048576, 16MiB or 20GB")
}

/// Writes an amount in the largest binary unit that divides it.
pub(super) fn format(bytes: u64) -> String {
    let unit = UNITS[..4].iter().rev().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A size that may be left out: `Option<Size>`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Size(#[serde(deserialize_with = "deserialize")] pub(super) u64);

pub(super) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*bytes))
}

pub(super) fn serialize_optional<S: Serializer>(
    bytes: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serialize(&bytes.unwrap_or(0), serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_plain_binary_and_decimal() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("16MiB", 16 << 20),
            ("4 KiB", 4096),
            ("20GB", 20_000_000_000),
            ("7B", 7),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn ambiguous_or_impossible_sizes_are_refused_with_examples() {
        for text in ["", "16M", "16mib", "-1", "1.5GiB", "99999999999TiB", "MiB"] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("16MiB"), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bytes in [0, 1, 1000, 1024, 8 << 20, 3 << 40, (8 << 20) + 1] {
            assert_eq!(parse(&format(bytes)), Ok(bytes), "{}", format(bytes));
        }
    }
}
