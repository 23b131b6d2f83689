//! Signed URLs, version 4 (<https://cloud.google.com/storage/docs/authentication/signatures>).
//!
//! The vendor's own builder signs at the present moment, always; the contract wants the same URL for the
//! same instant from every process, so the text that is signed is made here. What an RSA key or IAM has
//! signed is kept, because each costs a millisecond or a request; an HMAC key costs less than looking.
//!
//! Callers sign for the beginning of a span of half a URL's life, so at the end of one every object would wait
//! for IAM. Whoever is given a URL therefore has that of the next span signed, beside its pull. The URL of the
//! last span would not do: less than half of its life is left then.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use entrepot_storage::{Error, ErrorKind, Key, PresignOptions, Result, SignedUrl};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::utf8_percent_encode;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Semaphore};

use crate::client::{Client, STRICT, STRICT_PATH, base};
use crate::config::{Config, HmacKey, PUBLIC_ENDPOINT};
use crate::credentials::Signing;
use crate::iam::Iam;
use crate::kept::{Kept, Purpose, Urls};
use crate::{NAME, OpenError};

/// The longest a signature of version 4 may last: seven days.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest for IAM's signatures: the keys behind them change, and live twelve hours at least.
const LONGEST_BY_IAM: Duration = Duration::from_secs(12 * 3600);
/// Of how many objects URLs are kept, that of the present span and of the next. One that is asked for with two
/// lifetimes or content types counts twice.
const KEPT: u64 = 10_000;
/// How many different URLs may be signed at once.
const STRIPES: usize = 64;
/// How many are signed ahead at once. Nobody waits for them.
const AHEAD: usize = 16;
/// How many may wait for that, those being signed among them. The others are signed ahead by a later pull, if one
/// comes in time.
const QUEUE: usize = 1000;

/// The longest what is signed this way lasts.
pub(crate) const fn longest(signing: &Signing) -> Duration {
    match signing {
        Signing::Remote(_) => LONGEST_BY_IAM,
        Signing::Hmac(_) | Signing::Rsa { .. } | Signing::Never(_) => LONGEST,
    }
}

