//! URLs by which a client reads past us.

use std::time::Duration;

use super::trial::Trial;
use crate::PresignOptions;

fn options() -> PresignOptions {
    PresignOptions { expires_in: Duration::from_secs(60), content_type: None }
}

pub(super) async fn a_store_that_presigns_answers_a_url_without_looking(trial: Trial) {
    let url =
        trial.driver.presign_get(&trial.key("never-written"), &options()).await.expect("it signs locally");

    assert!(url.expect("the capability is declared").contains("://"));
}

pub(super) async fn a_store_that_cannot_presign_answers_none(trial: Trial) {
    let url = trial.driver.presign_get(&trial.key("object"), &options()).await.expect("this is no failure");

    assert_eq!(url, None);
}
