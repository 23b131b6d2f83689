//! The `Content-Range` of an uploaded chunk: `first-last`, both included (distribution-spec, "Pushing a
//! blob in chunks").
//!
//! That is neither the syntax nor the meaning of RFC 9110, but clients send both, so both are read. What
//! the numbers are compared with, and whether a known mistake is forgiven, is the caller's business.

use std::fmt;
use std::str::FromStr;

use crate::error::{ParseError, excerpt};

/// Where a chunk belongs in its upload. `first <= last < 2^63`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

/// How the number of bytes that came compares with what the header announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthMatch {
    /// As announced.
    Exact,
    /// One less than announced: an exclusive end, as old regclient releases sent it.
    ExclusiveEnd,
    /// Anything else.
    Mismatch,
}

impl ContentRange {
    /// Offset of the chunk's first byte.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Offset of the chunk's last byte.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Size of the whole blob, where the client said it.
    pub const fn total(&self) -> Option<u64> {
        self.total
    }

    /// The announced number of bytes; a range cannot announce zero.
    #[expect(clippy::len_without_is_empty, reason = "a content range cannot be empty")]
    pub const fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Compares the announced length with `received` bytes (or a `Content-Length` of that many).
    pub const fn compare(&self, received: u64) -> LengthMatch {
        if received == self.len() {
            LengthMatch::Exact
        } else if received == self.len() - 1 {
            LengthMatch::ExclusiveEnd
        } else {
            LengthMatch::Mismatch
        }
    }
}

impl FromStr for ContentRange {
    type Err = ParseError;

    /// Reads `a-b`, and the RFC's `bytes a-b/*` and `bytes a-b/total`, `bytes=a-b` among them.
    fn from_str(header: &str) -> Result<Self, ParseError> {
        let refuse = |reason| ParseError::Range { value: excerpt(header), reason };
        let text = without_unit(header.trim_matches([' ', '\t']));
        let (range, total) = match text.split_once('/') {
            Some((range, "*")) => (range, None),
            Some((range, total)) => (range, Some(position(total).map_err(refuse)?)),
            None => (text, None),
        };
        let (first, last) = range.split_once('-').ok_or_else(|| refuse("expected first-last"))?;
        let (first, last) = (position(first).map_err(refuse)?, position(last).map_err(refuse)?);
        if last < first {
            return Err(refuse("the range ends before it begins"));
        }
        if total.is_some_and(|total| total <= last) {
            return Err(refuse("the range ends past the total"));
        }
        Ok(Self { first, last, total })
    }
}

fn without_unit(text: &str) -> &str {
    match text.split_at_checked(5) {
        Some((unit, rest)) if unit.eq_ignore_ascii_case("bytes") => match rest.strip_prefix('=') {
            Some(range) => range,
            None if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
            None => text,
        },
        _ => text,
    }
}

/// A position below 2^63, the largest size a descriptor can state.
fn position(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a position is a decimal number");
    }
    text.parse::<i64>().map(i64::unsigned_abs).map_err(|_| "a position is at most 2^63-1")
}

impl fmt::Display for ContentRange {
    /// In the form of distribution-spec, or that of the RFC if the total is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            Some(total) => write!(f, "bytes {}-{}/{total}", self.first, self.last),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_clients_send_are_read_alike() {
        for header in ["5-9", "bytes 5-9/*", "bytes=5-9", "Bytes  5-9", " 5-9\t", "bytes=5-9/*"] {
            let range: ContentRange = header.parse().unwrap();
            assert_eq!(
                (range.first(), range.last(), range.total(), range.len()),
                (5, 9, None, 5),
                "{header}"
            );
        }
        let range: ContentRange = "bytes 5-9/10".parse().unwrap();
        assert_eq!(range.total(), Some(10));
        assert_eq!(range.to_string().parse(), Ok(range));
        assert_eq!("0-0".parse::<ContentRange>().unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for header in [
            "",
            "-",
            "5",
            "5-",
            "-9",
            "9-5",
            "a-b",
            "5 - 9",
            "bytes */10",
            "bytes 5-9/9",
            "bytes 5-9/",
            "bytes 5-9/x",
            "items 5-9",
            "bytes5-9",
            "5-9,11-12",
            "0x1-0x2",
            "+5-9",
            "0-9223372036854775808",
            "0-99999999999999999999999",
            "5-9/1/2",
        ] {
            assert!(header.parse::<ContentRange>().is_err(), "{header:?}");
        }
        assert!("0-9223372036854775807".parse::<ContentRange>().is_ok());
    }

    #[test]
    fn an_exclusive_end_is_told_from_a_wrong_length() {
        let range: ContentRange = "10-20".parse().unwrap();

        assert_eq!(range.compare(11), LengthMatch::Exact);
        assert_eq!(range.compare(10), LengthMatch::ExclusiveEnd);
        assert_eq!(range.compare(9), LengthMatch::Mismatch);
        assert_eq!(range.compare(12), LengthMatch::Mismatch);
    }
}
