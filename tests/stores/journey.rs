//! An image's way into each store and out again, by the real binary and its configuration: pushed in parts,
//! pulled by redirects, deleted.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use entrepot_oci::Digest;
use entrepot_oci::manifest::build;
use entrepot_oci::media_type::{OCI_CONFIG, OCI_LAYER_GZIP};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::identities::Microsoft;
use entrepot_tests::registry::content::{descriptor, noise, with_digest};
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};

use crate::home;

const CONFIG: &[u8] = b"{}";
/// Two parts and a remainder, at least, whatever a store's preference.
const LAYER_BYTES: usize = 40 << 20;

/// Asks the registry for a blob and follows to the store, with the same range where there is one. The address
/// shows by whom it was signed.
#[track_caller]
fn pull(client: &Client, target: &str, range: Option<&str>, signature: &str) -> Response {
    let headers: Vec<_> = range.map(|range| ("Range", range)).into_iter().collect();
    let asked = headers.iter().fold(client.get(target), |asked, (name, value)| asked.header(name, value));
    let location = asked.send().expect(307).expect_header("Location").to_owned();
    assert!(location.contains(signature), "{location} is signed otherwise than by {signature}");
    Client::fetching(&location, &headers)
}

/// Where a key to sign with is asked for, pulls wait seconds for it, which a machine may stop for.
fn await_redirects(client: &Client, blob: &str) {
    let begun = Instant::now();
    while client.get(blob).header("Range", "bytes=0-0").send().status != 307 {
        assert!(begun.elapsed() < Duration::from_secs(60), "pulls are not redirected");
        thread::sleep(Duration::from_secs(1));
    }
}

/// `POST`, two `PATCH`es of which the first ends within a part, empty `PUT`.
fn push_layer(client: &Client, layer: &[u8]) -> Digest {
    let digest = Digest::sha256(layer);
    let (one, other) = layer.split_at(layer.len() / 2 + 1);
    let mut location = client.open_upload("journey");
    for piece in [one, other] {
        let patched = client.patch(&location).body(piece).send().expect(202);
        location = patched.expect_header("Location").to_owned();
    }
    client.put(with_digest(&location, digest)).empty().send().expect(201);
    digest
}

fn there_and_back(store: ObjectStore, signature: &str) {
    let home = home();
    // Kept: the fake, or who issues tokens, goes with it.
    let storage = Storage::Object(store);
    let server = Server::start(home.path(), &storage, "");
    let client = server.client();
    let layer = noise(7, LAYER_BYTES);
    let manifest =
        build::Image::oci(descriptor(OCI_CONFIG, CONFIG)).layer(descriptor(OCI_LAYER_GZIP, &layer));
    let manifest = manifest.build();

    client.push_blob("journey", CONFIG);
    let digest = push_layer(&client, &layer);
    let named = client.push_manifest("journey", "v1", &manifest);

    let found = client.get("/v2/journey/manifests/v1").send().expect(200);
    assert_eq!(found.body, manifest.bytes);
    let blob = format!("/v2/journey/blobs/{digest}");
    let head = client.head(&blob).send().expect(200);
    assert_eq!(head.expect_header("Content-Length"), LAYER_BYTES.to_string());
    await_redirects(&client, &blob);
    let before = server.metric("registry_http_response_bytes_total", &[("handler", "blob_get")]);
    assert!(pull(&client, &blob, None, signature).expect(200).body == layer);
    let range = pull(&client, &blob, Some("bytes=8388600-16777300"), signature).expect(206);
    assert!(range.body == layer[8_388_600..=16_777_300]);
    let passed = server.metric("registry_http_response_bytes_total", &[("handler", "blob_get")]);
    assert_eq!(passed, before, "bytes of blobs went through the registry");

    client.delete(format!("/v2/journey/manifests/{named}")).send().expect(202);
    client.delete(&blob).send().expect(202);
    for gone in [blob, "/v2/journey/manifests/v1".to_owned()] {
        assert_eq!(client.get(&gone).send().status, 404, "{gone}");
    }
}

/// Where the registry has a managed identity.
fn azure_by_tokens() -> Option<ObjectStore> {
    let identity = Arc::new(Microsoft::ManagedIdentity.with(Path::new("")));
    ObjectStore::find_azure_by_token(&identity)
}

macro_rules! on {
    ($store:ident, $find:expr, $signature:literal) => {
        #[test]
        fn $store() {
            let Some(store) = $find else { return };
            there_and_back(store, $signature);
        }
    };
}

on!(an_image_goes_to_the_main_s3_and_back, ObjectStore::find(Kind::S3), "X-Amz-Signature=");
on!(
    an_image_goes_to_the_second_s3_and_back,
    ObjectStore::find_other_s3("ENTREPOT_TEST_S3_SECOND"),
    "X-Amz-Signature="
);
on!(an_image_goes_to_ceph_and_back, ObjectStore::find_other_s3("ENTREPOT_TEST_S3_CEPH"), "X-Amz-Signature=");
on!(
    an_image_goes_to_garage_and_back,
    ObjectStore::find_other_s3("ENTREPOT_TEST_S3_GARAGE"),
    "X-Amz-Signature="
);
// By the certificate it is told to trust, each object encrypted by a key of the store's.
on!(
    an_image_goes_to_an_encrypting_s3_over_https_and_back,
    ObjectStore::find_other_s3("ENTREPOT_TEST_S3_HTTPS"),
    "X-Amz-Signature="
);
on!(an_image_goes_to_azure_by_a_key_and_back, ObjectStore::find(Kind::Azure), "sr=b&");
// A key that was delegated to the bearer of a token names whom it was delegated to.
on!(an_image_goes_to_azure_over_https_by_tokens_and_back, azure_by_tokens(), "skoid=");
on!(an_image_goes_to_google_and_back, ObjectStore::find(Kind::Gcs), "X-Goog-Signature=");
