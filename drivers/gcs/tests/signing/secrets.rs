//! What a log must not hold, at the finest level there is.

use std::time::{Duration, SystemTime};

use entrepot_driver_gcs::fake::{Options, SERVICE_ACCOUNT, Server};
use entrepot_driver_gcs::{Config, GcsDriver, HmacKey, Secret};
use entrepot_storage::{PresignOptions, ReadRange, SignedUrl, StorageDriver as _};

use crate::imitation::{Imitation, TOKENS};
use crate::log::Log;
use crate::{key, options, put, server, signed};

const HMAC_SECRET: &str = "the hmac secret";

/// Lines of the account's private key, and what stands before them.
fn private_key() -> Vec<String> {
    let account: serde_json::Value = serde_json::from_str(SERVICE_ACCOUNT).expect("it is JSON");
    account["private_key"].as_str().expect("a key").lines().map(str::to_owned).collect()
}

/// Signs what cannot be signed, and prints what comes of it and of what could. Answers the signature of that.
async fn noted(driver: &GcsDriver, signed: SignedUrl, log: &Log) -> String {
    let long_ago = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    let failed = driver.presign_get(&key(), &PresignOptions { signed_at: long_ago, ..options() }).await;
    let endless = PresignOptions { expires_in: Duration::ZERO, ..options() };
    let empty = driver.presign_get(&key(), &endless).await;
    let errors = [failed, empty].map(|failed| failed.expect_err("it cannot be signed"));
    log.note(&format!("{driver:?} {driver} {signed:?} {errors:?} {} {}", errors[0], errors[1]));
    let (_, signature) = signed.url.split_once("X-Goog-Signature=").expect("a signature");
    signature.to_owned()
}

/// Everything on the way to a signature: settings, an object, the signature.
async fn log_of(config: Config) -> (String, String) {
    let (log, _guard) = Log::begin();
    let (driver, signed) = signed(&config).await;
    put(&driver).await;
    driver.get(&key(), ReadRange::Whole).await.expect("it is there");
    let signed = signed.expect("it signs").expect("it can sign");
    let signature = noted(&driver, signed, &log).await;
    log.note(&format!("{config:?}"));
    (log.text(), signature)
}

fn assert_absent(log: &str, secrets: &[&str]) {
    assert!(log.contains("TRACE") && log.contains("data/ab/blob"), "nothing was logged");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[tokio::test]
async fn no_log_holds_the_accounts_key_or_a_signature_by_it() {
    let server = server();

    let (log, signature) = log_of(server.config()).await;

    let key = private_key();
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    assert_absent(&log, &[&key[..], &[&signature, "X-Goog-Signature", "Bearer "]].concat());
}

#[tokio::test]
async fn no_log_holds_an_hmac_secret_or_a_signature_by_it() {
    let mut options = Options::new("images");
    options.hmac_keys.push(("GOOG1EFAKE".into(), HMAC_SECRET.into()));
    let server = Server::start(options).expect("a port is free");
    let hmac_key = Some(HmacKey { access_id: "GOOG1EFAKE".into(), secret: Secret::new(HMAC_SECRET) });

    let (log, signature) = log_of(Config { hmac_key, ..server.config() }).await;

    assert_absent(&log, &[HMAC_SECRET, &signature, "X-Goog-Signature", "Bearer "]);
}

#[tokio::test]
async fn no_log_holds_a_token_or_a_signature_by_iam() {
    let Some(iam) = Imitation::start("secrets::no_log_holds_a_token_or_a_signature_by_iam") else { return };
    let server = server();

    let (log, signature) = log_of(iam.config(&server)).await;

    assert_absent(&log, &[&TOKENS[..], &[&signature, "X-Goog-Signature", "Bearer ", "signedBlob"]].concat());
}

#[tokio::test]
async fn no_log_holds_a_token_where_iam_refuses() {
    let Some(iam) = Imitation::start("secrets::no_log_holds_a_token_where_iam_refuses") else { return };
    let server = server();
    iam.refuses();
    let (log, _guard) = Log::begin();

    let (driver, refused) = signed(&iam.config(&server)).await;

    put(&driver).await;
    let error = refused.expect_err("it may not");
    log.note(&format!("{error} {error:?}"));
    let log = log.text();
    assert!(log.contains("IAM signs no URLs"), "the driver says so");
    assert_absent(&log, &[&TOKENS[..], &["X-Goog-Signature", "Bearer ", "payload"]].concat());
}
