//! Signatures by IAM as they go over the wire, to an imitation of Google's endpoints, and what no log may hold
//! of any signature.

mod imitation;
mod log;
mod secrets;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_driver_gcs::fake::{Operation, Options, Server};
use entrepot_driver_gcs::{Config, GcsDriver};
use entrepot_storage::{ErrorKind, Key, PresignOptions, PutMode, Result, SignedUrl, StorageDriver as _};

use crate::imitation::{ACCOUNT, Imitation};

pub(crate) fn server() -> Server {
    Server::start(Options::new("images")).expect("a port is free")
}

pub(crate) fn key() -> Key {
    "data/ab/blob".parse().expect("it is a key")
}

pub(crate) fn options() -> PresignOptions {
    let expires_in = Duration::from_secs(600);
    PresignOptions { signed_at: SystemTime::now(), expires_in, content_type: None }
}

pub(crate) async fn put(driver: &GcsDriver) {
    driver.put(&key(), Bytes::from_static(b"0123456789"), PutMode::Overwrite).await.expect("it is put");
}

/// A driver, and what came of the first URL it was to sign. IAM is given three seconds, which a machine may stop
/// for, and who found it silent does not ask it for a while: another driver knows nothing of that.
pub(crate) async fn signed(config: &Config) -> (GcsDriver, Result<Option<SignedUrl>>) {
    for _ in 0..20 {
        let driver = GcsDriver::open(config.clone()).await.expect("the settings make sense");
        let signed = driver.presign_get(&key(), &options()).await;
        if !signed.as_ref().is_err_and(|error| error.to_string().contains("no answer within")) {
            return (driver, signed);
        }
    }
    panic!("IAM is silent")
}

/// The request, and what Google demands of it:
/// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob>.
#[tokio::test]
async fn a_url_signed_by_iam_reads_the_object() {
    let Some(iam) = Imitation::start("a_url_signed_by_iam_reads_the_object") else { return };
    let server = server();

    let (driver, signed) = signed(&iam.config(&server)).await;

    put(&driver).await;
    let url = signed.expect("IAM signs").expect("it can sign").url;
    let body = tokio::task::spawn_blocking(move || {
        ureq::get(url).call().expect("the signature is good").body_mut().read_to_vec().expect("a body")
    });
    assert_eq!(body.await.expect("nobody panics"), b"0123456789");
    assert_eq!(server.count(Operation::SignedGet), 1);
    let account = format!("POST /v1/projects/-/serviceAccounts/{ACCOUNT}");
    let expected =
        ["POST /v1/token".into(), format!("{account}:generateAccessToken"), format!("{account}:signBlob")];
    let asked = iam.asked();
    assert!(expected.iter().all(|request| asked.contains(request)), "{asked:?}");
}

#[tokio::test]
async fn an_account_that_may_not_sign_is_told_in_iams_words() {
    let Some(iam) = Imitation::start("an_account_that_may_not_sign_is_told_in_iams_words") else { return };
    iam.refuses();
    let asked = || iam.asked().iter().filter(|request| request.ends_with("signBlob")).count();

    let (driver, refused) = signed(&iam.config(&server())).await;
    let before = asked();
    let again = driver.presign_get(&key(), &options()).await;

    let error = refused.expect_err("it may not");
    assert_eq!(error.kind(), ErrorKind::Backend { retryable: false });
    assert!(error.to_string().contains("iam.serviceAccounts.signBlob"), "{error}");
    assert_eq!(again.expect("it is remembered"), None);
    assert_eq!(asked(), before);
}
