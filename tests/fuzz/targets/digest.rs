//! Digests, and the hasher whose state travels through storage as text.

#![no_main]

use std::sync::LazyLock;

use entrepot_oci::{Algorithm, Digest, Hasher, Tag, etag};
use libfuzzer_sys::fuzz_target;
use regex_lite::Regex;

static DIGEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\A(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\z").expect("a valid expression")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        syntax(text);
    }
    continuation(bytes);
});

fn syntax(text: &str) {
    let parsed = text.parse::<Digest>();
    assert_eq!(parsed.is_ok(), DIGEST.is_match(text), "{text:?}");
    if let Ok(digest) = parsed {
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.as_bytes().len(), digest.algorithm().size());
        assert!(etag::if_none_match(&etag::of(&digest), &digest));
        let fallback = Tag::referrers_fallback(&digest);
        assert_eq!(fallback.as_str().parse::<Tag>().as_ref(), Ok(&fallback));
    }
    // A mid-state nobody wrote may be refused or continued, but continuing must be sound.
    if let Some(mut hasher) = Hasher::restore(text) {
        hasher.update(b"more");
        let saved = hasher.save();
        let again = Hasher::restore(&saved).expect("what was saved can be restored");
        assert_eq!(again.finish(), hasher.finish());
    }
}

/// Hashing in two sittings gives what hashing at once gives.
fn continuation(bytes: &[u8]) {
    let Some((at, content)) = bytes.split_first() else { return };
    let (one, two) = content.split_at(usize::from(*at).min(content.len()));
    for algorithm in Algorithm::ALL {
        let mut first = Hasher::new(algorithm);
        first.update(one);
        let mut second = Hasher::restore(&first.save()).expect("what was saved can be restored");
        second.update(two);
        assert_eq!(second.finish(), Digest::of(algorithm, content));
    }
}
