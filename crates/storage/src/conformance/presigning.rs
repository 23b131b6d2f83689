//! URLs by which a client reads past us.

use std::time::{Duration, SystemTime};

use super::trial::Trial;
use crate::PresignOptions;

fn options() -> PresignOptions {
    PresignOptions {
        signed_at: SystemTime::now(),
        expires_in: Duration::from_secs(60),
        content_type: Some("application/octet-stream".into()),
    }
}

pub(super) async fn a_store_that_presigns_answers_a_url_without_looking(trial: Trial) {
    let url =
        trial.driver.presign_get(&trial.key("never-written"), &options()).await.expect("it signs locally");

    assert!(url.expect("the capability is declared").url.contains("://"));
}

pub(super) async fn the_same_options_give_the_same_url_on_every_process(trial: Trial) {
    let key = trial.key("object");
    let options = options();
    let first = trial.driver.presign_get(&key, &options).await.expect("it signs locally");
    let second = trial.other.presign_get(&key, &options).await.expect("it signs locally");
    let later = PresignOptions { signed_at: options.signed_at + Duration::from_secs(30), ..options };
    let third = trial.driver.presign_get(&key, &later).await.expect("it signs locally");

    assert_eq!(first, second);
    assert_ne!(first, third, "another instant is another URL");
}

pub(super) async fn a_url_is_good_for_no_longer_than_was_asked(trial: Trial) {
    let options = options();
    let url = trial.driver.presign_get(&trial.key("object"), &options).await.expect("it signs locally");

    let expires_at = url.expect("the capability is declared").expires_at;
    assert!(expires_at <= options.signed_at + options.expires_in, "{expires_at:?}");
    assert!(expires_at > options.signed_at, "{expires_at:?}");
}

pub(super) async fn a_store_that_cannot_presign_answers_none(trial: Trial) {
    let url = trial.driver.presign_get(&trial.key("object"), &options()).await.expect("this is no failure");

    assert_eq!(url, None);
}
