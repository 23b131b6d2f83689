//! Signed URLs, as a client without credentials finds them.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use entrepot_driver_azure::AzureDriver;
use entrepot_storage::{Key, PresignOptions, PutMode, SignedUrl, StorageDriver};

use crate::account;

const TYPE: &str = "application/x-tar+gzip";
const BODY: &[u8] = b"bytes that lie in the store";

pub(crate) fn options() -> PresignOptions {
    let expires_in = Duration::from_secs(300);
    PresignOptions { signed_at: SystemTime::now(), expires_in, content_type: Some(TYPE.into()) }
}

/// A name no URL can hold as it is.
pub(crate) fn key() -> Key {
    "presigned/a+b%20c&d=e?f#g.h".parse().expect("a key")
}

/// The first URL by a delegated key waits for the service, for three seconds only, which a machine may stop for.
/// With a key that is held all is local.
pub(crate) async fn first_url(driver: &AzureDriver, key: &Key) -> SignedUrl {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match driver.presign_get(key, &options()).await {
            Ok(Some(url)) => return url,
            outcome => assert!(Instant::now() < end, "no URL within a minute: {outcome:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn signed(driver: &AzureDriver, options: &PresignOptions) -> String {
    driver.put(&key(), Bytes::from_static(BODY), PutMode::Overwrite).await.expect("it is put");
    driver.presign_get(&key(), options).await.expect("it signs").expect("a URL").url
}

/// Status, type and body, of whatever certificate.
pub(crate) fn fetch(url: &str, range: Option<&str>) -> (u16, String, Vec<u8>) {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = ureq::tls::TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .disable_verification(true)
        .build();
    let agent = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls).build();
    let mut request = ureq::Agent::new_with_config(agent).get(url);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let mut answer = request.call().expect("the store answers");
    let header = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    let media_type = header.unwrap_or_default().to_owned();
    (answer.status().as_u16(), media_type, answer.body_mut().read_to_vec().expect("a body"))
}

#[tokio::test]
async fn a_client_without_credentials_reads_the_whole_and_ranges() {
    let Some(config) = account::with_key() else { return };
    let url = signed(&account::open(&config).await, &options()).await;

    assert_eq!(fetch(&url, None), (200, TYPE.into(), BODY.into()));
    assert_eq!(fetch(&url, Some("bytes=6-9")), (206, TYPE.into(), BODY[6..10].into()));
}

#[tokio::test]
async fn a_url_that_was_changed_is_refused() {
    let Some(config) = account::with_key() else { return };
    let url = signed(&account::open(&config).await, &options()).await;

    for (from, to) in [("presigned/", "another/"), ("sp=r", "sp=rw"), ("tar%2Bgzip", "tar"), ("se=2", "se=3")]
    {
        let changed = url.replacen(from, to, 1);
        assert_ne!(changed, url);
        assert_eq!(fetch(&changed, None).0, 403, "{from}");
    }
}

#[tokio::test]
async fn a_url_that_has_ended_is_refused() {
    let Some(config) = account::with_key() else { return };
    let signed_at = SystemTime::now() - Duration::from_secs(600);
    let url = signed(&account::open(&config).await, &PresignOptions { signed_at, ..options() }).await;

    assert_eq!(fetch(&url, None).0, 403);
}

#[tokio::test]
async fn clients_are_sent_to_the_redirect_endpoint() {
    let Some(mut config) = account::with_key() else { return };
    config.redirect_endpoint = Some("https://pull.example.com/registry/".into());
    let driver = account::open(&config).await;

    let url = signed(&driver, &options()).await;

    let expected = format!("https://pull.example.com/registry/{}/presigned/a%2Bb%2520c", config.container);
    assert!(url.starts_with(&expected), "{url}");
    assert!(url.contains("&spr=https&"), "{url}");
}
