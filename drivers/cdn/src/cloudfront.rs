//! Amazon CloudFront: signed URLs with a canned policy.
//!
//! Signatures are SHA-256 (`Hash-Algorithm=SHA256`), which CloudFront takes from every key pair, those made for
//! SHA-1 too, at all edge locations since April 2026. SHA-1, its default for URLs that do not name one, is not
//! offered. Source: CloudFront developer guide, "Create a signed URL using a canned policy".

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrepot_storage::signer::UrlSigner;
use entrepot_storage::{Error, ErrorKind, Key, PresignOptions, Result, SignedUrl};
use moka::sync::Cache;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{Signer, SigningKey};

use crate::AddressError;
use crate::path::Base;

/// The most URLs remembered; each takes about a KiB.
const REMEMBERED: u64 = 10_000;

/// The largest file that is taken for a key, in bytes.
const LARGEST_KEY: u64 = 64 * 1024;

const SCHEMES: &[SignatureScheme] =
    &[SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];

/// A distribution of CloudFront and the key it trusts.
#[derive(Clone, Debug)]
pub struct CloudFrontConfig {
    /// The address of the distribution, `https://d111111abcdef8.cloudfront.net` or an alternate name.
    pub base_url: String,
    /// The prefix of all keys in the bucket, as the driver has it. CloudFront sees the bucket's paths.
    pub root_directory: String,
    /// The file with the private key in PEM: RSA (PKCS#1 or PKCS#8) or ECDSA on P-256 (SEC1 or PKCS#8).
    pub private_key: PathBuf,
    /// CloudFront's name of the public key.
    pub key_pair_id: String,
}

/// Why a key cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The address of the distribution is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it is no key of a kind that CloudFront takes.
    #[error("{path}: {reason}; an RSA or ECDSA P-256 private key in PEM is needed", path = path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The name of the key cannot stand in a URL.
    #[error("`{0}` is no name of a key pair")]
    Name(String),
}

/// distribution's `cloudfront` middleware.
///
/// A signature takes about a millisecond with RSA, so it is made off the runtime's threads, once per object
/// and span of time, and remembered. The key file is looked at again whenever a new span begins, so a key
/// that is replaced on disk is used without a restart; while the file is unfit, the key at hand goes on.
/// RSA signatures are the same on every process; those of ECDSA keys are not, which only matters to caches
/// other than CloudFront, which leaves signatures out of its cache key.
#[derive(Clone, Debug)]
pub struct CloudFront(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Base,
    config: CloudFrontConfig,
    key: RwLock<Held>,
    remembered: Cache<(Key, u64, u64), SignedUrl>,
}

/// The key in use, and for which span its file was last looked at.
#[derive(Clone, Debug)]
struct Held {
    key: Arc<dyn SigningKey>,
    looked_at: SystemTime,
}

impl CloudFront {
    /// Reads the key. Blocks: for the time of start.
    pub fn open(config: CloudFrontConfig) -> std::result::Result<Self, KeyError> {
        let named = |byte: u8| byte.is_ascii_alphanumeric();
        if config.key_pair_id.is_empty() || !config.key_pair_id.bytes().all(named) {
            return Err(KeyError::Name(config.key_pair_id));
        }
        let base = Base::parse(&config.base_url)?;
        let held = Held { key: read_key(&config.private_key)?, looked_at: UNIX_EPOCH };
        let remembered = Cache::new(REMEMBERED);
        Ok(Self(Arc::new(Inner { base, config, key: RwLock::new(held), remembered })))
    }
}

impl Inner {
    /// The signing key for URLs of the span that begins at `span`.
    fn key(&self, span: SystemTime) -> Arc<dyn SigningKey> {
        let held = self.key.read().unwrap_or_else(PoisonError::into_inner).clone();
        if held.looked_at >= span {
            return held.key;
        }
        let read = read_key(&self.config.private_key).unwrap_or_else(|error| {
            tracing::warn!(%error, "the CloudFront key cannot be read again; the one at hand is kept");
            held.key
        });
        let held = Held { key: Arc::clone(&read), looked_at: span };
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = held;
        read
    }

    fn signed(
        &self,
        key: &Key,
        signed_at: SystemTime,
        expires: u64,
    ) -> std::result::Result<String, rustls::Error> {
        let resource = self.base.join(&self.config.root_directory, key);
        let policy = canned_policy(&resource, expires);
        let signature = signer(&*self.key(signed_at))?.sign(policy.as_bytes())?;
        let (signature, pair) = (encode(&signature), &self.config.key_pair_id);
        Ok(format!(
            "{resource}?Expires={expires}&Signature={signature}&Key-Pair-Id={pair}&Hash-Algorithm=SHA256"
        ))
    }
}

#[async_trait]
impl UrlSigner for CloudFront {
    async fn sign(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        let expires_at = options.signed_at + options.expires_in;
        let expires = seconds(expires_at);
        let name = (key.clone(), seconds(options.signed_at), expires);
        if let Some(known) = self.0.remembered.get(&name) {
            return Ok(Some(known));
        }
        let (inner, object, signed_at) = (Arc::clone(&self.0), key.clone(), options.signed_at);
        let made = tokio::task::spawn_blocking(move || inner.signed(&object, signed_at, expires)).await;
        let failed = || Error::new("cloudfront", ErrorKind::Backend { retryable: false }).at(key);
        let url = made.map_err(|error| failed().because(error))?.map_err(|error| failed().because(error))?;
        let signed = SignedUrl { url, expires_at };
        self.0.remembered.insert(name, signed.clone());
        Ok(Some(signed))
    }
}

/// The statement that CloudFront rebuilds from the URL: no space may differ.
fn canned_policy(resource: &str, expires: u64) -> String {
    format!(
        r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
    )
}

/// Base64 with `-`, `~` and `_` for the three characters that would not stand in a URL, as CloudFront has it.
fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "-").replace('/', "~").replace('=', "_")
}

fn signer(key: &dyn SigningKey) -> std::result::Result<Box<dyn Signer>, rustls::Error> {
    key.choose_scheme(SCHEMES).ok_or_else(|| rustls::Error::General("the key signs otherwise".into()))
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read_key(path: &Path) -> std::result::Result<Arc<dyn SigningKey>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let unfit = |reason: String| KeyError::Unfit { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > LARGEST_KEY {
        return Err(unfit(format!("{length} bytes are too many for a key")));
    }
    let pem = std::fs::read(path).map_err(unreadable)?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unfit(error.to_string()))?;
    let key = any_supported_type(&der).map_err(|error| unfit(error.to_string()))?;
    signer(&*key).map_err(|error| unfit(error.to_string()))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_the_one_that_cloudfront_rebuilds() {
        assert_eq!(
            canned_policy("https://d1.cloudfront.net/a", 1_767_290_400),
            r#"{"Statement":[{"Resource":"https://d1.cloudfront.net/a","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}"#
        );
    }

    #[test]
    fn the_encoding_holds_nothing_a_url_would_change() {
        // Standard Base64 of these bytes is `+/+/` and `/w==`; CloudFront wants `-~-~` and `~w__`.
        assert_eq!(encode(&[0xfb, 0xff, 0xbf]), "-~-~");
        assert_eq!(encode(&[0xff]), "~w__");
    }
}
