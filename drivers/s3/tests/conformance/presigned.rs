//! URLs as a client without any credentials uses them.

use super::server;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_driver_s3::S3Driver;
use entrepot_storage::{Key, PresignOptions, PutMode, StorageDriver};

const CONTENT: &[u8] = b"what a presigned URL leads to";

fn options(signed_at: SystemTime) -> PresignOptions {
    PresignOptions {
        signed_at,
        expires_in: Duration::from_secs(300),
        content_type: Some("application/vnd.oci.image.layer.v1.tar+gzip".into()),
    }
}

/// A URL of an object with a name that needs encoding.
async fn url(driver: &S3Driver, options: &PresignOptions) -> String {
    let key: Key = "presigned/a!b+c=d/(e),f~%25".parse().expect("a key");
    let body = Bytes::from_static(CONTENT);
    driver.put(&key, body, PutMode::Overwrite).await.expect("it is written");
    driver.presign_get(&key, options).await.expect("it signs").expect("the store presigns").url
}

/// Status, type and body of the answer to a plain client.
fn fetch(url: &str, range: Option<&str>) -> (u16, String, Vec<u8>) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(url);
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
    for variable in ["ENTREPOT_TEST_S3", "ENTREPOT_TEST_S3_SECOND"] {
        let Some(server) = server::named(variable) else { continue };
        let url = url(&server.open().await, &options(SystemTime::now())).await;

        let whole = fetch(&url, None);
        let part = fetch(&url, Some("bytes=5-13"));

        assert_eq!((whole.0, whole.2.as_slice()), (200, CONTENT), "{variable}");
        assert_eq!(whole.1, "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!((part.0, part.2.as_slice()), (206, &CONTENT[5..14]), "{variable}");
    }
}

#[tokio::test]
async fn a_url_that_was_tampered_with_is_refused() {
    let Some(server) = server::named("ENTREPOT_TEST_S3").filter(|server| server.checks_signatures) else {
        return;
    };
    let url = url(&server.open().await, &options(SystemTime::now())).await;

    for changed in [
        url.replace("presigned/a", "presigned/b"),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=301"),
        url.replace("layer", "other"),
        url.split('?').next().expect("a path").to_owned(),
    ] {
        assert_ne!(changed, url);
        assert_eq!(fetch(&changed, None).0, 403);
    }
}

#[tokio::test]
async fn a_url_that_has_expired_is_refused() {
    let Some(server) = server::named("ENTREPOT_TEST_S3").filter(|server| server.checks_signatures) else {
        return;
    };
    let long_ago = SystemTime::now() - Duration::from_secs(301);

    let status = fetch(&url(&server.open().await, &options(long_ago)).await, None).0;

    // Garage says 400.
    assert!(matches!(status, 400 | 403), "{status}");
}
