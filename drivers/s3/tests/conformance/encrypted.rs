//! What the store does with what it is asked for: encryption by a key of its KMS.

use bytes::Bytes;
use entrepot_driver_s3::Encryption;
use entrepot_storage::{Key, PresignOptions, PutMode, StorageDriver};

use super::presigned;
use super::server::{self, HTTPS};

/// Five MiB are the least a part may have.
const PART: usize = 5 << 20;

/// The header that says how an object is kept, in the answer to whoever follows a presigned URL.
async fn kept_how(driver: &dyn StorageDriver, key: &Key) -> (Option<String>, Vec<u8>) {
    let options = PresignOptions { content_type: None, ..presigned::options(std::time::SystemTime::now()) };
    let signed = driver.presign_get(key, &options).await.expect("it signs").expect("the store presigns");
    let mut answer = presigned::agent().get(&signed.url).call().expect("the server answers");
    let kept = answer.headers().get("x-amz-server-side-encryption");
    let kept = kept.map(|value| value.to_str().expect("text").to_owned());
    (kept, answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body"))
}

#[tokio::test]
async fn objects_and_uploads_are_encrypted_as_asked_and_read_as_they_were() {
    for (encryption, expected) in
        [(Encryption::Kms { key_id: Some("registry".into()) }, "aws:kms"), (Encryption::Aes256, "AES256")]
    {
        let Some(mut server) = server::named(HTTPS) else { return };
        server.config.encryption = encryption;
        let driver = server.open().await;
        let object: Key = "encrypted/object".parse().expect("a key");
        let uploaded: Key = "encrypted/upload".parse().expect("a key");
        let content = Bytes::from_static(b"what somebody keeps to himself");
        let part = Bytes::from(vec![7; PART]);

        driver.put(&object, content.clone(), PutMode::Overwrite).await.expect("it is written");
        let upload = driver.upload_begin(&uploaded).await.expect("it begins");
        let parts = [
            driver.upload_part(&upload, 1, vec![part.clone()]).await.expect("a part"),
            driver.upload_part(&upload, 2, vec![content.clone()]).await.expect("another"),
        ];
        driver.upload_complete(&upload, &parts).await.expect("it completes");

        let (kept, body) = kept_how(&driver, &object).await;
        assert_eq!((kept.as_deref(), &body[..]), (Some(expected), &content[..]));
        let (kept, body) = kept_how(&driver, &uploaded).await;
        assert_eq!(kept.as_deref(), Some(expected));
        assert!(body == [&part[..], &content[..]].concat());
    }
}

#[tokio::test]
async fn a_key_the_store_does_not_know_is_no_reason_to_write_in_the_clear() {
    let Some(mut server) = server::named(HTTPS) else { return };
    server.config.encryption = Encryption::Kms { key_id: Some("another".into()) };
    let key: Key = "encrypted/by-nothing".parse().expect("a key");
    let driver = server.open().await;

    driver.put(&key, Bytes::from_static(b"x"), PutMode::Overwrite).await.expect_err("no such key");

    assert!(driver.stat(&key).await.expect_err("nothing was written").is_not_found());
}
