//! Whether a signed URL is one that Google would take
//! (<https://cloud.google.com/storage/docs/authentication/canonical-requests>).
//!
//! The canonical request is made again from what arrived, not from what the driver meant to send.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::store::{Wrong, wrong};
use crate::presign::{hex, hmac_signature};

const MISMATCH: Wrong = wrong(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided.",
);
const EXPIRED: Wrong = wrong(400, "ExpiredToken", "The provided token has expired.");
const MALFORMED: Wrong = wrong(400, "AuthenticationRequired", "The signature's parameters make no sense.");
const LONGEST_SECONDS: u64 = 604_800;

/// Whose signatures are good.
#[derive(Clone, Debug, Default)]
pub(super) struct Signers {
    /// Public keys, PKCS#1 in DER, by email.
    pub(super) accounts: BTreeMap<String, Vec<u8>>,
    /// Secrets by access id.
    pub(super) hmac_keys: BTreeMap<String, String>,
}

/// A request as it arrived, before anything was decoded.
pub(super) struct Arrived<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) host: &'a str,
}

impl Signers {
    pub(super) fn check(&self, arrived: &Arrived<'_>) -> Result<(), Wrong> {
        let mut pairs: Vec<(&str, &str)> =
            arrived.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        pairs.sort_unstable();
        let value = |name: &str| {
            let found = pairs.iter().find(|(given, _)| *given == name).ok_or(MALFORMED)?;
            percent_encoding::percent_decode_str(found.1).decode_utf8().map_err(|_| MALFORMED)
        };
        let (algorithm, credential) = (value("X-Goog-Algorithm")?, value("X-Goog-Credential")?);
        let (time, lasting) = (value("X-Goog-Date")?, value("X-Goog-Expires")?);
        let signature = unhex(&value("X-Goog-Signature")?).ok_or(MISMATCH)?;
        if value("X-Goog-SignedHeaders")? != "host" {
            return Err(MALFORMED);
        }
        let (signer, scope) = credential.split_once('/').ok_or(MALFORMED)?;
        let date = time.get(..8).ok_or(MALFORMED)?;
        if scope != format!("{date}/auto/storage/goog4_request") {
            return Err(MALFORMED);
        }
        check_time(&time, lasting.parse().map_err(|_| MALFORMED)?)?;
        let text = format!("{algorithm}\n{time}\n{scope}\n{}", digest(arrived, &pairs));
        if self.is_signed(&algorithm, signer, date, &text, &signature) { Ok(()) } else { Err(MISMATCH) }
    }

    fn is_signed(&self, algorithm: &str, signer: &str, date: &str, text: &str, signature: &[u8]) -> bool {
        match algorithm {
            "GOOG4-RSA-SHA256" => self.accounts.get(signer).is_some_and(|key| {
                let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
                key.verify(text.as_bytes(), signature).is_ok()
            }),
            "GOOG4-HMAC-SHA256" => self
                .hmac_keys
                .get(signer)
                .and_then(|secret| hmac_signature(secret, date, text).ok())
                .is_some_and(|expected| expected == signature),
            _ => false,
        }
    }
}

fn digest(arrived: &Arrived<'_>, pairs: &[(&str, &str)]) -> String {
    let signed: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| *name != "X-Goog-Signature")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let Arrived { method, path, host, .. } = arrived;
    // Google's vectors sign the name of the host without its port.
    let host = host.split(':').next().unwrap_or_default();
    let request = format!("{method}\n{path}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", signed.join("&"));
    hex(&Sha256::digest(request.as_bytes()))
}

fn check_time(time: &str, lasting: u64) -> Result<(), Wrong> {
    let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).map_err(|_| MALFORMED)?;
    let signed = parsed.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| MALFORMED)?.timestamp().as_second();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if lasting == 0 || lasting > LONGEST_SECONDS {
        return Err(MALFORMED);
    }
    if now > u64::try_from(signed).unwrap_or_default() + lasting { Err(EXPIRED) } else { Ok(()) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
