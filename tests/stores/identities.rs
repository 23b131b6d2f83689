//! A registry without a key written down: it is somebody where it runs, and its store believes that.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use entrepot_oci::Digest;
use entrepot_tests::http::Client;
use entrepot_tests::identities::{Amazon, Google, Microsoft, TemporaryKeys};
use entrepot_tests::registry::content::noise;
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};
use tempfile::TempDir;

use crate::home;
use crate::storage::wait;

const HOUR: Duration = Duration::from_secs(3600);
/// Two parts, so that an upload in parts is among the requests.
const BYTES: usize = 20 << 20;

/// A registry on `storage`, with a blob that went there and came back. Answers where the pull was sent, if it
/// was.
fn used(home: &TempDir, storage: &Storage) -> (Server, Digest, Option<String>) {
    let server = Server::start(home.path(), storage, "");
    let client = server.client();
    let blob = noise(3, BYTES);
    let digest = client.push_blob("identity", &blob);

    let answer = client.get(target(digest)).send();
    let location = answer.header("Location").map(str::to_owned);
    let body = match &location {
        Some(location) => Client::fetch(location).expect(200).body,
        None => answer.expect(200).body,
    };

    assert!(body == blob, "the bytes are others");
    (server, digest, location)
}

fn target(digest: Digest) -> String {
    format!("/v2/identity/blobs/{digest}")
}

/// What a presigned URL of S3's says of `name`.
fn said<'u>(url: &'u str, name: &str) -> &'u str {
    let query = url.split_once('?').expect("a signed URL has a query").1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {url}"))
}

/// When a presigned URL of S3's ends.
fn end_of(url: &str) -> SystemTime {
    let date = said(url, "X-Amz-Date");
    let (day, time) = date.split_once('T').expect("20261122T064447Z");
    let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
    let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..6]);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    let begin = DateTime::from_str(&text, Format::DateTime).expect("a date");
    let begin = SystemTime::try_from(begin).expect("it is past 1970");
    begin + Duration::from_secs(said(url, "X-Amz-Expires").parse().expect("a number of seconds"))
}

/// A registry that finds keys of the main S3 this way, and what came of it.
fn on_s3(way: Amazon, asked: &[&str]) {
    let Some(store) = ObjectStore::find(Kind::S3) else { return };
    let home = home();
    let keys = wait(store.temporary_keys());
    let identity = Arc::new(way.with(vec![keys.clone().living(HOUR)], home.path()));

    let (_server, _, location) = used(&home, &Storage::Object(store.by(&identity)));

    let location = location.expect("temporary keys sign URLs too");
    assert!(said(&location, "X-Amz-Credential").starts_with(&keys.access_key), "{location}");
    assert!(!said(&location, "X-Amz-Security-Token").is_empty());
    // One whose answer is slow is asked again at once, which a busy machine may bring about.
    let mut questions = identity.asked();
    assert!(questions.len() <= 3 * asked.len(), "keys that last are fetched once: {questions:?}");
    questions.dedup();
    assert_eq!(questions, asked);
}

#[test]
fn keys_come_from_variables() {
    on_s3(Amazon::Environment, &[]);
}

#[test]
fn keys_come_from_a_profile() {
    on_s3(Amazon::Profile, &[]);
}

#[test]
fn keys_come_from_sts_for_the_token_of_a_service_account() {
    on_s3(Amazon::WebIdentity, &["POST /"]);
}

#[test]
fn keys_come_from_the_agent_of_eks_for_the_token_of_a_pod() {
    on_s3(Amazon::PodIdentity, &["GET /v1/credentials"]);
}

#[test]
fn keys_come_from_the_agent_of_ecs() {
    on_s3(Amazon::Container, &["GET /v2/credentials/task"]);
}

#[test]
fn keys_come_from_the_metadata_of_an_instance_to_who_has_a_session() {
    const ROLE: &str = "GET /latest/meta-data/iam/security-credentials/";
    on_s3(Amazon::Instance, &["PUT /latest/api/token", ROLE, &format!("{ROLE}registry")]);
}

