//! URLs as a client without any credentials uses them.

use super::server;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_driver_s3::{Config, CredentialSource, S3Driver, StaticCredentials};
use entrepot_storage::{Key, PresignOptions, PutMode, StorageDriver};

const CONTENT: &[u8] = b"what a presigned URL leads to";

pub(crate) fn options(signed_at: SystemTime) -> PresignOptions {
    PresignOptions {
        signed_at,
        expires_in: Duration::from_secs(300),
        content_type: Some("application/x-tar+gzip".into()),
    }
}

/// Where a URL leads, and the region it is signed for, with these settings. Asks nobody.
async fn place(change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config::new("images", "eu-central-1");
    config.credentials = CredentialSource::Static(StaticCredentials::new("AK", "secret", None));
    change(&mut config);
    let driver = S3Driver::open(config).await.expect("the settings go together");
    let key: Key = "data/a+b".parse().expect("a key");
    let url = driver.presign_get(&key, &options(SystemTime::now())).await.expect("it signs");
    let url = url.expect("the store presigns").url;
    let region = url.split("%2F").nth(2).expect("a scope");
    format!("{} {region}", url.split('?').next().expect("a path"))
}

#[tokio::test]
async fn urls_are_made_for_the_endpoint_that_is_configured() {
    let aws = place(|_| ()).await;
    let dotted = place(|config| config.bucket = "my.images".into()).await;
    let dual = place(|config| config.dual_stack = true).await;
    let fips = place(|config| config.fips = true).await;
    let fast = place(|config| config.accelerate = true).await;
    let plain = place(|config| config.secure = false).await;
    let rooted = place(|config| config.root_directory = "/registry/".into()).await;

    assert_eq!(aws, "https://images.s3.eu-central-1.amazonaws.com/data/a%2Bb eu-central-1");
    assert_eq!(dotted, "https://s3.eu-central-1.amazonaws.com/my.images/data/a%2Bb eu-central-1");
    assert_eq!(dual, "https://images.s3.dualstack.eu-central-1.amazonaws.com/data/a%2Bb eu-central-1");
    assert_eq!(fips, "https://images.s3-fips.eu-central-1.amazonaws.com/data/a%2Bb eu-central-1");
    assert_eq!(fast, "https://images.s3-accelerate.amazonaws.com/data/a%2Bb eu-central-1");
    assert_eq!(plain, "http://images.s3.eu-central-1.amazonaws.com/data/a%2Bb eu-central-1");
    assert_eq!(rooted, "https://images.s3.eu-central-1.amazonaws.com/registry/data/a%2Bb eu-central-1");
}

#[tokio::test]
async fn a_redirect_endpoint_is_the_host_that_is_signed() {
    let inside = |config: &mut Config| config.endpoint = Some("minio.internal:9000".into());
    let own = place(inside).await;
    let by_path = place(|config| {
        inside(config);
        config.redirect_endpoint = Some("https://store.example".into());
        config.force_path_style = true;
    });
    let by_host = place(|config| {
        inside(config);
        config.redirect_endpoint = Some("store.example".into());
    });

    let on_aws = place(|config| config.redirect_endpoint = Some("https://images.example.com".into()));

    assert_eq!(own, "https://images.minio.internal:9000/data/a%2Bb eu-central-1");
    assert_eq!(by_path.await, "https://store.example/images/data/a%2Bb eu-central-1");
    assert_eq!(by_host.await, "https://images.store.example/data/a%2Bb eu-central-1");
    assert_eq!(on_aws.await, "https://images.images.example.com/data/a%2Bb eu-central-1");
}

/// A URL of an object with a name that needs encoding. Below it, each test has its own: Ceph answers 500 to a
/// range of an object that is overwritten at the same instant, which nobody does to a blob.
async fn url(driver: &S3Driver, test: &str, options: &PresignOptions) -> String {
    let key: Key = format!("presigned/a!b+c=d/(e),f~%25/{test}").parse().expect("a key");
    let body = Bytes::from_static(CONTENT);
    driver.put(&key, body, PutMode::Overwrite).await.expect("it is written");
    driver.presign_get(&key, options).await.expect("it signs").expect("the store presigns").url
}

/// A client that takes any certificate: the servers here have made their own.
pub(crate) fn agent() -> ureq::Agent {
    let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
    ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls).build().into()
}

/// Status, type and body of the answer to a plain client.
fn fetch(url: &str, range: Option<&str>) -> (u16, String, Vec<u8>) {
    let mut request = agent().get(url);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let mut answer = request.call().expect("the server answers");
    let content_type =
        answer.headers().get("content-type").map(|value| value.to_str().expect("text").to_owned());
    let body = answer.body_mut().read_to_vec().expect("a body");
    (answer.status().as_u16(), content_type.unwrap_or_default(), body)
}

#[tokio::test]
async fn a_plain_client_reads_the_object_with_and_without_a_range() {
    for (variable, server) in server::each() {
        let url = url(&server.open().await, "ranges", &options(SystemTime::now())).await;

        let whole = fetch(&url, None);
        let part = fetch(&url, Some("bytes=5-13"));

        assert_eq!((whole.0, whole.2.as_slice()), (200, CONTENT), "{variable}");
        assert_eq!(whole.1, "application/x-tar+gzip");
        assert_eq!((part.0, part.2.as_slice()), (206, &CONTENT[5..14]), "{variable}");
    }
}

#[tokio::test]
async fn a_url_that_was_tampered_with_is_refused() {
    for (variable, server) in server::each_that_checks_signatures() {
        let url = url(&server.open().await, "tampered", &options(SystemTime::now())).await;

        for changed in [
            url.replace("presigned/a", "presigned/b"),
            url.replace("X-Amz-Expires=300", "X-Amz-Expires=301"),
            url.replace("x-tar", "x-zip"),
            url.split('?').next().expect("a path").to_owned(),
        ] {
            assert_ne!(changed, url);
            assert_eq!(fetch(&changed, None).0, 403, "{variable}");
        }
    }
}

#[tokio::test]
async fn a_url_that_has_expired_is_refused() {
    for (variable, server) in server::each_that_checks_signatures() {
        let long_ago = SystemTime::now() - Duration::from_secs(301);

        let status = fetch(&url(&server.open().await, "expired", &options(long_ago)).await, None).0;

        // Garage says 400.
        assert!(matches!(status, 400 | 403), "{variable}: {status}");
    }
}
