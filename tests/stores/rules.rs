//! Who is sent where, by the rules of a configuration, over each store.

use entrepot_oci::Digest;
use entrepot_tests::http::{Client, Response};
use entrepot_tests::registry::content::noise;
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};

use crate::home;

const RULES: &str = "    min_size: 1KiB
    rules:
    - { action: proxy, user_agent: ^curl }
    - { action: proxy, networks: [10.0.0.0/8], repositories: [own/**] }
    - { action: presign, repositories: [own/**] }
    - { action: presign, repositories: [near/**], endpoint: 'https://store.internal.example.com' }
    - { action: 'cdn:redirect', max_size: 8KiB }
    - { action: 'cdn:rewrite', repositories: [rewritten/**] }
";
/// The last of those in front is where pulls go that no rule is about.
const MIRROR: &str = "middleware:
  storage:
  - { name: rewrite, options: { scheme: https, host: elsewhere.example.com } }
  - { name: redirect, options: { baseurl: 'https://mirror.example.com' } }
";
/// More of the section `http`: the tests themselves are a proxy.
const TRUSTING: &str = "  trusted_proxies: [127.0.0.0/8]\n";
/// It serves from S3 alone.
const CLOUDFRONT: &str = "  - name: cloudfront
    options: { baseurl: 'https://d111111abcdef8.cloudfront.net', privatekey: KEY, keypairid: K2JCJMDEHXQW5F }
";
/// Guards nothing.
const KEY: &str = include_str!("../../drivers/cdn/tests/keys/rsa-pkcs1.pem");

fn pull(client: &Client, repository: &str, digest: Digest, agent: &str) -> Response {
    client.get(format!("/v2/{repository}/blobs/{digest}")).header("User-Agent", agent).send()
}

/// A pull of somebody behind a proxy, who says so.
fn pull_behind(server: &Server, digest: Digest, address: &str) -> Response {
    let client = server.client();
    let request = client.get(format!("/v2/own/a/blobs/{digest}")).header("User-Agent", "containerd");
    request.header("X-Forwarded-For", address).send()
}

fn goes_where_the_rules_say(store: Option<ObjectStore>, last: &str, elsewhere: &[&str]) {
    let Some(store) = store else { return };
    let home = home();
    let key = home.path().join("cloudfront.pem");
    std::fs::write(&key, KEY).expect("a file can be written");
    let fronts = format!("{MIRROR}{last}").replace("KEY", &key.display().to_string());
    // Kept: the fake goes with it.
    let storage = Storage::Object(store.ruled(RULES));
    let server = Server::start(home.path(), &storage, &format!("{TRUSTING}{fronts}"));
    let client = server.client();
    let (large, small, tiny) = (noise(1, 20_000), noise(2, 4_000), noise(3, 900));
    let sent = |repository: &str, blob: &[u8]| {
        let digest = client.push_blob(repository, blob);
        let answer = pull(&client, repository, digest, "containerd").expect(307);
        answer.expect_header("Location").to_owned()
    };

    let own = sent("own/a", &large);
    assert!(Client::fetch(&own).expect(200).body == large, "{own}");
    let near = sent("near/a", &large);
    assert!(near.starts_with("https://store.internal.example.com/"), "{near}");
    let mirrored = sent("other/a", &small);
    assert!(mirrored.starts_with("https://mirror.example.com/"), "{mirrored}");
    let rewritten = sent("rewritten/a", &large);
    assert!(rewritten.starts_with("https://elsewhere.example.com/"), "{rewritten}");
    let far = sent("other/a", &large);
    assert!(elsewhere.iter().all(|part| far.contains(part)), "{far}");

    let by_curl = pull(&client, "own/a", Digest::sha256(&large), "curl/8").expect(200);
    assert!(by_curl.body == large);
    let digest = Digest::sha256(&large);
    assert!(pull_behind(&server, digest, "10.1.1.1").expect(200).body == large);
    pull_behind(&server, digest, "192.0.2.1").expect(307);
    let wary = Server::start(&home.path().join("wary"), &storage, &fronts);
    pull_behind(&wary, digest, "10.1.1.1").expect(307);

    let digest = client.push_blob("own/a", &tiny);
    assert!(pull(&client, "own/a", digest, "containerd").expect(200).body == tiny);
}

#[test]
fn pulls_from_s3_go_where_the_rules_say() {
    let signed = ["https://d111111abcdef8.cloudfront.net/", "&Signature=", "Key-Pair-Id=K2JCJMDEHXQW5F"];
    goes_where_the_rules_say(ObjectStore::find(Kind::S3), CLOUDFRONT, &signed);
}

#[test]
fn pulls_from_azure_go_where_the_rules_say() {
    goes_where_the_rules_say(ObjectStore::find(Kind::Azure), "", &["https://mirror.example.com/"]);
}

#[test]
fn pulls_from_google_go_where_the_rules_say() {
    goes_where_the_rules_say(ObjectStore::find(Kind::Gcs), "", &["https://mirror.example.com/"]);
}
