//! Tags: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.

use std::str::FromStr;
use std::sync::Arc;

use crate::Digest;
use crate::error::{ParseError, excerpt};
use crate::text::kept_as_text;

/// A tag. Cloning is cheap: clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag as clients write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which clients without the referrers API keep the referrers of `subject`
    /// (distribution-spec, "Referrers tag schema"): algorithm and digest joined by `-`, each cut.
    pub fn referrers_fallback(subject: &Digest) -> Self {
        let hex = subject.hex();
        let cut = &hex[..hex.len().min(64)];
        Self(format!("{}-{cut}", subject.algorithm()).into())
    }
}

impl FromStr for Tag {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refuse = |reason| ParseError::Tag { value: excerpt(text), reason };
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match text.as_bytes() {
            [] => Err(refuse("empty")),
            [first, ..] if !word(*first) => Err(refuse("begins with a letter, a digit or '_'")),
            bytes if bytes.len() > 128 => Err(refuse("longer than 128 characters")),
            bytes if bytes.iter().all(|byte| word(*byte) || matches!(byte, b'.' | b'-')) => {
                Ok(Self(text.into()))
            }
            _ => Err(refuse("only letters, digits, '_', '.' and '-' are allowed")),
        }
    }
}

kept_as_text!(Tag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_the_grammar_are_accepted() {
        for tag in ["latest", "_", "1.2.3_build.1", "V1-alpha", &"a".repeat(128)] {
            assert_eq!(tag.parse::<Tag>().unwrap().as_str(), tag);
        }
    }

    #[test]
    fn tags_outside_the_grammar_are_refused() {
        for tag in ["", ".a", "-a", "a b", "a/b", "a:b", "ä", "a\n", "a\0", "a+b", &"a".repeat(129)] {
            assert!(tag.parse::<Tag>().is_err(), "{tag:?} must be refused");
        }
    }

    #[test]
    fn the_fallback_tag_of_a_subject_is_itself_a_tag() {
        let subject = Digest::of(crate::Algorithm::Sha512, b"x");
        let tag = Tag::referrers_fallback(&subject);
        assert!(tag.as_str().starts_with("sha512-"));
        assert!(tag.as_str().parse::<Tag>().is_ok());
    }
}
