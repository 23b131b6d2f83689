//! Byte ranges of a download: the `Range` header (RFC 9110, section 14.2), read and applied.
//!
//! A header that cannot be read is meant to be ignored by the caller: the RFC allows it, and the whole
//! content is a correct answer. Whatever is asked for, the resolved ranges never cover a byte twice, so
//! no header makes the registry send more than the content (the "range bomb" of CVE-2011-3192).

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::error::{ParseError, excerpt};

/// The most ranges read from one header.
///
/// podman asks for up to 1,024 pieces of a zstd:chunked layer at once, in ascending order, and fails
/// unless every one is answered by a part of its own.
pub const MAX_RANGES: usize = 1024;

/// A `Range` header in bytes: at least one range, at most [`MAX_RANGES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<Requested>);

/// One range as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// `first-last`: both included. `last` may lie past the end of the content, or before `first`, and
    /// then the range holds nothing.
    Between(u64, u64),
    /// `first-`: from there to the end.
    From(u64),
    /// `-length`: that many bytes at the end, or all if there are fewer.
    Last(u64),
}

/// What a [`Ranges`] means for content of a certain size. Ranges are half-open, not empty, within the
/// content, and disjoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The content is empty, so that no range could be satisfied: answer as if there were no header, as
    /// clients that always send one expect.
    Whole,
    /// One range.
    Single(Range<u64>),
    /// Two or more, one part each. In the order asked for, unless some overlapped: then those are
    /// joined and all are in ascending order.
    Many(Vec<Range<u64>>),
    /// Nothing of what was asked for exists.
    Unsatisfiable,
}

impl Ranges {
    /// The ranges in the order of the header.
    pub fn requested(&self) -> &[Requested] {
        &self.0
    }

    /// Applies the header to content of `size` bytes. At worst n log n in the number of ranges.
    pub fn resolve(&self, size: u64) -> Resolved {
        if size == 0 {
            return Resolved::Whole;
        }
        let within = self.0.iter().filter_map(|requested| requested.within(size)).collect();
        let mut ranges = disjoint(within);
        match ranges.len() {
            0 => Resolved::Unsatisfiable,
            1 => Resolved::Single(ranges.remove(0)),
            _ => Resolved::Many(ranges),
        }
    }
}

impl Requested {
    /// The part of the range that exists, if any.
    fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Requested::Between(first, last) => first..last.saturating_add(1).min(size),
            Requested::From(first) => first..size,
            Requested::Last(length) => size - length.min(size)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// Joins ranges that overlap. Ranges that only touch stay apart: they were asked for as parts.
fn disjoint(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = ranges.clone();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    if sorted.windows(2).all(|pair| pair[0].end <= pair[1].start) {
        return ranges;
    }
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut().filter(|last| range.start < last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => joined.push(range),
        }
    }
    joined
}

impl FromStr for Ranges {
    type Err = ParseError;