/// Makes signed URLs for one bucket.
pub(crate) struct Presigner {
    /// `https://host`, and what stands in the path before the object's name.
    origin: String,
    /// As Google's vectors sign it: without a port.
    host: String,
    path_prefix: String,
    kept: Kept,
    /// Who asks for a URL that is being signed waits for it instead of signing it again.
    stripes: Vec<Mutex<()>>,
    ahead: Semaphore,
    queue: Arc<Semaphore>,
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

/// A URL that is wanted.
struct Wanted {
    purpose: Purpose,
    /// The instant it is signed for, in seconds since 1970.
    at: u64,
}

impl Wanted {
    /// What will be wanted when the span is over that began at this one's instant. `None` where it would be
    /// signed so early that IAM's key may be gone before it ends.
    fn next(&self) -> Option<Self> {
        let span = (self.purpose.lasting / 2).max(1);
        let is_safe = self.purpose.lasting + span <= LONGEST_BY_IAM.as_secs();
        is_safe.then(|| Self { purpose: self.purpose.clone(), at: self.at + span })
    }
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
            kept: Kept::new(KEPT),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            ahead: Semaphore::new(AHEAD),
            queue: Arc::new(Semaphore::new(QUEUE)),
            iam: Iam::default(),
        })
    }

    /// Forgets that IAM failed a moment ago.
    pub(crate) fn forget_failure(&self) {
        self.iam.wake();
    }

    /// A URL for `key`, or `None` where nothing can sign one, or IAM could not a moment ago.
    pub(crate) async fn sign(
        self: &Arc<Self>,
        client: &Arc<Client>,
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
        let purpose = Purpose { key: key.clone(), lasting, content_type: options.content_type.clone() };
        let wanted = Wanted { purpose, at };
        let url = match signing {
            Signing::Hmac(hmac) => Some(self.sign_by_hmac(client, hmac, &wanted)?.into()),
            _ => self.kept_or_signed(client, &wanted).await?,
        };
        let expires_at = UNIX_EPOCH + Duration::from_secs(at + lasting);
        Ok(url.map(|url| SignedUrl { url: url.to_string(), expires_at }))
    }

    fn sign_by_hmac(&self, client: &Client, hmac: &HmacKey, wanted: &Wanted) -> Result<String> {
        let instant = instant(wanted.at)?;
        let unsigned = self.unsigned(client, "GOOG4-HMAC-SHA256", &hmac.access_id, &instant, &wanted.purpose);
        let signature = hmac_signature(hmac.secret.reveal(), &instant.date, &unsigned.text)?;
        Ok(self.url(&unsigned, &signature))
    }

    async fn kept_or_signed(
        self: &Arc<Self>,
        client: &Arc<Client>,
        wanted: &Wanted,
    ) -> Result<Option<Arc<str>>> {
        let url = match self.kept.at(&wanted.purpose, wanted.at) {
            None => self.signed_in_turn(client, wanted).await?,
            kept => kept,
        };
        if url.is_some() && matches!(client.identity.signing, Signing::Remote(_)) {
            self.sign_ahead(client, wanted, self.kept.of(&wanted.purpose));
        }
        Ok(url)
    }

    async fn signed_in_turn(&self, client: &Client, wanted: &Wanted) -> Result<Option<Arc<str>>> {
        if self.iam.rests() {
            return Ok(None);
        }
        // Held for no longer than IAM is given, so a silent one holds up other keys no longer either.
        let _turn = self.stripes[stripe(wanted)].lock().await;
        if let Some(url) = self.kept.at(&wanted.purpose, wanted.at) {
            return Ok(Some(url));
        }
        let url = self.made(client, wanted).await?;
        if let Some(url) = &url {
            self.kept.of(&wanted.purpose).keep(wanted.at, Arc::clone(url));
        }
        Ok(url)
    }

    /// Has IAM sign what will be wanted in the next span. Whether it does is found out here too, so that not
    /// a pull has to.
    fn sign_ahead(self: &Arc<Self>, client: &Arc<Client>, present: &Wanted, urls: Arc<Urls>) {
        let Some(next) = present.next().filter(|next| urls.claim(next.at)) else { return };
        let waiting = match Arc::clone(&self.queue).try_acquire_owned() {
            Ok(waiting) if !self.iam.rests() => waiting,
            _ => return urls.release(next.at),
        };
        let (this, client) = (Arc::clone(self), Arc::clone(client));
        tokio::spawn(async move {
            let _waiting = waiting;
            let _place = this.ahead.acquire().await;
            // The span may have begun meanwhile, or be over.
            if urls.is_claimed(next.at)
                && let Ok(Some(url)) = this.made(&client, &next).await
            {
                urls.keep_claimed(next.at, url);
            }
            urls.release(next.at);
        });
    }

    /// A new URL by the account's own key or by IAM.
    async fn made(&self, client: &Client, wanted: &Wanted) -> Result<Option<Arc<str>>> {
        let (purpose, instant) = (&wanted.purpose, instant(wanted.at)?);
        let unsigned = |email: &str| self.unsigned(client, "GOOG4-RSA-SHA256", email, &instant, purpose);
        match &client.identity.signing {
            Signing::Rsa { email, key } => {
                let unsigned = unsigned(email);
                Ok(Some(self.url(&unsigned, &rsa_signature(key, &unsigned.text)?).into()))
            }
            Signing::Remote(_) if !self.iam.takes() => Ok(None),
            Signing::Remote(signer) => {
                let signed = async {
                    let unsigned = unsigned(&signer.client_email().await?);
                    Ok(self.url(&unsigned, &signer.sign(unsigned.text.as_bytes()).await?))
                };
                let url = self.iam.ask(signed).await.map_err(|error| error.at(&purpose.key))?;
                Ok(Some(url.into()))
            }
            Signing::Hmac(_) | Signing::Never(_) => Ok(None),
        }
    }

    fn unsigned(
        &self,
        client: &Client,
        algorithm: &str,
        signer: &str,
        instant: &Instant,
        purpose: &Purpose,
    ) -> Unsigned {
        let Purpose { key, lasting, content_type } = purpose;
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
        if let Some(content_type) = content_type {
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

fn stripe(wanted: &Wanted) -> usize {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    (hasher.hash_one(&wanted.purpose) % STRIPES as u64) as usize
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
                (Arc::new(Client::open(&config).await.unwrap()), Arc::new(Presigner::new(&config).unwrap()));

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
        /// Signs after this time.
        Slow(Duration),
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
            if let Mood::Slow(pause) = mood {
                tokio::time::sleep(pause).await;
            }
            match mood {
                Mood::Signs | Mood::Slow(_) => Ok(Sha256::digest(content).to_vec().into()),
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

    /// Lets what was begun beside the pulls come to its end.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    impl Signed {
        /// The URL of the span that begins at `at` with a life of 20 minutes, and how long it took.
        async fn url_of(&self, key: &str, at: u64) -> (Result<Option<SignedUrl>>, Duration) {
            let (key, began) = (key.parse().expect("it is a key"), Instant::now());
            let url = self.driver.presign_get(&key, &options(at, 1200)).await;
            (url, began.elapsed())
        }
    }

    const SPAN: u64 = 600;
    const FIRST: u64 = 1_800_000_000;

    /// When a span began every object waited for IAM.
    #[tokio::test(start_paused = true)]
    async fn only_the_first_pull_of_an_object_waits_for_iam() {
        let signed = Signed::by(Mood::Signs).await;

        for span in 0..5 {
            let at = FIRST + span * SPAN;
            let (url, took) = signed.url_of("data/a", at).await;

            let url = url.unwrap().unwrap();
            assert_eq!(took, Duration::ZERO);
            assert!(url.url.contains(&instant(at).unwrap().time), "{span}: the URL of another span");
            assert_eq!(url.expires_at, UNIX_EPOCH + Duration::from_secs(at + 1200));
            signed.iam.becomes(Mood::Signs);
            settle().await;
            signed.iam.becomes(Mood::Hangs);
        }
        assert_eq!(signed.iam.asked(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_pulls_one_has_the_next_url_signed() {
        let signed = Signed::by(Mood::Signs).await;

        futures_util::future::join_all((0..100).map(|_| signed.url_of("data/a", FIRST))).await;
        settle().await;
        futures_util::future::join_all((0..100).map(|_| signed.url_of("data/a", FIRST))).await;
        settle().await;

        assert_eq!(signed.iam.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn urls_of_different_lives_are_each_as_long_as_asked() {
        let signed = Signed::by(Mood::Signs).await;
        let key: Key = "data/a".parse().unwrap();

        for (at, lasting) in [(FIRST, 1200), (FIRST, 300), (FIRST + 150, 300), (FIRST + SPAN, 1200)] {
            let url = signed.driver.presign_get(&key, &options(at, lasting)).await.unwrap().unwrap();
            settle().await;

            assert_eq!(url.expires_at, UNIX_EPOCH + Duration::from_secs(at + lasting));
            assert!(url.url.contains(&format!("X-Goog-Expires={lasting}&")), "{lasting}");
        }
        assert_eq!(signed.iam.asked(), 6, "two were waited for, four were signed ahead");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ahead_is_remembered_and_costs_no_pull_its_url() {
        let signed = Signed::by(Mood::Signs).await;
        let first = signed.url_of("data/a", FIRST).await.0.unwrap();
        signed.iam.becomes(Mood::Refuses);
        settle().await;

        let (again, _) = signed.url_of("data/a", FIRST).await;
        let (other, took) = signed.url_of("data/b", FIRST).await;
        settle().await;

        assert_eq!((again.unwrap(), other.unwrap()), (first, None));
        assert_eq!((signed.iam.asked(), took), (2, Duration::ZERO));
        signed.iam.becomes(Mood::Signs);
        tokio::time::advance(REST).await;
        signed.url_of("data/a", FIRST).await.0.unwrap();
        settle().await;
        signed.iam.becomes(Mood::Hangs);
        let (next, took) = signed.url_of("data/a", FIRST + SPAN).await;
        assert!(next.unwrap().is_some(), "it was signed ahead when the refusal was over");
        assert_eq!(took, Duration::ZERO);
    }

    impl Signed {
        /// Pulls so many objects, while IAM is in this mood for all that is signed ahead.
        async fn pulled(&self, objects: usize, ahead: Mood) {
            for number in 0..objects {
                self.iam.becomes(Mood::Signs);
                self.url_of(&format!("data/{number}"), FIRST).await.0.expect("IAM signs");
                self.iam.becomes(ahead);
                settle().await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_iam_ahead_holds_up_no_pull() {
        let (signed, objects) = (Signed::by(Mood::Signs).await, 3 * AHEAD);
        signed.pulled(objects, Mood::Hangs).await;

        let (kept, took) = signed.url_of("data/1", FIRST).await;

        assert!(kept.unwrap().is_some());
        assert_eq!((signed.iam.asked(), took), (objects + AHEAD, Duration::ZERO));
        tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
        assert_eq!(signed.iam.asked(), objects + AHEAD, "those who queued do not ask an IAM that is silent");
    }

    const SLOW: Mood = Mood::Slow(Duration::from_secs(2));

    /// What had waited for a place was signed for a span that was over, and its URL pushed out that of the present.
    #[tokio::test(start_paused = true)]
    async fn what_is_still_queued_when_its_span_is_over_is_not_signed() {
        let signed = Signed::by(Mood::Signs).await;
        signed.pulled(AHEAD + 1, SLOW).await;
        let last = format!("data/{AHEAD}");
        signed.iam.becomes(Mood::Signs);
        signed.url_of(&last, FIRST + 2 * SPAN).await.0.unwrap();
        let asked = signed.iam.asked();

        tokio::time::sleep(PATIENCE).await;

        assert_eq!(asked, AHEAD + 1 + AHEAD + 1);
        assert_eq!(signed.iam.asked(), asked + 1, "the next span's URL alone");
        signed.iam.becomes(Mood::Hangs);
        for at in [FIRST + 2 * SPAN, FIRST + 3 * SPAN] {
            let (url, took) = signed.url_of(&last, at).await;
            assert!(url.unwrap().is_some() && took == Duration::ZERO, "{at}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_url_that_is_signed_too_late_pushes_out_none() {
        let signed = Signed::by(Mood::Signs).await;
        signed.pulled(1, SLOW).await;
        signed.iam.becomes(Mood::Signs);
        signed.url_of("data/0", FIRST + 2 * SPAN).await.0.unwrap();
        settle().await;

        tokio::time::sleep(PATIENCE).await;

        signed.iam.becomes(Mood::Hangs);
        let (url, took) = signed.url_of("data/0", FIRST + 2 * SPAN).await;
        assert!(url.unwrap().is_some() && took == Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_full_takes_no_more_and_those_left_out_come_in_later() {
        let (signed, objects) = (Signed::by(Mood::Signs).await, QUEUE + 10);
        signed.pulled(objects, SLOW).await;

        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert!((QUEUE..QUEUE + 10).contains(&tasks), "{tasks}");
        signed.iam.becomes(Mood::Signs);
        tokio::time::sleep(PATIENCE).await;
        let last = format!("data/{}", objects - 1);
        signed.url_of(&last, FIRST).await.0.unwrap();
        settle().await;
        assert_eq!(signed.iam.asked(), objects + QUEUE + 1);
    }

    /// They took the room of URLs that could have been handed out meanwhile.
    #[tokio::test(start_paused = true)]
    async fn pulls_that_get_no_url_take_no_room_among_the_kept() {
        let signed = Signed::by(Mood::Signs).await;
        signed.url("data/kept").await.unwrap();
        signed.iam.becomes(Mood::Refuses);

        for number in 0..10 {
            let _ = signed.url(&format!("data/{number}")).await;
        }

        assert_eq!(signed.driver.presigner.kept.purposes(), 1);
    }

    /// Its key may be gone before such a URL ends.
    #[tokio::test(start_paused = true)]
    async fn what_lasts_long_is_not_signed_ahead() {
        let signed = Signed::by(Mood::Signs).await;

        for (lasting, asked) in [(8 * 3600, 2), (8 * 3600 + 2, 3)] {
            let key = format!("data/{lasting}").parse().unwrap();
            signed.driver.presign_get(&key, &options(FIRST, lasting)).await.unwrap();
            settle().await;
            assert_eq!(signed.iam.asked(), asked);
        }
    }

    #[tokio::test]
    async fn an_inspection_asks_iam_whatever_happened_before() {
        let server = Server::start(Options::new("images")).unwrap();
        let signed = Signed::on(server.config(), Mood::Refuses).await;
        signed.url("data/a").await.unwrap_err();

        let findings = signed.driver.inspect(Inspection { writes: false, ..Inspection::EVERYTHING }).await;

        let told = findings.iter().find(|finding| finding.subject == "signed URLs").unwrap();
        assert_eq!(told.severity, Severity::Fault, "{told:?}");
        assert_eq!(signed.iam.asked(), 2);
    }
}
