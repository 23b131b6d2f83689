//! Object keys.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest key in bytes: what S3, GCS and Azure have in common.
pub const MAX_KEY_BYTES: usize = 1024;
/// The longest segment in bytes: what a file name may be on a local filesystem.
pub const MAX_SEGMENT_BYTES: usize = 255;

/// A validated object key: segments joined by `/`, relative, printable ASCII only.
///
/// No segment is empty, longer than 255 bytes, or begins with a dot, so that no key can leave a
/// directory or meet a driver's own dot files; no backslash and no control character occurs. A key is
/// never a directory of another key: callers lay their keys out so, and the filesystem driver relies
/// on it. Ordered by bytes, as every store lists. Clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// A text that is not a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid key {key:?}: {reason}")]
pub struct InvalidKey {
    /// What was given.
    pub key: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let refuse = |reason| Err(InvalidKey { key: text.chars().take(128).collect(), reason });
        if text.len() > MAX_KEY_BYTES {
            return refuse("longer than 1024 bytes");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return refuse("only printable ASCII without space and backslash is allowed");
        }
        for segment in text.split('/') {
            if segment.is_empty() {
                return refuse("empty segment");
            }
            if segment.starts_with('.') {
                return refuse("a segment begins with a dot");
            }
            if segment.len() > MAX_SEGMENT_BYTES {
                return refuse("a segment is longer than 255 bytes");
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl serde::de::Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_leave_their_directory_are_refused() {
        for text in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.b", "a\\b", "a b", "a\0b", "ä", "a\n"]
        {
            assert!(text.parse::<Key>().is_err(), "{text:?} must be refused");
        }
        assert!("a/".repeat(600).parse::<Key>().is_err());
        assert!("a".repeat(256).parse::<Key>().is_err());
    }

    #[test]
    fn ordinary_keys_are_accepted() {
        for text in ["layout.json", "tags/library!alpine/latest", "data/ab/0190.sha256.00"] {
            assert_eq!(text.parse::<Key>().unwrap().as_str(), text);
        }
    }
}
