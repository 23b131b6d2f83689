//! Signed URLs, version 4 (<https://cloud.google.com/storage/docs/authentication/signatures>).
//!
//! The vendor's own builder signs at the present moment, always; the contract wants the same URL for the
//! same instant from every process, so the text that is signed is made here. What an RSA key or IAM has
//! signed is kept, because each costs a millisecond or a request; an HMAC key costs less than looking.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use entrepot_storage::{Error, ErrorKind, Key, PresignOptions, Result, SignedUrl};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::utf8_percent_encode;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::client::{Client, STRICT, STRICT_PATH, base};
use crate::config::{Config, HmacKey, PUBLIC_ENDPOINT};
use crate::credentials::Signing;
use crate::iam::Iam;
use crate::{NAME, OpenError};

/// The longest a signature of version 4 may last: seven days.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest for IAM's signatures: the keys behind them change, and live twelve hours at least.
const LONGEST_BY_IAM: Duration = Duration::from_secs(12 * 3600);
/// URLs kept; about 1 KiB each.
const KEPT: u64 = 10_000;
/// How many different URLs may be signed at once.
const STRIPES: usize = 64;

/// The longest what is signed this way lasts.
pub(crate) const fn longest(signing: &Signing) -> Duration {
    match signing {
        Signing::Remote(_) => LONGEST_BY_IAM,
        Signing::Hmac(_) | Signing::Rsa { .. } | Signing::Never(_) => LONGEST,
    }
}

type Kept = (Key, u64, u64, Option<String>);

/// Makes signed URLs for one bucket.
pub(crate) struct Presigner {
    /// `https://host`, and what stands in the path before the object's name.
    origin: String,
    /// As Google's vectors sign it: without a port.
    host: String,
    path_prefix: String,
    signed: moka::sync::Cache<Kept, Arc<str>>,
    /// Who asks for a URL that is being signed waits for it instead of signing it again.
    stripes: Vec<Mutex<()>>,
    iam: Iam,
}

impl std::fmt::Debug for Presigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presigner").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The instant of a signature, in the two forms it is written.
struct Instant {
    date: String,
    time: String,
}

/// A request as far as it is signed.
struct Unsigned {
    path: String,
    query: String,
    text: String,
}

