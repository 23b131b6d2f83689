//! Who we are: headers for requests, and a key or a service for signatures.
//!
//! Tokens are fetched, kept and renewed by `google-cloud-auth`. A service account's key is looked at here
//! as well, because a signature with it is local.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use entrepot_storage::{Error, ErrorKind, Result};
use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials, external_account, impersonated, service_account, user_account,
};
use google_cloud_auth::signer::Signer;
use http::{Extensions, HeaderMap};
use ring::rsa::KeyPair;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::config::{Config, CredentialSource, HmacKey};
use crate::{NAME, OpenError};

/// What IAM then narrows to the roles we were given. The narrower scopes of storage would not let IAM sign.
/// <https://cloud.google.com/storage/docs/oauth-scopes>
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What headers and signatures are made with.
pub(crate) struct Identity {
    /// `None` where requests are anonymous.
    credentials: Option<Credentials>,
    pub(crate) signing: Signing,
}

/// How URLs are signed.
pub(crate) enum Signing {
    /// With an HMAC key: microseconds.
    Hmac(HmacKey),
    /// With a service account's own key: about a millisecond.
    Rsa { email: String, key: Arc<KeyPair> },
    /// By IAM: a request.
    Remote(Signer),
    /// Not at all, and why.
    Never(String),
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac",
            Self::Rsa { .. } => "Rsa",
            Self::Remote(_) => "Remote",
            Self::Never(_) => "Never",
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("signing", &self.signing).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct KeyFields {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key: String,
}

impl Drop for KeyFields {
    fn drop(&mut self) {
        self.private_key.zeroize();
    }
}

impl Identity {
    /// Reads what `config` names. Needs the runtime tokens will be renewed on.
    pub(crate) fn open(config: &Config) -> std::result::Result<Self, OpenError> {
        let (credentials, signing) = match &config.credentials {
            CredentialSource::Anonymous => {
                (None, Signing::Never("anonymous credentials sign nothing".into()))
            }
            CredentialSource::ApplicationDefault => application_default()?,
            CredentialSource::KeyFile(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| OpenError::Credentials(format!("{}: {error}", path.display())))?;
                from_json(&Zeroizing::new(text))?
            }
            CredentialSource::Key(text) => from_json(text.reveal())?,
        };
        let signing = match (&config.hmac_key, &config.signing_account, &credentials) {
            (Some(key), _, _) => Signing::Hmac(key.clone()),
            (None, Some(account), Some(credentials)) => on_behalf_of(account, credentials)?,
            _ => signing,
        };
        Ok(Self { credentials, signing })
    }

    /// What requests are made with, or nothing where they are anonymous.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        self.credentials.clone()
    }

    /// The headers that say who we are, from memory unless a token is due. `patience` bounds the wait.
    pub(crate) async fn headers(&self, patience: Duration) -> Result<HeaderMap> {
        let Some(credentials) = &self.credentials else { return Ok(HeaderMap::new()) };
        let headers = tokio::time::timeout(patience, credentials.headers(Extensions::new()));
        match headers.await {
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            Ok(Ok(CacheableResource::NotModified)) => Err(failed(true, "an empty answer")),
            Ok(Err(error)) => Err(failed(error.is_transient(), &error.to_string())),
            Err(_) => Err(failed(true, "no token in time")),
        }
    }
}

pub(crate) fn failed(retryable: bool, why: &str) -> Error {
    Error::new(NAME, ErrorKind::Backend { retryable }).because(format!("no credentials: {why}"))
}

type Opened = (Option<Credentials>, Signing);

fn application_default() -> std::result::Result<Opened, OpenError> {
    let credentials = Builder::default().with_scopes([SCOPE]).build().map_err(refused)?;
    let signing = match Builder::default().with_scopes([SCOPE]).build_signer() {
        Ok(signer) => Signing::Remote(signer),
        Err(error) => Signing::Never(error.to_string()),
    };
    Ok((Some(credentials), signing))
}

