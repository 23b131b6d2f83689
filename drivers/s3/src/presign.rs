//! URLs signed here: AWS Signature Version 4 in the query, for `GET` and the header `host` only.
//!
//! By hand, because the SDK takes sixty microseconds for what is two hashes when the day's key is kept. The
//! tests compare with the SDK's own signer, byte for byte.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sdk_s3::config::endpoint::Endpoint;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use entrepot_storage::{Error, ErrorKind, Key, PresignOptions, Result, SignedUrl};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::NAME;
use crate::client::Client;
use crate::config::OpenError;
use crate::credentials::CachedCredentials;
use crate::error::broken;

/// All but what RFC 3986 calls unreserved, as the signature wants it.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');
/// Longer lifetimes are refused by the store.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Signs URLs of one bucket.
pub(crate) struct Signer {
    /// `https://host`
    origin: String,
    host: String,
    /// The encoded path of the bucket, without a slash at its end.
    base_path: String,
    region: String,
    credentials: Arc<CachedCredentials>,
    /// The key of the last day and identity asked for.
    day: RwLock<Option<Arc<DayKey>>>,
}

/// What stays the same for all URLs of one day and one identity.
struct DayKey {
    date: String,
    access_key: String,
    session_token: Option<String>,
    key: [u8; 32],
    scope: String,
    credential_parameter: String,
    token_parameter: String,
}

impl Signer {
    /// A signer for the bucket at `base`.
    pub(crate) fn new(
        base: &Endpoint,
        region: &str,
        credentials: Arc<CachedCredentials>,
    ) -> std::result::Result<Self, OpenError> {
        let url = base.url();
        let refuse = || OpenError::Endpoint(format!("{url} has no scheme and host"));
        let (scheme, rest) = url.split_once("://").ok_or_else(refuse)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        // Clients leave the usual port out of `Host`, which is signed.
        let host = authority.strip_suffix(default_port).unwrap_or(authority);
        if host.is_empty() {
            return Err(refuse());
        }
        let path = path.trim_matches('/');
        Ok(Self {
            origin: format!("{scheme}://{host}"),
            host: host.to_owned(),
            base_path: if path.is_empty() { String::new() } else { format!("/{path}") },
            region: signing_region(base).unwrap_or_else(|| region.to_owned()),
            credentials,
            day: RwLock::default(),
        })
    }

    async fn url(&self, path: &str, options: &PresignOptions) -> Result<SignedUrl> {
        let credentials = self.credentials.get().await.map_err(|error| {
            let kind = ErrorKind::Backend { retryable: true };
            Error::new(NAME, kind).because(crate::error::chain(&error))
        })?;
        let (seconds, lifetime) = lifetime(options, credentials.expiry())?;
        let signed_at = DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let instant = compact(&signed_at)?;
        let day = self.day_key(&credentials, &instant[..8]);
        let url = self.sign(&day, path, &instant, lifetime, options.content_type.as_deref());
        let expires_at = UNIX_EPOCH + Duration::from_secs(seconds + lifetime);
        Ok(SignedUrl { url, expires_at })
    }

    fn sign(
        &self,
        day: &DayKey,
        path: &str,
        instant: &str,
        lifetime: u64,
        content_type: Option<&str>,
    ) -> String {
        let mut url = String::with_capacity(1024 + day.token_parameter.len());
        let _ = write!(url, "{}{}/{}", self.origin, self.base_path, utf8_percent_encode(path, PATH));
        let path_end = url.len();
        // In order of their names, as the canonical form wants them.
        let _ = write!(
            url,
            "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={instant}&X-Amz-Expires={lifetime}{}&X-Amz-SignedHeaders=host",
            day.credential_parameter, day.token_parameter
        );
        if let Some(content_type) = content_type {
            let _ = write!(url, "&response-content-type={}", utf8_percent_encode(content_type, QUERY));
        }
        let canonical = Sha256::new()
            .chain_update("GET\n")
            .chain_update(&url[self.origin.len()..path_end])
            .chain_update("\n")
            .chain_update(&url[path_end + 1..])
            .chain_update("\nhost:")
            .chain_update(&self.host)
            .chain_update("\n\nhost\nUNSIGNED-PAYLOAD")
            .finalize();
        let mut text = String::with_capacity(200);
        let _ = write!(text, "AWS4-HMAC-SHA256\n{instant}\n{}\n", day.scope);
        push_hex(&mut text, &canonical);
        url.push_str("&X-Amz-Signature=");
        push_hex(&mut url, &authenticate(&day.key, text.as_bytes()));
        url
    }