impl Presigner {
    pub(crate) fn new(config: &Config) -> std::result::Result<Self, OpenError> {
        let endpoint = config.redirect_endpoint.as_deref().or(config.endpoint.as_deref());
        let endpoint = base(endpoint.unwrap_or(PUBLIC_ENDPOINT))?;
        let uri: http::Uri =
            endpoint.parse().map_err(|_| OpenError::Config(format!("{endpoint:?} is no endpoint")))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(OpenError::Config(format!("{endpoint:?} is no endpoint")));
        };
        let path = uri.path().trim_end_matches('/');
        let bucket = match config.redirect_bucket_bound {
            true => String::new(),
            false => format!("/{}", config.bucket),
        };
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            host: authority.host().to_owned(),
            path_prefix: format!("{path}{bucket}/"),
            signed: moka::sync::Cache::builder().max_capacity(KEPT).time_to_live(LONGEST_BY_IAM).build(),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            iam: Iam::default(),
        })
    }

    /// Forgets that IAM failed a moment ago.
    pub(crate) fn forget_failure(&self) {
        self.iam.wake();
    }

    /// A URL for `key`, or `None` where nothing can sign one, or IAM could not a moment ago.
    pub(crate) async fn sign(
        &self,
        client: &Client,
        key: &Key,
        options: &PresignOptions,
    ) -> Result<Option<SignedUrl>> {
        let signing = &client.identity.signing;
        if matches!(signing, Signing::Never(_)) {
            return Ok(None);
        }
        let failed = |why: &str| {
            Error::new(NAME, ErrorKind::Backend { retryable: false }).because(why.to_owned()).at(key)
        };
        let at = options.signed_at.duration_since(UNIX_EPOCH).map_err(|_| failed("signed before 1970"))?;
        let (at, lasting) = (at.as_secs(), options.expires_in.min(longest(signing)).as_secs());
        if lasting == 0 {
            return Err(failed("a signature has to last a second at least"));
        }
        let url = match signing {
            Signing::Hmac(hmac) => Some(self.sign_by_hmac(client, hmac, key, at, lasting, options)?.into()),
            _ => self.kept_or_signed(client, key, at, lasting, options).await?,
        };
        let expires_at = UNIX_EPOCH + Duration::from_secs(at + lasting);
        Ok(url.map(|url| SignedUrl { url: url.to_string(), expires_at }))
    }

    fn sign_by_hmac(
        &self,
        client: &Client,
        hmac: &HmacKey,
        key: &Key,
        at: u64,
        lasting: u64,
        options: &PresignOptions,
    ) -> Result<String> {
        let instant = instant(at)?;
        let unsigned =
            self.unsigned(client, "GOOG4-HMAC-SHA256", &hmac.access_id, key, &instant, lasting, options);
        let signature = hmac_signature(hmac.secret.reveal(), &instant.date, &unsigned.text)?;
        Ok(self.url(&unsigned, &signature))
    }

    async fn kept_or_signed(
        &self,
        client: &Client,
        key: &Key,
        at: u64,
        lasting: u64,
        options: &PresignOptions,
    ) -> Result<Option<Arc<str>>> {
        let name: Kept = (key.clone(), at, lasting, options.content_type.clone());
        if let Some(url) = self.signed.get(&name) {
            return Ok(Some(url));
        }
        if self.iam.rests() {
            return Ok(None);
        }
        // Held for no longer than IAM is given, so a silent one holds up other keys no longer either.
        let _turn = self.stripes[stripe(&name)].lock().await;
        if let Some(url) = self.signed.get(&name) {
            return Ok(Some(url));
        }
        let instant = instant(at)?;
        let unsigned =
            |email: &str| self.unsigned(client, "GOOG4-RSA-SHA256", email, key, &instant, lasting, options);
        let url: Arc<str> = match &client.identity.signing {
            Signing::Rsa { email, key } => {
                let unsigned = unsigned(email);
                self.url(&unsigned, &rsa_signature(key, &unsigned.text)?).into()
            }
            Signing::Remote(_) if !self.iam.takes() => return Ok(None),
            Signing::Remote(signer) => {
                let signed = async {
                    let unsigned = unsigned(&signer.client_email().await?);
                    Ok(self.url(&unsigned, &signer.sign(unsigned.text.as_bytes()).await?))
                };
                self.iam.ask(signed).await.map_err(|error| error.at(key))?.into()
            }
            Signing::Hmac(_) | Signing::Never(_) => return Ok(None),
        };
        self.signed.insert(name, Arc::clone(&url));
        Ok(Some(url))
    }

    #[expect(clippy::too_many_arguments, reason = "each is a field of the text that is signed")]
    fn unsigned(
        &self,
        client: &Client,
        algorithm: &str,
        signer: &str,
        key: &Key,
        instant: &Instant,
        lasting: u64,
        options: &PresignOptions,
    ) -> Unsigned {
        let path = format!("{}{}", self.path_prefix, utf8_percent_encode(&client.name_of(key), STRICT_PATH));
        let scope = format!("{}/auto/storage/goog4_request", instant.date);
        let credential = format!("{signer}/{scope}");
        // In the order of their names, as they have to be signed.
        let mut query = format!(
            "X-Goog-Algorithm={algorithm}&X-Goog-Credential={}&X-Goog-Date={}&X-Goog-Expires={lasting}\
             &X-Goog-SignedHeaders=host",
            utf8_percent_encode(&credential, STRICT),
            instant.time
        );
        if let Some(content_type) = &options.content_type {
            let content_type = utf8_percent_encode(content_type, STRICT);
            query.push_str(&format!("&response-content-type={content_type}"));
        }
        // `Range` and all other headers stay unsigned: clients choose them.
        let request = format!("GET\n{path}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", self.host);
        let digest = hex(&Sha256::digest(request.as_bytes()));
        let text = format!("{algorithm}\n{}\n{scope}\n{digest}", instant.time);
        Unsigned { path, query, text }
    }

    fn url(&self, unsigned: &Unsigned, signature: &[u8]) -> String {
        let Unsigned { path, query, .. } = unsigned;
        format!("{}{path}?{query}&X-Goog-Signature={}", self.origin, hex(signature))
    }
}

fn stripe(name: &Kept) -> usize {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    (hasher.hash_one(name) % STRIPES as u64) as usize
}

fn instant(at: u64) -> Result<Instant> {
    let seconds = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    let Some(time) = seconds else {
        return Err(Error::new(NAME, ErrorKind::Backend { retryable: false }).because("no such time"));
    };
    Ok(Instant {
        date: time.strftime("%Y%m%d").to_string(),
        time: time.strftime("%Y%m%dT%H%M%SZ").to_string(),
    })
}

fn rsa_signature(key: &KeyPair, text: &str) -> Result<Vec<u8>> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| unsigned_error("the key does not sign"))?;
    Ok(signature)
}

