//! Tokens in place of a key, and the keys delegated to their bearers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrepot_driver_azure::{AzureDriver, Config, Credentials};
use entrepot_storage::conformance::Subject;
use entrepot_storage::{ErrorKind, PresignOptions, SharedDriver, StorageDriver as _};

use crate::account::{container, variable};
use crate::presigned::{fetch, first_url, key, options, signed};

/// An issuer of tokens as Azurite reads them: it looks at what they claim and not at who signed them.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) audience: &'static str,
}

pub(crate) const AUDIENCE: &str = "https://storage.azure.com";
/// Stands in every token, so that a log can be searched for it.
pub(crate) const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLXRoZS1pc3N1ZXI";

#[async_trait::async_trait]
impl TokenCredential for Issuer {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let now = SystemTime::now();
        let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).expect("a date").as_secs();
        let end = now + Duration::from_secs(3600);
        let claims = format!(
            r#"{{"iss":"https://sts.windows.net/tenant/","aud":"{}","nbf":{},"exp":{},"iat":{},
                "oid":"11059fcc-5514-4800-b5f8-49808b9cfab6","tid":"ab1f708d-50f6-404c-a006-d71b2ac7a606"}}"#,
            self.audience,
            seconds(now) - 60,
            seconds(end),
            seconds(now) - 60,
        );
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let token = format!("{head}.{}.{SIGNATURE}", URL_SAFE_NO_PAD.encode(claims));
        Ok(AccessToken::new(token, end.into()))
    }
}

/// The account as a bearer of tokens sees it.
pub(crate) fn config() -> Option<Config> {
    let text = variable("ENTREPOT_TEST_AZURE_OAUTH")?;
    let field = |name: &str| text.split(';').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let account = field("AccountName").expect("an AccountName");
    let mut config = Config::new(account, container(), Credentials::ManagedIdentity { client_id: None });
    config.service_url = field("BlobEndpoint").map(str::to_owned);
    config.skip_verify = true;
    Some(config)
}

/// A driver that holds a delegated key, so that nothing after this waits for one.
pub(crate) async fn open(config: &Config) -> AzureDriver {
    let driver = without_key(config).await;
    first_url(&driver, &key()).await;
    driver
}

/// One that has yet to ask for a key.
pub(crate) async fn without_key(config: &Config) -> AzureDriver {
    let issuer = Arc::new(Issuer { audience: AUDIENCE });
    let driver = AzureDriver::open_as(config, issuer).expect("the settings go together");
    driver.create_container().await.expect("the container can be created");
    driver
}

async fn store() -> Option<Subject> {
    let config = config()?;
    let (one, other) = (open(&config).await, open(&config).await);
    Some(Subject::new(Arc::new(one) as SharedDriver).with_second(Arc::new(other)))
}

entrepot_storage::conformance_tests!(store);

#[tokio::test]
async fn a_delegated_signature_is_read_by_a_client_without_credentials() {
    let Some(config) = config() else { return };

    delegated_signatures_are_read_as_they_are(&open(&config).await).await;
}

pub(crate) async fn delegated_signatures_are_read_as_they_are(driver: &AzureDriver) {
    let url = signed(driver, &options()).await;

    assert_eq!(fetch(&url, None).0, 200);
    assert_eq!(fetch(&url, Some("bytes=6-9")).0, 206);
    for (from, to) in [("presigned/", "another/"), ("sp=r", "sp=rw"), ("skoid=", "skoid=0"), ("se=2", "se=3")]
    {
        let changed = url.replacen(from, to, 1);
        assert_ne!(changed, url);
        assert_eq!(fetch(&changed, None).0, 403, "{from}");
    }
}

#[tokio::test]
async fn two_replicas_sign_alike_with_keys_delegated_to_each() {
    let Some(config) = config() else { return };

    two_sign_alike(&open(&config).await, &open(&config).await).await;
}

pub(crate) async fn two_sign_alike(one: &AzureDriver, other: &AzureDriver) {
    let options = options();

    let first = one.presign_get(&key(), &options).await.expect("it signs").expect("a URL");
    let second = other.presign_get(&key(), &options).await.expect("it signs").expect("a URL");

    assert_eq!(first, second);
}

#[tokio::test]
async fn a_url_of_long_ago_and_one_of_tomorrow_are_signed_by_a_key_of_today() {
    let Some(config) = config() else { return };
    let driver = open(&config).await;
    let now = SystemTime::now();
    let week = Duration::from_secs(7 * 86_400);

    for signed_at in [now - week, now + Duration::from_secs(86_400)] {
        let url =
            driver.presign_get(&key(), &PresignOptions { signed_at, ..options() }).await.unwrap().unwrap();
        assert!(url.expires_at <= signed_at + options().expires_in);
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused_and_not_not_found() {
    let Some(config) = config() else { return };
    let stranger = Arc::new(Issuer { audience: "https://example.com" });
    let driver = AzureDriver::open_as(&config, stranger).unwrap();

    let error = driver.stat(&key()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Backend { retryable: false }, "{error}");
}

#[tokio::test]
async fn a_refused_key_is_not_asked_for_by_everybody_who_waits() {
    let Some(config) = config() else { return };
    let asked_twice = async || {
        let stranger = Arc::new(Issuer { audience: "https://example.com" });
        let driver = AzureDriver::open_as(&config, stranger).unwrap();
        let first = driver.presign_get(&key(), &options()).await.unwrap_err();
        assert!(!first.is_retryable(), "{first}");
        driver.presign_get(&key(), &options()).await
    };

    // A refusal is remembered for seconds, which a machine may stop for.
    let mut second = asked_twice().await;
    for _ in 0..2 {
        if second.is_err() {
            second = asked_twice().await;
        }
    }
    assert_eq!(second.unwrap(), None, "it was refused a moment ago");
}

#[test]
fn tokens_are_not_sent_in_the_clear() {
    let mut config = Config::new("a", "c", Credentials::ManagedIdentity { client_id: None });
    config.service_url = Some("http://127.0.0.1:1/a".into());

    assert!(AzureDriver::open(&config).unwrap_err().to_string().contains("https"));
}
