//! Addresses, the paths behind them, and what else stands in URLs.

use std::time::{SystemTime, UNIX_EPOCH};

use entrepot_storage::Key;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::AddressError;
use crate::key_file::KeyError;

/// All but unreserved characters (RFC 3986, section 2.3) and slashes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Scheme, authority and perhaps a path, without a slash at the end: what keys are put behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base(String);

impl Base {
    /// Reads `https://host/path/`. Without a scheme `https` is meant, as in distribution.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let refuse = |reason| AddressError { address: text.to_owned(), reason };
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let Some(rest) = whole.strip_prefix("https://").or_else(|| whole.strip_prefix("http://")) else {
            return Err(refuse("only http and https lead to a server"));
        };
        if rest.is_empty() || rest.starts_with('/') {
            return Err(refuse("it names no host"));
        }
        if rest.bytes().any(|byte| byte.is_ascii_control() || b" ?#\"<>\\@".contains(&byte))
            || !rest.is_ascii()
        {
            return Err(refuse("a host and a path are expected, without a query, a user or spaces"));
        }
        Ok(Self(whole.trim_end_matches('/').to_owned()))
    }

    /// The address of `key` below `root`, a prefix of keys that may be empty.
    pub(crate) fn join(&self, root: &str, key: &Key) -> String {
        let mut url = self.0.clone();
        let root = root.trim_matches('/');
        for part in [root, key.as_str()].into_iter().filter(|part| !part.is_empty()) {
            url.push('/');
            url.extend(utf8_percent_encode(part, PATH));
        }
        url
    }
}

/// The name of a key, if it can stand in a query as it is: letters, digits, and what is in `others`.
pub(crate) fn key_name(name: String, others: &str) -> Result<String, KeyError> {
    let stands = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    if name.is_empty() || !name.chars().all(stands) {
        return Err(KeyError::Name(name));
    }
    Ok(name)
}

/// Whole seconds since 1970.
pub(crate) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_put_behind_the_address_and_below_the_root() {
        let key: Key = "data/ab/01!x".parse().unwrap();

        for address in ["https://cdn.example.com", "https://cdn.example.com/", "cdn.example.com"] {
            let base = Base::parse(address).unwrap();
            assert_eq!(base.join("", &key), "https://cdn.example.com/data/ab/01%21x");
            assert_eq!(base.join("/a b/", &key), "https://cdn.example.com/a%20b/data/ab/01%21x");
        }
        assert_eq!(Base::parse("http://h:8080/x/").unwrap().join("", &key), "http://h:8080/x/data/ab/01%21x");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for address in
            ["", "https://", "ftp://host", "https:///path", "https://u:p@host", "https://h?q", "h h"]
        {
            assert!(Base::parse(address).is_err(), "{address:?}");
        }
    }
}
