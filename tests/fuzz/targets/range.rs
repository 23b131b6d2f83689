//! `Range`, `Content-Range` and conditional headers. The first eight bytes are the size of the content.

#![no_main]

use std::ops::Range;

use entrepot_oci::range::{MAX_RANGES, Resolved};
use entrepot_oci::{ContentRange, Digest, Ranges, etag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((size, header)) = bytes.split_first_chunk() else { return };
    let Ok(header) = std::str::from_utf8(header) else { return };
    download(header, u64::from_le_bytes(*size));
    upload(header);
    conditional(header);
});

fn download(header: &str, size: u64) {
    let Ok(ranges) = header.parse::<Ranges>() else { return };
    assert!((1..=MAX_RANGES).contains(&ranges.requested().len()));
    assert_eq!(ranges.to_string().parse().as_ref(), Ok(&ranges));
    match ranges.resolve(size) {
        Resolved::Whole => assert_eq!(size, 0),
        Resolved::Unsatisfiable => assert_ne!(size, 0),
        Resolved::Single(range) => check(vec![range], size),
        Resolved::Many(many) => {
            assert!((2..=ranges.requested().len()).contains(&many.len()));
            check(many, size);
        }
    }
}

/// Within the content, not empty, no byte twice: the answer is never longer than the content.
fn check(mut ranges: Vec<Range<u64>>, size: u64) {
    assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size), "{ranges:?}");
    ranges.sort_unstable_by_key(|range| range.start);
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{ranges:?}");
}

fn upload(header: &str) {
    let Ok(range) = header.parse::<ContentRange>() else { return };
    assert_eq!(range.to_string().parse(), Ok(range));
    assert!(range.first() <= range.last() && i64::try_from(range.last()).is_ok());
    assert_eq!(range.first() + range.len() - 1, range.last());
    assert!(range.total().is_none_or(|total| range.last() < total));
}

fn conditional(header: &str) {
    let digest = Digest::sha256(b"");
    let (none_match, matches) = (etag::if_none_match(header, &digest), etag::if_match(header, &digest));
    assert!(none_match || !matches, "a strong match is also a weak one");
    assert!(matches || !etag::if_range(header, &digest), "If-Range is the strictest");
}
