//! Signed URLs as a client meets them: fetched from the fake by an HTTP client that knows nothing of us.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_driver_gcs::fake::{Operation, Options, Server};
use entrepot_driver_gcs::{Config, GcsDriver, HmacKey, Secret};
use entrepot_storage::{Key, PresignOptions, PutMode, SignedUrl, StorageDriver};

const HMAC: (&str, &str) = ("GOOG1EFAKE", "the hmac secret");

fn server() -> Server {
    let mut options = Options::new("images");
    options.hmac_keys.push((HMAC.0.into(), HMAC.1.into()));
    Server::start(options).expect("a port is free")
}

fn by_rsa(server: &Server) -> Config {
    server.config()
}

fn by_hmac(server: &Server) -> Config {
    let hmac_key = Some(HmacKey { access_id: HMAC.0.into(), secret: Secret::new(HMAC.1) });
    Config { hmac_key, ..server.config() }
}

async fn open(config: Config) -> GcsDriver {
    GcsDriver::open(config).await.expect("the settings make sense")
}

fn key() -> Key {
    "data/ab/some=blob+1".parse().expect("it is a key")
}

fn lasting(expires_in: Duration) -> PresignOptions {
    let content_type = Some("application/x-some+gzip; a=\"b c\"".into());
    PresignOptions { signed_at: SystemTime::now(), expires_in, content_type }
}

async fn signed(driver: &GcsDriver, options: &PresignOptions) -> SignedUrl {
    driver.presign_get(&key(), options).await.expect("it signs").expect("it can sign")
}

async fn put(driver: &GcsDriver, content: &'static [u8]) {
    driver.put(&key(), Bytes::from_static(content), PutMode::Overwrite).await.expect("it is put");
}

/// Status, content type and body, by a plain client.
fn fetch(url: &str, range: Option<&str>) -> (u16, String, Vec<u8>) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.get(url);
    let request = match range {
        Some(range) => request.header("Range", range),
        None => request,
    };
    let mut response = request.call().expect("the fake answers");
    let content_type =
        response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = response.body_mut().read_to_vec().expect("the body arrives");
    (response.status().as_u16(), content_type.unwrap_or_default(), body)
}

#[tokio::test]
async fn a_signed_url_reads_the_object_whole_and_in_ranges() {
    for config in [by_rsa, by_hmac] {
        let server = server();
        let driver = open(config(&server)).await;
        put(&driver, b"0123456789").await;
        let options = lasting(Duration::from_secs(60));

        let SignedUrl { url, .. } = signed(&driver, &options).await;

        let content_type = options.content_type.expect("it was given");
        assert_eq!(fetch(&url, None), (200, content_type.clone(), b"0123456789".to_vec()));
        assert_eq!(fetch(&url, Some("bytes=2-4")), (206, content_type, b"234".to_vec()));
        assert_eq!(server.count(Operation::SignedGet), 2);
        assert_eq!(server.count(Operation::Get) + server.count(Operation::Stat), 0, "signing asks nobody");
    }
}

#[tokio::test]
async fn a_url_that_was_changed_is_refused() {
    for config in [by_rsa, by_hmac] {
        let server = server();
        let driver = open(config(&server)).await;
        put(&driver, b"0123456789").await;
        let SignedUrl { url, .. } = signed(&driver, &lasting(Duration::from_secs(60))).await;

        let changed = [
            url.replace("some%3Dblob", "other%3Dblob"),
            url.replace("X-Goog-Expires=60", "X-Goog-Expires=6000"),
            url.replace("gzip", "zstd"),
            url.split("&X-Goog-Signature").next().unwrap().to_owned(),
        ];
        for changed in &changed {
            assert_ne!(*changed, url);
            let (status, _, body) = fetch(changed, None);
            assert!(matches!(status, 401 | 403), "{status}: {}", String::from_utf8_lossy(&body));
        }
        assert_eq!(server.count(Operation::SignedGet), 0);
    }
}

#[tokio::test]
async fn a_url_that_has_expired_is_refused() {
    for config in [by_rsa, by_hmac] {
        let server = server();
        let driver = open(config(&server)).await;
        put(&driver, b"0123456789").await;
        let mut options = lasting(Duration::from_secs(60));
        options.signed_at -= Duration::from_secs(120);

        let SignedUrl { url, expires_at } = signed(&driver, &options).await;

        assert!(expires_at < SystemTime::now());
        let (status, _, body) = fetch(&url, None);
        assert_eq!(status, 400);
        assert!(String::from_utf8_lossy(&body).contains("ExpiredToken"));
    }
}

#[tokio::test]
async fn two_processes_sign_one_url() {
    for config in [by_rsa, by_hmac] {
        let server = server();
        let options = lasting(Duration::from_secs(60));

        let first = signed(&open(config(&server)).await, &options).await;
        let second = signed(&open(config(&server)).await, &options).await;

        assert_eq!(first, second);
    }
}

#[tokio::test]
async fn no_url_lasts_longer_than_google_allows() {
    for config in [by_rsa, by_hmac] {
        let server = server();
        let driver = open(config(&server)).await;
        let options = lasting(Duration::from_secs(30 * 24 * 3600));

        let SignedUrl { url, expires_at } = signed(&driver, &options).await;

        assert!(url.contains("X-Goog-Expires=604800&"), "{url}");
        assert!(expires_at <= options.signed_at + Duration::from_secs(604_800));
    }
}

#[tokio::test]
async fn urls_name_the_redirect_endpoint() {
    let server = server();
    let mut config = by_rsa(&server);
    config.root_directory = "/below/".into();
    config.redirect_endpoint = Some("https://cdn.example.com/".into());
    let options = lasting(Duration::from_secs(60));

    let shared = signed(&open(config.clone()).await, &options).await;
    config.redirect_bucket_bound = true;
    let bound = signed(&open(config).await, &options).await;

    assert!(shared.url.starts_with("https://cdn.example.com/images/below/data/ab/some%3Dblob%2B1?X-Goog-"));
    assert!(bound.url.starts_with("https://cdn.example.com/below/data/ab/some%3Dblob%2B1?X-Goog-"));
}

#[tokio::test]
async fn no_secret_is_shown() {
    let server = server();
    let hmac = by_hmac(&server);
    let rsa = by_rsa(&server);

    let shown = format!("{hmac:?} {:?} {:?}", open(hmac.clone()).await, open(rsa).await);

    for secret in [HMAC.1, "BEGIN PRIVATE KEY", "MIIEvAIBADANBgkqhkiG9w0"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