fn from_json(text: &str) -> std::result::Result<Opened, OpenError> {
    // serde's words would quote the text.
    let broken = |_| OpenError::Credentials("not the JSON of a key".into());
    let json: serde_json::Value = serde_json::from_str(text).map_err(broken)?;
    let fields: KeyFields = serde_json::from_str(text).map_err(broken)?;
    let unsigned = |kind: &str| Signing::Never(format!("credentials of the kind {kind:?} cannot sign"));
    match fields.kind.as_str() {
        // A key that was written out field by field may lack the word.
        "service_account" | "" => {
            let key = Arc::new(parse_key(&fields.private_key)?);
            let credentials = service_account::Builder::new(json)
                .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
                .build()
                .map_err(refused)?;
            Ok((Some(credentials), Signing::Rsa { email: fields.client_email.clone(), key }))
        }
        "impersonated_service_account" => {
            let signing = match impersonated::Builder::new(json.clone()).build_signer() {
                Ok(signer) => Signing::Remote(signer),
                Err(error) => Signing::Never(error.to_string()),
            };
            let credentials =
                impersonated::Builder::new(json).with_scopes([SCOPE]).build().map_err(refused)?;
            Ok((Some(credentials), signing))
        }
        "external_account" => {
            let credentials =
                external_account::Builder::new(json).with_scopes([SCOPE]).build().map_err(refused)?;
            Ok((Some(credentials), unsigned("external_account")))
        }
        "authorized_user" => {
            let credentials =
                user_account::Builder::new(json).with_scopes([SCOPE]).build().map_err(refused)?;
            Ok((Some(credentials), unsigned("authorized_user")))
        }
        other => Err(OpenError::Credentials(format!("unknown kind {other:?}"))),
    }
}

/// IAM signs for `account` when our own credentials may ask it to.
fn on_behalf_of(account: &str, credentials: &Credentials) -> std::result::Result<Signing, OpenError> {
    impersonated::Builder::from_source_credentials(credentials.clone())
        .with_target_principal(account)
        .with_scopes([SCOPE])
        .build_signer()
        .map(Signing::Remote)
        .map_err(refused)
}

fn refused(error: google_cloud_auth::build_errors::Error) -> OpenError {
    OpenError::Credentials(error.to_string())
}

/// A PKCS#8 key in PEM, the only form Google gives keys out in.
fn parse_key(pem: &str) -> std::result::Result<KeyPair, OpenError> {
    let unreadable = || OpenError::Credentials("the private key is not PKCS#8 in PEM".into());
    let body: Zeroizing<String> = Zeroizing::new(
        pem.trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
            .ok_or_else(unreadable)?
            .split_whitespace()
            .collect(),
    );
    let der = Zeroizing::new(BASE64_STANDARD.decode(body.as_bytes()).map_err(|_| unreadable())?);
    KeyPair::from_pkcs8(&der).map_err(|_| unreadable())
}

/// An account's email and its public key, for who checks its signatures.
#[cfg(feature = "fake")]
pub(crate) fn public_part(text: &str) -> Option<(String, Vec<u8>)> {
    let fields: KeyFields = serde_json::from_str(text).ok()?;
    let key = parse_key(&fields.private_key).ok()?;
    Some((fields.client_email.clone(), key.public().as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn broken_credentials_are_refused_without_their_content() {
        for text in ["SECRET", r#"{"type":"SECRET"#, r#"{"type":"service_account","private_key":"SECRET"}"#] {
            let mut config = Config::new("images");
            config.credentials = CredentialSource::Key(Secret::new(text));

            let error = Identity::open(&config).expect_err("it is no key").to_string();

            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[tokio::test]
    async fn workload_identity_federation_signs_by_iam_for_the_account_that_is_named() {
        let federation = r#"{"type":"external_account","audience":"//iam.googleapis.com/pool",
            "subject_token_type":"urn:ietf:params:oauth:token-type:jwt",
            "token_url":"https://sts.googleapis.com/v1/token",
            "credential_source":{"file":"/var/run/secrets/token"}}"#;
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut config = Config::new("images");
        config.credentials = CredentialSource::Key(Secret::new(federation));

        let alone = Identity::open(&config).expect("it is a federation");
        config.signing_account = Some("robot@project.iam.gserviceaccount.com".into());
        let named = Identity::open(&config).expect("it is a federation");

        assert!(matches!(alone.signing, Signing::Never(_)), "{alone:?}");
        assert!(matches!(named.signing, Signing::Remote(_)), "{named:?}");
    }
}
