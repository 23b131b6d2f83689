//! Google Cloud CDN: signed URLs of a backend bucket.
//!
//! HMAC with SHA-1 over the URL, which is what Cloud CDN knows; nothing here rests on SHA-1's resistance to
//! collisions. Source: Cloud CDN documentation, "Use signed URLs".

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use entrepot_storage::signer::UrlSigner;
use entrepot_storage::{Error, ErrorKind, Key, PresignOptions, Result, SignedUrl};
use ring::hmac;

use crate::key_file::{KeyError, KeyFile};
use crate::path::{Base, key_name, seconds};

const NEEDED: &str = "a key of 16 bytes in base64url, as `gcloud` and the console take it,";
const LENGTH: usize = 16;

/// A load balancer with Cloud CDN in front of the bucket, and a key it was given.
#[derive(Clone, Debug)]
pub struct GoogleCdnConfig {
    /// The address of the load balancer, with the path of the backend bucket if it has one.
    pub base_url: String,
    /// The prefix of all keys in the bucket, as the driver has it. Cloud CDN sees the bucket's paths.
    pub root_directory: String,
    /// The file with the key: 16 bytes in base64url.
    pub private_key: PathBuf,
    /// The name the key was given.
    pub key_name: String,
}

/// The `googlecdn` middleware, with GitLab's words.
///
/// A signature takes microseconds. The same on every process with the same key; Cloud CDN leaves it out of its
/// cache key. The key file is looked at again whenever a new span of time begins.
#[derive(Clone, Debug)]
pub struct GoogleCdn(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Base,
    root_directory: String,
    key_name: String,
    key: KeyFile<hmac::Key>,
}

impl GoogleCdn {
    /// Reads the key. Blocks: for the time of start.
    pub fn open(config: GoogleCdnConfig) -> std::result::Result<Self, KeyError> {
        let GoogleCdnConfig { base_url, root_directory, private_key, key_name: name } = config;
        let key_name = key_name(name, "-_")?;
        let base = Base::parse(&base_url)?;
        let key = KeyFile::open(private_key, NEEDED, parse)?;
        Ok(Self(Arc::new(Inner { base, root_directory, key_name, key })))
    }
}

#[async_trait]
impl UrlSigner for GoogleCdn {
    async fn sign(
        &self,
        key: &Key,
        options: &PresignOptions,
        _: Option<IpAddr>,
    ) -> Result<Option<SignedUrl>> {
        let begin = options.signed_at;
        let secret = match self.0.key.known(begin) {
            Some(known) => known,
            None => {
                let inner = Arc::clone(&self.0);
                let read = tokio::task::spawn_blocking(move || inner.key.key(begin)).await;
                let failed = Error::new("googlecdn", ErrorKind::Backend { retryable: false });
                read.map_err(|error| failed.at(key).because(error))?
            }
        };
        let expires_at = begin + options.expires_in;
        let resource = self.0.base.join(&self.0.root_directory, key);
        let url = signed(&resource, seconds(expires_at), &self.0.key_name, &secret);
        Ok(Some(SignedUrl { url, expires_at }))
    }

    fn longest(&self) -> Duration {
        Duration::MAX
    }
}

/// `resource`, which has no query of its own, until `expires`, in seconds since 1970.
fn signed(resource: &str, expires: u64, key_name: &str, key: &hmac::Key) -> String {
    let text = format!("{resource}?Expires={expires}&KeyName={key_name}");
    let signature = URL_SAFE.encode(hmac::sign(key, text.as_bytes()));
    format!("{text}&Signature={signature}")
}

fn parse(text: &[u8]) -> std::result::Result<hmac::Key, String> {
    let bytes = URL_SAFE.decode(text.trim_ascii()).map_err(|error| error.to_string())?;
    if bytes.len() != LENGTH {
        return Err(format!("it has {} bytes", bytes.len()));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, URLs and signatures of the tests of Google's own samples (`cdn/snippets_test.py`).
    #[test]
    fn signatures_are_those_of_googles_own_samples() {
        let key = parse(b"nZtRohdNF9m3cKM24IcK4w==\n").unwrap();

        for (resource, signature) in [
            ("http://35.186.234.33/index.html", "CRFqQnVfFyiUyR63OQf-HRUpIwc="),
            ("http://www.example.com/", "OqDUFfHpN5Vxga6r80bhsgxKves="),
        ] {
            let expected = format!("{resource}?Expires=1549751401&KeyName=my-key&Signature={signature}");
            assert_eq!(signed(resource, 1_549_751_401, "my-key", &key), expected);
        }
    }

    #[test]
    fn what_is_no_key_of_sixteen_bytes_is_refused() {
        for text in
            [&b""[..], b"nZtRohdNF9m3cKM24IcK4w", b"nZtRohdNF9m3cKM24IcK", b"-----BEGIN PRIVATE KEY-----"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
