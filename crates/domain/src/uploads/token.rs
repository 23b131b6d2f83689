//! Upload tokens: what a session's location carries, signed.
//!
//! A token binds a session to its repository and says until when it may be used and whether the session
//! has a record. Clients take locations apart and put them together again; a token is therefore a single
//! query parameter of characters that need no escaping.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrepot_oci::{Algorithm, RepositoryName};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 256;

/// Length of a signature in bytes.
const MAC_BYTES: usize = 32;

/// Keys that sign tokens: the first signs, all verify, so that keys can be rotated without breaking
/// uploads in progress.
#[derive(Clone)]
pub struct TokenKeys(Vec<Vec<u8>>);

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKeys({} hidden)", self.0.len())
    }
}

/// What a valid token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The algorithm the session hashes with.
    pub algorithm: Algorithm,
    /// Whether the session had a record when the token was made.
    pub started: bool,
}

impl TokenKeys {
    /// Keys to sign with. `None` for an empty list or an empty key: an unsigned token would open
    /// everybody's sessions.
    pub fn new(keys: Vec<Vec<u8>>) -> Option<Self> {
        let usable = !keys.is_empty() && keys.iter().all(|key| !key.is_empty());
        usable.then_some(Self(keys))
    }

    /// Makes a token.
    pub fn sign(
        &self,
        id: &str,
        repository: &RepositoryName,
        expires: SystemTime,
        algorithm: Algorithm,
        started: bool,
    ) -> String {
        let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let head = format!("1.{expires:x}.{}.{}", code(algorithm), u8::from(started));
        let mac = mac(&self.0[0], &head, id, repository);
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// Reads a token. `None` where any of it is wrong, or it has expired.
    pub fn verify(
        &self,
        token: &str,
        id: &str,
        repository: &RepositoryName,
        now: SystemTime,
    ) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (head, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Every key is tried, and compared in constant time.
        let genuine = self.0.iter().fold(false, |genuine, key| {
            genuine | bool::from(mac(key, head, id, repository).as_slice().ct_eq(&signature))
        });
        let (expires, claims) = read_head(head)?;
        (genuine && now <= expires).then_some(claims)
    }
}

/// Whether `token` has the form of a token, whoever signed it and for whatever session. One that has not
/// was damaged on its way.
pub fn is_whole(token: &str) -> bool {
    let signature = |text: &str| URL_SAFE_NO_PAD.decode(text).is_ok_and(|mac| mac.len() == MAC_BYTES);
    token.len() <= MAX_TOKEN_BYTES
        && token.rsplit_once('.').is_some_and(|(head, mac)| read_head(head).is_some() && signature(mac))
}

fn read_head(head: &str) -> Option<(SystemTime, Claims)> {
    let mut fields = head.split('.');
    if fields.next()? != "1" {
        return None;
    }
    let expires = u64::from_str_radix(fields.next()?, 16).ok()?;
    let algorithm = match fields.next()? {
        "2" => Algorithm::Sha256,
        "5" => Algorithm::Sha512,
        _ => return None,
    };
    let started = match fields.next()? {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    if fields.next().is_some() {
        return None;
    }
    let expires = UNIX_EPOCH.checked_add(Duration::from_secs(expires))?;
    Some((expires, Claims { algorithm, started }))
}

const fn code(algorithm: Algorithm) -> char {
    match algorithm {
        Algorithm::Sha256 => '2',
        Algorithm::Sha512 => '5',
    }
}

/// The fields are separated by a byte none of them contains, so no two sets of them sign alike.
fn mac(key: &[u8], head: &str, id: &str, repository: &RepositoryName) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for field in [head, id, repository.as_str()] {
        mac.update(field.as_bytes());
        mac.update(b"\n");
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190a1b2-0000-7000-8000-000000000000";

    fn keys(names: &[&str]) -> TokenKeys {
        TokenKeys::new(names.iter().map(|name| name.as_bytes().to_vec()).collect()).unwrap()
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    fn later() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(2_000_000_000)
    }

    #[test]
    fn a_token_opens_its_own_session_only() {
        let keys = keys(&["k"]);
        let token = keys.sign(ID, &name("a/b"), later(), Algorithm::Sha512, true);

        let claims = keys.verify(&token, ID, &name("a/b"), UNIX_EPOCH);

        assert_eq!(claims, Some(Claims { algorithm: Algorithm::Sha512, started: true }));
        assert_eq!(keys.verify(&token, ID, &name("a/c"), UNIX_EPOCH), None);
        assert_eq!(keys.verify(&token, &ID.replace('7', "8"), &name("a/b"), UNIX_EPOCH), None);
    }

    #[test]
    fn a_token_dies_with_its_time() {
        let keys = keys(&["k"]);
        let token = keys.sign(ID, &name("a"), later(), Algorithm::Sha256, false);

        assert!(keys.verify(&token, ID, &name("a"), later()).is_some());
        assert!(keys.verify(&token, ID, &name("a"), later() + Duration::from_secs(1)).is_none());
    }

    #[test]
    fn keys_rotate_without_breaking_open_uploads() {
        let token = keys(&["old"]).sign(ID, &name("a"), later(), Algorithm::Sha256, false);

        assert!(keys(&["new", "old"]).verify(&token, ID, &name("a"), UNIX_EPOCH).is_some());
        assert!(keys(&["new"]).verify(&token, ID, &name("a"), UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_changed_token_is_refused() {
        let keys = keys(&["k"]);
        let token = keys.sign(ID, &name("a"), later(), Algorithm::Sha256, false);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(keys.verify(&changed, ID, &name("a"), UNIX_EPOCH), None, "changed at {at}");
        }
        for other in ["", ".", "1.0.2.0.", &token[..token.len() - 1], &"a".repeat(10_000)] {
            assert_eq!(keys.verify(other, ID, &name("a"), UNIX_EPOCH), None);
        }
    }

    #[test]
    fn a_whole_token_is_told_from_a_damaged_one() {
        let token = keys(&["k"]).sign(ID, &name("a"), later(), Algorithm::Sha256, false);

        assert!(is_whole(&token));
        assert!(is_whole(&keys(&["other"]).sign(ID, &name("b"), UNIX_EPOCH, Algorithm::Sha512, true)));
        for damaged in ["", ".", "1.0.2.0.", "x", &token[1..], &token[..token.len() - 2], &"a".repeat(10_000)]
        {
            assert!(!is_whole(damaged), "{damaged}");
        }
    }

    #[test]
    fn a_token_needs_no_escaping_in_a_query() {
        let token = keys(&["k"]).sign(ID, &name("a"), later(), Algorithm::Sha256, true);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
    }

    #[test]
    fn empty_keys_are_refused_and_never_printed() {
        assert!(TokenKeys::new(Vec::new()).is_none());
        assert!(TokenKeys::new(vec![Vec::new()]).is_none());
        assert!(!format!("{:?}", keys(&["hush"])).contains("hush"));
    }
}