fn unsigned_error(why: impl ToString) -> Error {
    let why = format!("no signature: {}", why.to_string());
    Error::new(NAME, ErrorKind::Backend { retryable: false }).because(why)
}

/// <https://cloud.google.com/storage/docs/authentication/signatures#derive-key>
pub(crate) fn hmac_signature(secret: &str, date: &str, text: &str) -> Result<Vec<u8>> {
    let steps = [date, "auto", "storage", "goog4_request", text];
    steps.iter().try_fold(format!("GOOG4{secret}").into_bytes(), |key, step| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(unsigned_error)?;
        mac.update(step.as_bytes());
        Ok(mac.finalize().into_bytes().to_vec())
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(all(test, feature = "fake"))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use entrepot_storage::decorate::{Retry, RetryPolicy};
    use entrepot_storage::{Inspection, Severity, StorageDriver};
    use google_cloud_auth::signer::{Signer, SigningError, SigningProvider};
    use serde::Deserialize;
    use tokio::time::Instant;

    use super::*;
    use crate::GcsDriver;
    use crate::config::{CredentialSource, Secret};
    use crate::fake::{Options, SERVICE_ACCOUNT, Server};
    use crate::iam::{PATIENCE, REST};

    /// Of <https://github.com/googleapis/conformance-tests>: those that sign a GET and no header but `host`.
    const VECTORS: &str = include_str!("fake/vectors.json");

    #[derive(Deserialize)]
    struct Vector {
        description: String,
        bucket: String,
        object: Key,
        signed_at: u64,
        expires_in: u64,
        endpoint: Option<String>,
        bucket_bound: bool,
        url: String,
    }

    fn config(bucket: &str) -> Config {
        let mut config = Config::new(bucket);
        config.credentials = CredentialSource::Key(Secret::new(SERVICE_ACCOUNT));
        config
    }

    fn options(at: u64, lasting: u64) -> PresignOptions {
        PresignOptions {
            signed_at: UNIX_EPOCH + Duration::from_secs(at),
            expires_in: Duration::from_secs(lasting),
            content_type: None,
        }
    }

    #[tokio::test]
    async fn urls_are_those_of_the_published_vectors() {
        let vectors: Vec<Vector> = serde_json::from_str(VECTORS).expect("they can be read");
        assert_eq!(vectors.len(), 5);
        for vector in vectors {
            let mut config = config(&vector.bucket);
            config.redirect_endpoint = vector.endpoint;
            config.redirect_bucket_bound = vector.bucket_bound;
            let (client, presigner) =
                (Client::open(&config).await.unwrap(), Presigner::new(&config).unwrap());

            let options = options(vector.signed_at, vector.expires_in);
            let signed = presigner.sign(&client, &vector.object, &options).await.unwrap().unwrap();

            assert_eq!(signed.url, vector.url, "{}", vector.description);
            let end = vector.signed_at + vector.expires_in;
            assert_eq!(signed.expires_at, UNIX_EPOCH + Duration::from_secs(end));
        }
    }

    /// IAM, as far as a signature goes: slow, counted, and unwilling where it is told to be.
    #[derive(Clone, Debug, Default)]
    struct FakeIam {
        asked: Arc<AtomicUsize>,
        mood: Arc<std::sync::Mutex<Mood>>,
    }

    #[derive(Clone, Copy, Debug, Default)]
    enum Mood {
        #[default]
        Signs,
        Refuses,
        Hangs,
    }

    impl SigningProvider for FakeIam {
        async fn client_email(&self) -> google_cloud_auth::signer::Result<String> {
            Ok("robot@project.iam.gserviceaccount.com".into())
        }

        async fn sign(&self, content: &[u8]) -> google_cloud_auth::signer::Result<bytes::Bytes> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let mood = *self.mood.lock().expect("nobody panics");
            match mood {
                Mood::Signs => Ok(Sha256::digest(content).to_vec().into()),
                Mood::Refuses => Err(SigningError::from_msg("403 IAM_PERMISSION_DENIED")),
                Mood::Hangs => std::future::pending().await,
            }
        }
    }

    impl FakeIam {
        fn becomes(&self, mood: Mood) {
            *self.mood.lock().expect("nobody panics") = mood;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    /// A bucket whose URLs are signed by an IAM in this mood.
    struct Signed {
        iam: FakeIam,
        driver: GcsDriver,
        options: PresignOptions,
    }

    impl Signed {
        async fn by(mood: Mood) -> Self {
            Self::on(config("images"), mood).await
        }

        async fn on(config: Config, mood: Mood) -> Self {
            let iam = FakeIam::default();
            iam.becomes(mood);
            let mut driver = GcsDriver::open(config).await.expect("the settings make sense");
            let client = Arc::get_mut(&mut driver.client).expect("nobody else has it yet");
            client.identity.signing = Signing::Remote(Signer::from(iam.clone()));
            Self { iam, driver, options: options(1_800_000_000, 7 * 24 * 3600) }
        }

        async fn url(&self, key: &str) -> Result<Option<SignedUrl>> {
            self.driver.presign_get(&key.parse().expect("it is a key"), &self.options).await
        }
    }

    #[tokio::test]
    async fn iam_is_asked_once_for_a_url_and_again_for_another() {
        let signed = Signed::by(Mood::Signs).await;

        let asked = (0..20).map(|_| signed.url("data/a"));
        let urls: Vec<_> = futures_util::future::join_all(asked)
            .await
            .into_iter()
            .map(|url| url.unwrap().unwrap())
            .collect();

        assert!(urls.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(signed.iam.asked(), 1);
        assert_eq!(urls[0].expires_at, signed.options.signed_at + LONGEST_BY_IAM);
        signed.url("data/b").await.unwrap();
        assert_eq!(signed.iam.asked(), 2);
    }

    /// Each pull asked three times, and the retries were those the store's own calls need.
    #[tokio::test(start_paused = true)]
    async fn an_iam_that_refuses_is_asked_once_in_half_a_minute() {
        let signed = Signed::by(Mood::Refuses).await;
        let retried = Retry::new(Arc::new(signed.driver.clone()), RetryPolicy::default());
        let url = async |key: &str| retried.presign_get(&key.parse::<Key>().unwrap(), &signed.options).await;

        let first = url("data/a").await.unwrap_err();
        let rest = [url("data/a").await.unwrap(), url("data/b").await.unwrap()];

        assert_eq!(first.kind(), ErrorKind::Backend { retryable: false });
        assert!(first.to_string().contains("IAM_PERMISSION_DENIED"), "{first}");
        assert_eq!(rest, [None, None]);
        assert_eq!(signed.iam.asked(), 1);
        signed.iam.becomes(Mood::Signs);
        tokio::time::advance(REST).await;
        assert!(url("data/b").await.unwrap().is_some(), "it is asked again in time");
        assert!(url("data/a").await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_iam_is_waited_for_once_and_by_nobody_afterwards() {
        let signed = Signed::by(Mood::Hangs).await;
        // More keys than stripes: some wait for another's turn.
        let keys: Vec<String> = (0..3 * STRIPES).map(|number| format!("data/{number}")).collect();
        let began = Instant::now();

        let urls = futures_util::future::join_all(keys.iter().map(|key| signed.url(key))).await;

        assert_eq!(began.elapsed(), PATIENCE);
        assert!(urls.iter().all(|url| url.as_ref().map_or(true, Option::is_none)));
        assert!(signed.iam.asked() <= STRIPES, "{}", signed.iam.asked());
        assert_eq!(signed.url("data/new").await.unwrap(), None);
        assert_eq!(began.elapsed(), PATIENCE, "nobody waits again");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_finds_out_whether_it_is_over() {
        let signed = Signed::by(Mood::Hangs).await;
        signed.url("data/a").await.unwrap_err();
        tokio::time::advance(REST).await;
        let asked = signed.iam.asked();

        let urls = futures_util::future::join_all(
            ["data/a", "data/a", "data/b", "data/c"].map(|key| signed.url(key)),
        )
        .await;

        assert_eq!(signed.iam.asked(), asked + 1);
        assert_eq!(urls.iter().filter(|url| url.is_err()).count(), 1);
    }

    #[tokio::test]
    async fn a_url_that_is_kept_is_told_while_iam_refuses() {
        let signed = Signed::by(Mood::Signs).await;
        let kept = signed.url("data/a").await.unwrap();
        signed.iam.becomes(Mood::Refuses);
        signed.url("data/b").await.unwrap_err();

        assert_eq!(signed.url("data/a").await.unwrap(), kept);
        assert_eq!(signed.url("data/b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_inspection_asks_iam_whatever_happened_before() {
        let server = Server::start(Options::new("images")).unwrap();
        let signed = Signed::on(server.config(), Mood::Refuses).await;
        signed.url("data/a").await.unwrap_err();

        let findings = signed.driver.inspect(Inspection { writes: false, redirects: true }).await;

        let told = findings.iter().find(|finding| finding.subject == "signed URLs").unwrap();
        assert_eq!(told.severity, Severity::Fault, "{told:?}");
        assert_eq!(signed.iam.asked(), 2);
    }
}
