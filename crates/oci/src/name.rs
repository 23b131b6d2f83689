//! Repository names: `<component>[/<component>]...`, at most 255 bytes.

use std::str::FromStr;
use std::sync::Arc;

use crate::error::{ParseError, excerpt};
use crate::text::kept_as_text;

/// The longest accepted name in bytes; docker and containerd refuse longer ones as well.
pub const MAX_NAME_BYTES: usize = 255;

/// A repository name in the grammar of distribution-spec:
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`.
///
/// Cloning is cheap: clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The name as clients write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refuse = |reason| ParseError::Name { value: excerpt(text), reason };
        if text.len() > MAX_NAME_BYTES {
            return Err(refuse("longer than 255 bytes"));
        }
        for component in text.split('/') {
            check_component(component).map_err(refuse)?;
        }
        Ok(Self(text.into()))
    }
}

fn check_component(component: &str) -> Result<(), &'static str> {
    let bytes = component.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) if alphanumeric(first) && alphanumeric(last) => {}
        (None, _) => return Err("empty path component"),
        _ => return Err("each path component begins and ends with a lowercase letter or digit"),
    }
    for separator in bytes.split(alphanumeric).filter(|run| !run.is_empty()) {
        let allowed = matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-');
        if !allowed {
            return Err("components are lowercase letters and digits joined by '.', '_', '__' or '-'s");
        }
    }
    Ok(())
}

kept_as_text!(RepositoryName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_grammar_are_accepted() {
        for name in ["a", "library/alpine", "a/b/c/d", "foo.bar/b__z/q---r/s_t", "0a/9", "a1-2.3_4"] {
            assert_eq!(name.parse::<RepositoryName>().unwrap().as_str(), name);
        }
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "UPPER/x",
            "a..b",
            "-a",
            "a-",
            "_a",
            "a_",
            "a___b",
            "a.-b",
            "a b",
            "a\0b",
            "..",
            "a/../b",
            "a%2fb",
            "a\\b",
            "é",
            "a/_uploads",
            "a\n",
        ] {
            assert!(name.parse::<RepositoryName>().is_err(), "{name:?} must be refused");
        }
        assert!("a".repeat(256).parse::<RepositoryName>().is_err());
    }
}
