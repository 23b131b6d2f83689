//! Repository names: exactly the specification's grammar, and what is read prints as it was.

#![no_main]

use std::sync::LazyLock;

use entrepot_oci::RepositoryName;
use libfuzzer_sys::fuzz_target;
use regex_lite::Regex;

/// The grammar as distribution-spec writes it, judged by another program than ours.
static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
    let component = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*";
    Regex::new(&format!(r"\A{component}(?:/{component})*\z")).expect("a valid expression")
});

fuzz_target!(|text: &str| {
    let expected = text.len() <= 255 && GRAMMAR.is_match(text);
    let parsed = text.parse::<RepositoryName>();

    assert_eq!(parsed.is_ok(), expected, "{text:?}");
    if let Ok(name) = parsed {
        assert_eq!(name.to_string(), text);
        assert!(name.as_str().split('/').all(|part| !part.starts_with(['.', '_'])), "no path tricks");
    }
});
