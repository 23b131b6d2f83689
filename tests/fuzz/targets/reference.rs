//! References: a tag or a digest, never both, and what is read prints as it was.

#![no_main]

use std::sync::LazyLock;

use entrepot_oci::{Digest, Reference, Tag};
use libfuzzer_sys::fuzz_target;
use regex_lite::Regex;

static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z").expect("a valid expression"));

fuzz_target!(|text: &str| {
    let (tag, digest) = (text.parse::<Tag>(), text.parse::<Digest>());
    let reference = text.parse::<Reference>();

    assert_eq!(tag.is_ok(), TAG.is_match(text), "{text:?}");
    assert!(tag.is_err() || digest.is_err(), "{text:?} is both");
    assert_eq!(reference.is_ok(), tag.is_ok() || digest.is_ok(), "{text:?}");
    if let Ok(reference) = reference {
        assert_eq!(reference.to_string(), text);
        assert_eq!(matches!(reference, Reference::Digest(_)), digest.is_ok());
    }
});