    fn from_str(header: &str) -> Result<Self, ParseError> {
        let refuse = |reason| ParseError::Range { value: excerpt(header), reason };
        let (unit, list) = header.split_once('=').ok_or_else(|| refuse("expected bytes=<ranges>"))?;
        if !unit.trim_matches(BLANK).eq_ignore_ascii_case("bytes") {
            return Err(refuse("the only known unit is bytes"));
        }
        // Empty list elements are legal and mean nothing (RFC 9110, section 5.6.1.2).
        let elements = list.split(',').map(|element| element.trim_matches(BLANK));
        let mut ranges = Vec::new();
        for element in elements.filter(|element| !element.is_empty()) {
            if ranges.len() == MAX_RANGES {
                return Err(refuse("more than 1024 ranges"));
            }
            ranges.push(requested(element).map_err(refuse)?);
        }
        if ranges.is_empty() { Err(refuse("no range given")) } else { Ok(Self(ranges)) }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

fn requested(element: &str) -> Result<Requested, &'static str> {
    let (first, last) = element.split_once('-').ok_or("expected first-last, first- or -length")?;
    match (first.is_empty(), last.is_empty()) {
        (true, _) => Ok(Requested::Last(position(last)?)),
        (false, true) => Ok(Requested::From(position(first)?)),
        // One that ends before it begins holds no byte and is refused with the others that hold none:
        // the RFC lets a server ignore or reject it, and distribution and the conformance program reject.
        (false, false) => Ok(Requested::Between(position(first)?, position(last)?)),
    }
}

/// A decimal number. One that does not fit lies past the end of any content, and so does the largest.
fn position(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a position is a decimal number");
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requested) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "bytes=" } else { "," })?;
            requested.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Requested::Between(first, last) => write!(f, "{first}-{last}"),
            Requested::From(first) => write!(f, "{first}-"),
            Requested::Last(length) => write!(f, "-{length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve(header: &str, size: u64) -> Resolved {
        header.parse::<Ranges>().unwrap().resolve(size)
    }

    #[test]
    fn the_three_forms_are_cut_to_the_content() {
        for (header, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("bytes=90-500", 90..100),
            ("bytes=5-", 5..100),
            ("bytes=-1", 99..100),
            ("bytes=-500", 0..100),
            ("Bytes = 1-2", 1..3),
            ("bytes=,\t1-2 ,,", 1..3),
            ("bytes=0-99999999999999999999999999", 0..100),
            ("bytes=-99999999999999999999999999", 0..100),
            ("bytes=1-18446744073709551615", 1..100),
        ] {
            assert_eq!(resolve(header, 100), Resolved::Single(expected), "{header}");
        }
    }

    #[test]
    fn what_lies_past_the_end_is_unsatisfiable_and_dropped_beside_others() {
        for header in [
            "bytes=100-",
            "bytes=2-1",
            "bytes=100-200",
            "bytes=-0",
            "bytes=18446744073709551615-",
            "bytes=-0,100-",
        ] {
            assert_eq!(resolve(header, 100), Resolved::Unsatisfiable, "{header}");
        }
        assert_eq!(resolve("bytes=100-,3-4,-0", 100), Resolved::Single(3..5));
    }

    #[test]
    fn empty_content_is_answered_whole() {
        assert_eq!(resolve("bytes=0-", 0), Resolved::Whole);
        assert_eq!(resolve("bytes=-5", 0), Resolved::Whole);
    }

    #[test]
    fn touching_ranges_stay_parts_of_their_own_in_the_order_asked_for() {
        assert_eq!(resolve("bytes=0-9,10-19,30-", 40), Resolved::Many(vec![0..10, 10..20, 30..40]));
        assert_eq!(resolve("bytes=30-,0-9", 40), Resolved::Many(vec![30..40, 0..10]));
    }

    #[test]
    fn overlapping_ranges_are_joined() {
        assert_eq!(resolve("bytes=0-,0-,0-,5-6", 40), Resolved::Single(0..40));
        assert_eq!(resolve("bytes=30-,8-20,0-9", 40), Resolved::Many(vec![0..21, 30..40]));
    }

    #[test]
    fn headers_to_be_ignored_are_refused() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1 - 2",
            "items=0-1",
            "bytes 0-1",
            "bytes=0-1;x",
            "bytes=\u{0661}-",
        ] {
            assert!(header.parse::<Ranges>().is_err(), "{header:?}");
        }
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let header = |count| format!("bytes={}", vec!["1-2"; count].join(","));
        assert!(header(MAX_RANGES).parse::<Ranges>().is_ok());
        assert!(header(MAX_RANGES + 1).parse::<Ranges>().is_err());
    }

    fn any_requested() -> impl Strategy<Value = Requested> {
        prop_oneof![
            (0..60u64, 0..60u64).prop_map(|(one, two)| Requested::Between(one.min(two), one.max(two))),
            (0..60u64).prop_map(Requested::From),
            (0..60u64).prop_map(Requested::Last),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(list in prop::collection::vec(any_requested(), 1..8)) {
            let ranges = Ranges(list);
            prop_assert_eq!(ranges.to_string().parse::<Ranges>().unwrap(), ranges);
        }

        #[test]
        fn exactly_the_bytes_asked_for_are_covered_and_none_twice(
            list in prop::collection::vec(any_requested(), 1..8),
            size in 1..50u64,
        ) {
            let asked = |byte: u64| list.iter().any(|one| one.within(size).is_some_and(|it| it.contains(&byte)));
            let covered = match Ranges(list.clone()).resolve(size) {
                Resolved::Single(one) => vec![one],
                Resolved::Many(many) => many,
                Resolved::Unsatisfiable => vec![],
                Resolved::Whole => panic!("only empty content is answered whole"),
            };
            for byte in 0..size + 20 {
                let times = covered.iter().filter(|range| range.contains(&byte)).count();
                prop_assert_eq!(times, usize::from(asked(byte)));
            }
        }
    }
}
