//! The account key: signatures of requests and of URLs.
//!
//! The SDK knows no shared keys, but lets a caller put policies into its pipeline; this is one. It stands
//! behind the retries, so that every try carries its own date.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::headers::HeaderName;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Method, Request};
use azure_core::time::{OffsetDateTime, to_rfc7231};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::OpenError;
use crate::config::Secret;

/// A key that signs, read once. Prints nothing.
#[derive(Clone)]
pub(crate) struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Reads an account key as the portal shows it.
    pub(crate) fn from_base64(key: &Secret) -> Result<Self, OpenError> {
        let bytes = STANDARD.decode(key.reveal().trim()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| OpenError::new("accountkey: not base64"))?;
        Self::new(&bytes)
    }

    pub(crate) fn new(bytes: &[u8]) -> Result<Self, OpenError> {
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| OpenError::new("accountkey: of a wrong length"))
    }

    /// The signature of `text`, in base64.
    pub(crate) fn sign(&self, text: &str) -> String {
        STANDARD.encode(self.0.clone().chain_update(text).finalize().into_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Signs every request with the account key.
#[derive(Debug)]
pub(crate) struct SharedKey {
    pub(crate) account: String,
    pub(crate) key: SigningKey,
}

#[expect(elided_lifetimes_in_paths, reason = "the trait leaves it out, and written out it means another")]
#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header("x-ms-date", to_rfc7231(&OffsetDateTime::now_utc()));
        // The transport would add it behind our back, and it is part of what is signed.
        let length = request.body().len().unwrap_or(0);
        if matches!(request.method(), Method::Put | Method::Post) {
            request.insert_header("content-length", length.to_string());
        }
        let signature = self.key.sign(&string_to_sign(&self.account, request));
        request.insert_header("authorization", format!("SharedKey {}:{signature}", self.account));
        match next.split_first() {
            Some((policy, rest)) => policy.send(context, request, rest).await,
            None => Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "a pipeline without a transport",
            )),
        }
    }
}

/// The headers with a place of their own, in their order. `Date` stays empty: `x-ms-date` is sent instead.
const PLACES: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

fn string_to_sign(account: &str, request: &Request) -> String {
    let mut text = format!("{}\n", request.method().as_str());
    for place in PLACES {
        let value = match place {
            "" => None,
            name => request.headers().get_optional_str(&HeaderName::from_static(name)),
        };
        // A length of nothing is left out since version 2015-02-21.
        let value = value.filter(|value| (place, *value) != ("content-length", "0"));
        text.push_str(value.unwrap_or_default());
        text.push('\n');
    }
    let vendor: BTreeMap<_, _> = (request.headers().iter())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    for (name, value) in vendor {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}:{}", value.trim());
    }
    let _ = write!(text, "/{account}{}", request.url().path());
    let mut query = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in request.url().query_pairs() {
        query.entry(name.to_lowercase()).or_default().push(value.into_owned());
    }
    for (name, mut values) in query {
        values.sort();
        let _ = write!(text, "\n{name}:{}", values.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_spelt_out_as_documented() {
        let url = "http://127.0.0.1:10000/account/container/a%2Fb?comp=block&blockid=MDA%3D".parse().unwrap();
        let mut request = Request::new(url, Method::Put);
        request.insert_header("content-length", "0");
        request.insert_header("x-ms-version", "2026-04-06");
        request.insert_header("x-ms-date", "Sat, 21 Nov 2026 10:00:00 GMT");
        request.insert_header("if-none-match", "*");

        let text = string_to_sign("account", &request);

        let expected = "PUT\n\n\n\n\n\n\n\n\n*\n\n\n\
            x-ms-date:Sat, 21 Nov 2026 10:00:00 GMT\nx-ms-version:2026-04-06\n\
            /account/account/container/a%2Fb\nblockid:MDA=\ncomp:block";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_key_that_is_not_base64_is_refused_without_being_repeated() {
        let error = SigningKey::from_base64(&"not/base64!".into()).unwrap_err();

        assert!(!error.to_string().contains("not/base64!"));
    }
}
