//! A reference names a manifest within a repository: by tag or by digest.

use std::fmt;
use std::str::FromStr;

use crate::error::ParseError;
use crate::{Digest, Tag};

/// What stands after `/manifests/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A name that can be moved.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = ParseError;

    /// A `:` cannot occur in a tag, so its presence decides which grammar (and which error) applies.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.contains(':') {
            text.parse().map(Reference::Digest)
        } else {
            text.parse().map(Reference::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => tag.fmt(f),
            Reference::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_decides_between_tag_and_digest() {
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        assert!(matches!("sha256:abc".parse::<Reference>(), Err(ParseError::Digest { .. })));
        assert!(matches!("-bad".parse::<Reference>(), Err(ParseError::Tag { .. })));
    }
}
