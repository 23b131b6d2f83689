//! Amazon CloudFront: signed URLs with a canned policy, or with one that names the client's address.
//!
//! Signatures are SHA-256 (`Hash-Algorithm=SHA256`), which CloudFront takes from every key pair, those made for
//! SHA-1 too, at all edge locations since April 2026. SHA-1, its default for URLs that do not name one, is not
//! offered. Source: CloudFront developer guide, "Create a signed URL using a canned policy" and "… using a
//! custom policy".

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

use crate::key_file::{KeyError, KeyFile};
use crate::path::{Base, key_name, seconds};

/// The most URLs remembered; each takes about a KiB.
const REMEMBERED: u64 = 10_000;

const SCHEMES: &[SignatureScheme] =
    &[SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];

const NEEDED: &str = "an RSA or ECDSA P-256 private key in PEM";

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
    /// Whether a URL is good from one client's address only. See [`CloudFront`].
    pub source_ip: bool,
}

/// distribution's `cloudfront` middleware.
///
/// A signature takes about a millisecond with RSA, so it is made off the runtime's threads, once per object
/// and span of time, and remembered. The key file is looked at again whenever a new span begins.
/// RSA signatures are the same on every process; those of ECDSA keys are not, which only matters to caches
/// other than CloudFront, which leaves signatures out of its cache key.
///
/// With `source_ip`, a URL is good from the address of the client it was made for and from no other, and so
/// each client has URLs of its own. CloudFront has to see the client at the address we see it at: clients that
/// reach us from within, by a private address, get no URL, and so do those with IPv6, which CloudFront cannot
/// hold a URL to. (It wants IPv6 switched off for such a distribution: CloudFront API reference, `IsIPV6Enabled`.)
#[derive(Clone, Debug)]
pub struct CloudFront(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Base,
    root_directory: String,
    key_pair_id: String,
    source_ip: bool,
    key: KeyFile<Arc<dyn SigningKey>>,
    remembered: Cache<Asked, SignedUrl>,
}

/// What a URL is made of: the object, when it begins and ends, and who may use it.
type Asked = (Key, u64, u64, Option<Ipv4Addr>);

impl CloudFront {
    /// Reads the key. Blocks: for the time of start.
    pub fn open(config: CloudFrontConfig) -> std::result::Result<Self, KeyError> {
        let CloudFrontConfig { base_url, root_directory, private_key, key_pair_id, source_ip } = config;
        let key_pair_id = key_name(key_pair_id, "")?;
        let base = Base::parse(&base_url)?;
        let key = KeyFile::open(private_key, NEEDED, parse)?;
        let remembered = Cache::new(REMEMBERED);
        Ok(Self(Arc::new(Inner { base, root_directory, key_pair_id, source_ip, key, remembered })))
    }
}

impl Inner {
    fn signed(
        &self,
        key: &Key,
        signed_at: SystemTime,
        expires: u64,
        client: Option<Ipv4Addr>,
    ) -> std::result::Result<String, rustls::Error> {
        let resource = self.base.join(&self.root_directory, key);
        let policy = policy(&resource, expires, client);
        let signature = signer(&*self.key.key(signed_at))?.sign(policy.as_bytes())?;
        let (signature, pair) = (encode(&signature), &self.key_pair_id);
        // CloudFront makes the canned policy itself, of the URL and this.
        let terms = match client {
            None => format!("Expires={expires}"),
            Some(_) => format!("Policy={}", encode(policy.as_bytes())),
        };
        Ok(format!("{resource}?{terms}&Signature={signature}&Key-Pair-Id={pair}&Hash-Algorithm=SHA256"))
    }
}

#[async_trait]
impl UrlSigner for CloudFront {
    async fn sign(
        &self,
        key: &Key,
        options: &PresignOptions,
        client: Option<IpAddr>,
    ) -> Result<Option<SignedUrl>> {
        let client = match client.filter(|_| self.0.source_ip).map(seen_outside) {
            Some(Some(client)) => Some(client),
            None if !self.0.source_ip => None,
            _ => return Ok(None),
        };
        let expires_at = options.signed_at + options.expires_in;
        let expires = seconds(expires_at);
        let asked = (key.clone(), seconds(options.signed_at), expires, client);
        if let Some(known) = self.0.remembered.get(&asked) {
            return Ok(Some(known));
        }
        let (inner, object, signed_at) = (Arc::clone(&self.0), key.clone(), options.signed_at);
        let made =
            tokio::task::spawn_blocking(move || inner.signed(&object, signed_at, expires, client)).await;
        let failed = || Error::new("cloudfront", ErrorKind::Backend { retryable: false }).at(key);
        let url = made.map_err(|error| failed().because(error))?.map_err(|error| failed().because(error))?;
        let signed = SignedUrl { url, expires_at };
        self.0.remembered.insert(asked, signed.clone());
        Ok(Some(signed))
    }

    fn longest(&self) -> Duration {
        Duration::MAX
    }
}

/// The address CloudFront sees a client at, where that can be the one we see.
fn seen_outside(client: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V4(client) = client.to_canonical() else { return None };
    // RFC 6598: the addresses of carriers' own networks.
    let is_shared = client.octets()[0] == 100 && client.octets()[1] & 0b1100_0000 == 64;
    let is_inside = client.is_private()
        || client.is_loopback()
        || client.is_link_local()
        || client.is_unspecified()
        || is_shared;
    (!is_inside).then_some(client)
}

/// The statement that is signed. The canned one CloudFront rebuilds from the URL: no space may differ.
fn policy(resource: &str, expires: u64, client: Option<Ipv4Addr>) -> String {
    let address =
        client.map_or_else(String::new, |client| format!(r#","IpAddress":{{"AWS:SourceIp":"{client}/32"}}"#));
    format!(
        r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}{address}}}}}]}}"#
    )
}

/// Base64 with `-`, `~` and `_` for the three characters that would not stand in a URL, as CloudFront has it.
fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "-").replace('/', "~").replace('=', "_")
}

fn signer(key: &dyn SigningKey) -> std::result::Result<Box<dyn Signer>, rustls::Error> {
    key.choose_scheme(SCHEMES).ok_or_else(|| rustls::Error::General("the key signs otherwise".into()))
}

fn parse(pem: &[u8]) -> std::result::Result<Arc<dyn SigningKey>, String> {
    let der = PrivateKeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
    let key = any_supported_type(&der).map_err(|error| error.to_string())?;
    signer(&*key).map_err(|error| error.to_string())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_the_one_that_cloudfront_rebuilds() {
        assert_eq!(
            policy("https://d1.cloudfront.net/a", 1_767_290_400, None),
            r#"{"Statement":[{"Resource":"https://d1.cloudfront.net/a","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}"#
        );
    }

    #[test]
    fn the_encoding_holds_nothing_a_url_would_change() {
        // Standard Base64 of these bytes is `+/+/` and `/w==`; CloudFront wants `-~-~` and `~w__`.
        assert_eq!(encode(&[0xfb, 0xff, 0xbf]), "-~-~");
        assert_eq!(encode(&[0xff]), "~w__");
    }

    #[test]
    fn only_addresses_of_the_internet_are_seen_from_there() {
        let seen = |address: &str| seen_outside(address.parse().unwrap()).map(|seen| seen.to_string());

        for inside in
            ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "2001:db8::1"]
        {
            assert_eq!(seen(inside), None, "{inside}");
        }
        for (address, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("100.128.0.1", "100.128.0.1"),
        ] {
            assert_eq!(seen(address).as_deref(), Some(expected));
        }
    }
}