    fn day_key(&self, credentials: &Credentials, date: &str) -> Arc<DayKey> {
        let known = self.day.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.is_of(credentials, date)) {
            return known;
        }
        let fresh = Arc::new(DayKey::new(credentials, date, &self.region));
        *self.day.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&fresh));
        fresh
    }
}

impl DayKey {
    fn new(credentials: &Credentials, date: &str, region: &str) -> Self {
        let secret = format!("AWS4{}", credentials.secret_access_key());
        let words = [date, region, "s3", "aws4_request"];
        let first = authenticate(secret.as_bytes(), words[0].as_bytes());
        let key = words[1..].iter().fold(first, |key, word| authenticate(&key, word.as_bytes()));
        let scope = words.join("/");
        let credential = format!("{}/{scope}", credentials.access_key_id());
        let token = credentials.session_token();
        let token_parameter =
            token.map(|token| format!("&X-Amz-Security-Token={}", utf8_percent_encode(token, QUERY)));
        Self {
            date: date.to_owned(),
            access_key: credentials.access_key_id().to_owned(),
            session_token: token.map(str::to_owned),
            key,
            scope,
            credential_parameter: utf8_percent_encode(&credential, QUERY).to_string(),
            token_parameter: token_parameter.unwrap_or_default(),
        }
    }

    fn is_of(&self, credentials: &Credentials, date: &str) -> bool {
        self.date == date
            && self.access_key == credentials.access_key_id()
            && self.session_token.as_deref() == credentials.session_token()
    }
}

/// The second the signature names, and for how many it is good: no longer than the credentials live.
fn lifetime(options: &PresignOptions, credentials_end: Option<SystemTime>) -> Result<(u64, u64)> {
    let whole_seconds = |instant: SystemTime| {
        instant
            .duration_since(UNIX_EPOCH)
            .map(|since| since.as_secs())
            .map_err(|error| broken(error.to_string(), None))
    };
    let start = whole_seconds(options.signed_at)?;
    let asked = options.expires_in.min(LONGEST).as_secs();
    let allowed = match credentials_end {
        Some(end) => whole_seconds(end)?.saturating_sub(start),
        None => asked,
    };
    match asked.min(allowed) {
        0 => Err(broken("the URL would be good for less than a second", None)),
        lifetime => Ok((start, lifetime)),
    }
}

/// `20260131T235959Z`
fn compact(instant: &DateTime) -> Result<String> {
    let text = instant.fmt(DateTimeFormat::DateTime).map_err(|error| broken(error.to_string(), None))?;
    Ok(text.chars().filter(|character| !matches!(character, '-' | ':')).collect())
}

/// The region the endpoint wants in the signature, where it names one.
fn signing_region(base: &Endpoint) -> Option<String> {
    let region = base.auth_schemes().first()?.get("signingRegion")?;
    region.as_string().map(str::to_owned)
}