/// A URL dies with the keys that signed it, so it says so; and new keys are there before the old ones end.
#[test]
fn keys_near_their_end_are_renewed_and_their_urls_end_with_them() {
    let Some(store) = ObjectStore::find(Kind::S3) else { return };
    let home = home();
    let first = wait(store.temporary_keys()).living(Duration::from_secs(120));
    let second = wait(store.temporary_keys()).living(HOUR);
    let identity = Arc::new(Amazon::PodIdentity.with(vec![first.clone(), second.clone()], home.path()));

    let (server, digest, location) = used(&home, &Storage::Object(store.by(&identity)));

    let signed_by =
        |url: &str, keys: &TemporaryKeys| said(url, "X-Amz-Credential").starts_with(&keys.access_key);
    let location = location.expect("it is redirected");
    assert!(signed_by(&location, &first), "{location}");
    assert!(end_of(&location) <= SystemTime::now() + Duration::from_secs(120), "{location}");
    identity.renew();
    // The registry asks again half a minute after it asked and got nothing new.
    let end = Instant::now() + Duration::from_secs(150);
    loop {
        let answer = server.client().get(target(digest)).send().expect(307);
        let location = answer.expect_header("Location");
        if signed_by(location, &second) {
            Client::fetch(location).expect(200);
            break;
        }
        assert!(Instant::now() < end, "still signed by the first keys: {location}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A registry that gets tokens for Azure this way, and what came of it: a key that is delegated to who has a
/// token signs its URLs, and names whom it was delegated to.
fn on_azure(way: Microsoft) -> Option<Vec<String>> {
    let home = home();
    let identity = Arc::new(way.with(home.path()));
    let store = ObjectStore::find_azure_by_token(&identity)?;

    let (server, digest, mut location) = used(&home, &Storage::Object(store));

    // Pulls wait seconds for a key, which a machine may stop for.
    let end = Instant::now() + Duration::from_secs(60);
    while location.is_none() && Instant::now() < end {
        thread::sleep(Duration::from_secs(1));
        let answer = server.client().get(target(digest)).send();
        location = answer.header("Location").map(str::to_owned);
    }
    assert!(location.expect("it is redirected").contains("skoid="));
    Some(identity.asked())
}

#[test]
fn a_token_comes_from_entra_for_the_secret_of_an_application() {
    if let Some(asked) = on_azure(Microsoft::ClientSecret) {
        assert_eq!(asked, ["POST /ab1f708d-50f6-404c-a006-d71b2ac7a606/oauth2/v2.0/token"]);
    }
}

#[test]
fn a_token_comes_from_entra_for_the_token_of_a_service_account() {
    if let Some(asked) = on_azure(Microsoft::WorkloadIdentity) {
        assert_eq!(asked, ["POST /ab1f708d-50f6-404c-a006-d71b2ac7a606/oauth2/v2.0/token"]);
    }
}

#[test]
fn a_token_comes_from_the_endpoint_of_a_managed_identity() {
    if let Some(asked) = on_azure(Microsoft::ManagedIdentity) {
        assert_eq!(asked, ["GET /msi/token"]);
    }
}

/// A registry that gets a token for Google's this way. It has no key to sign with, so it is not to redirect.
fn on_google(way: Google) -> Vec<String> {
    let home = home();
    let identity = Arc::new(way.with(home.path()));

    // Kept: the fake goes with it.
    let storage = Storage::Object(ObjectStore::google_by_token(&identity));

    let (_server, _, location) = used(&home, &storage);

    assert_eq!(location, None);
    identity.asked()
}

#[test]
fn a_token_comes_from_the_metadata_server() {
    let asked = on_google(Google::Metadata);

    // One for requests, and one for whom IAM would sign for.
    let token = "GET /computeMetadata/v1/instance/service-accounts/default/token";
    assert!((1..=2).contains(&asked.len()) && asked.iter().all(|line| line == token), "{asked:?}");
}

#[test]
fn a_token_comes_from_federation_for_the_token_of_a_pod() {
    assert_eq!(on_google(Google::Federation), ["POST /v1/token"]);
}
