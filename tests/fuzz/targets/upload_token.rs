//! Upload tokens: nobody makes one without a key, and one made for a session opens only that session.
//!
//! The input is five lines: key, session id, repository, token, and the seconds of expiry in decimal.

#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entrepot_domain::uploads::token::{Claims, TokenKeys};
use entrepot_oci::{Algorithm, RepositoryName};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(5, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (key, id, name, token) = (line(), line(), line(), line());
    let seconds = line().parse().unwrap_or(2_000_000_000_u64);
    let Ok(name) = name.parse::<RepositoryName>() else { return };
    // Past the year 10,000 the clock of some systems ends.
    let expires = UNIX_EPOCH + Duration::from_secs(seconds % 253_402_300_800);

    forged(id, &name, token);
    if let Some(keys) = TokenKeys::new(vec![key.as_bytes().to_vec()]) {
        genuine(&keys, id, &name, expires);
    }
});

/// The key is secret from the fuzzer in effect: it would have to find a 256-bit code.
fn forged(id: &str, name: &RepositoryName, token: &str) {
    let keys = TokenKeys::new(vec![b"secret".to_vec(), b"older".to_vec()]).expect("two keys");
    assert_eq!(keys.verify(token, id, name, UNIX_EPOCH), None);
}

fn genuine(keys: &TokenKeys, id: &str, name: &RepositoryName, expires: SystemTime) {
    for algorithm in Algorithm::ALL {
        let token = keys.sign(id, name, expires, algorithm, true);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));

        let opened = keys.verify(&token, id, name, expires);
        assert_eq!(opened, Some(Claims { algorithm, started: true }));
        assert_eq!(keys.verify(&token, id, name, expires + Duration::from_secs(1)), None, "expired");
        assert_eq!(keys.verify(&token, &format!("{id}x"), name, expires), None, "another session");
        let other = if name.as_str() == "a" { "b" } else { "a" }.parse().expect("a name");
        assert_eq!(keys.verify(&token, id, &other, expires), None, "another repository");
        altered(keys, id, name, &token);
    }
}

fn altered(keys: &TokenKeys, id: &str, name: &RepositoryName, token: &str) {
    for end in [0, token.len() / 2, token.len() - 1] {
        assert_eq!(keys.verify(&token[..end], id, name, UNIX_EPOCH), None, "cut");
    }
    for longer in [format!("{token}A"), format!("{token}="), format!("0{token}"), format!("{token}.")] {
        assert_eq!(keys.verify(&longer, id, name, UNIX_EPOCH), None, "lengthened");
    }
}