fn authenticate(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

impl Client {
    pub(crate) async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        if !self.capabilities.presign {
            return Ok(None);
        }
        self.signer.url(&self.path(key), options).await.map(Some).map_err(|error| error.at(key))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
        SigningSettings, UriPathNormalizationMode, sign,
    };
    use aws_sigv4::sign::v4;

    use super::*;

    fn signer(url: &str, credentials: &Credentials) -> Signer {
        let provider = SharedCredentialsProvider::new(credentials.clone());
        let cached = Arc::new(CachedCredentials::new(provider, Duration::from_secs(1)));
        Signer::new(&Endpoint::builder().url(url.to_owned()).build(), "eu-central-1", cached).unwrap()
    }

    fn credentials(token: Option<&str>, expiry: Option<SystemTime>) -> Credentials {
        Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            token.map(str::to_owned),
            expiry,
            "test",
        )
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn options(seconds: u64, content_type: Option<&str>) -> PresignOptions {
        PresignOptions {
            signed_at: at(seconds),
            expires_in: Duration::from_secs(1200),
            content_type: content_type.map(str::to_owned),
        }
    }

    /// The signature the SDK's own signer gives the same URL.
    fn signature_by_the_sdk(url: &str, credentials: &Credentials, options: &PresignOptions) -> String {
        let (path, query) = url.split_once('?').unwrap();
        let content_type = query.split('&').find(|pair| pair.starts_with("response-content-type="));
        let unsigned = content_type.map_or(path.to_owned(), |pair| format!("{path}?{pair}"));
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(options.expires_in);
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name("s3")
            .time(options.signed_at)
            .settings(settings)
            .build()
            .unwrap();
        let body = SignableBody::UnsignedPayload;
        let request = SignableRequest::new("GET", unsigned, std::iter::empty(), body).unwrap();
        sign(request, &params.into()).unwrap().signature().to_owned()
    }

    #[tokio::test]
    async fn the_signature_is_the_one_the_sdk_makes() {
        let far = at(4_000_000_000);
        for base in ["https://bucket.s3.eu-central-1.amazonaws.com", "http://127.0.0.1:9000/bucket"] {
            for token in [None, Some("a+token/with=everything")] {
                for content_type in [None, Some("application/x-tar+gzip; x=\"y z\"")] {
                    for path in ["data/ab/0190.sha256.00", "root/a!b+c=d/(e),f~%25@:&$"] {
                        let credentials = credentials(token, Some(far));
                        let options = options(1_900_000_000, content_type);

                        let url = signer(base, &credentials).url(path, &options).await.unwrap().url;

                        let (_, signature) = url.split_once("&X-Amz-Signature=").unwrap();
                        assert_eq!(signature, signature_by_the_sdk(&url, &credentials, &options), "{url}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn the_key_of_a_day_is_not_used_on_another() {
        let credentials = credentials(None, None);
        let signer = signer("https://host/bucket", &credentials);

        for seconds in [1_900_000_000, 1_900_086_400, 1_900_000_000] {
            let options = options(seconds, None);
            let url = signer.url("a", &options).await.unwrap().url;
            assert!(url.ends_with(&signature_by_the_sdk(&url, &credentials, &options)), "{url}");
        }
    }

    #[tokio::test]
    async fn a_url_does_not_outlive_its_credentials_nor_a_week() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let brief = credentials(Some("token"), Some(at(now + 900)));
        let week = PresignOptions { expires_in: Duration::from_secs(30 * 24 * 3600), ..options(now, None) };

        let clamped = signer("https://host/b", &brief).url("a", &options(now, None)).await.unwrap();
        let longest = signer("https://host/b", &credentials(None, None)).url("a", &week).await.unwrap();

        assert_eq!(clamped.expires_at, at(now + 900));
        assert!(clamped.url.contains("X-Amz-Expires=900&"));
        assert_eq!(longest.expires_at, at(now + 604_800));
    }

    #[test]
    fn the_usual_port_is_left_out_of_the_host() {
        let made = signer("https://store.example:443/bucket/", &credentials(None, None));

        assert_eq!((made.origin.as_str(), made.host.as_str()), ("https://store.example", "store.example"));
        assert_eq!(made.base_path, "/bucket");
    }

    /// Not a check: prints what one URL costs. `cargo test --release -- --ignored --nocapture cost`
    #[tokio::test]
    #[ignore = "a measurement"]
    async fn cost_of_a_url() {
        let signer = signer("https://host/bucket", &credentials(Some(&"t".repeat(800)), None));
        let options = options(1_900_000_000, Some("application/octet-stream"));
        let start = Instant::now();
        for _ in 0..100_000 {
            signer.url("data/ab/0190b1c4.sha256.0123456789abcdef", &options).await.unwrap();
        }
        println!("{:?} per URL", start.elapsed() / 100_000);
    }
}
