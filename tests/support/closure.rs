//! Whether a registry still has everything a reference leads to, byte for byte.

use entrepot_oci::Digest;
use serde_json::Value;

use crate::http::{Client, Response};

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json";

/// Past this size a blob is only asked for, not fetched: the suites that push such blobs pull them too.
const MAX_FETCHED_BYTES: u64 = 64 << 20;

/// Reads `reference` of `repository` and everything below it, checks each against its digest and size, and
/// returns the digest of the top. Panics on whatever is missing or wrong.
#[track_caller]
pub fn verify(client: &Client, repository: &str, reference: &str) -> String {
    let answer = manifest(client, repository, reference);
    assert_eq!(answer.status, 200, "{repository}:{reference}: {answer}");
    let digest = checked(&answer, reference);
    let document = answer.json();
    for child in document["manifests"].as_array().into_iter().flatten() {
        verify(client, repository, text(child, "digest"));
    }
    let layers = document["layers"].as_array().into_iter().flatten();
    for part in layers.chain(document.get("config")) {
        verify_blob(client, repository, part);
    }
    digest
}

/// The answer to a `GET` of a manifest by somebody who takes every kind.
pub fn manifest(client: &Client, repository: &str, reference: &str) -> Response {
    client.get(format!("/v2/{repository}/manifests/{reference}")).header("Accept", ACCEPT).send()
}

/// The tags of a repository, in one page; none if it is unknown.
pub fn tags(client: &Client, repository: &str) -> Vec<String> {
    let answer = client.get(format!("/v2/{repository}/tags/list?n=1000")).send();
    if answer.status == 404 {
        return Vec::new();
    }
    let document = answer.expect(200).json();
    let tags = document["tags"].as_array().cloned().unwrap_or_default();
    tags.iter().map(|tag| tag.as_str().expect("a tag is text").to_owned()).collect()
}

fn verify_blob(client: &Client, repository: &str, descriptor: &Value) {
    let digest = text(descriptor, "digest");
    let size = descriptor["size"].as_u64().expect("a descriptor has a size");
    let target = format!("/v2/{repository}/blobs/{digest}");
    let head = client.head(&target).send().expect(200);
    assert_eq!(head.expect_header("Content-Length"), size.to_string(), "{target}: {head}");
    if size > MAX_FETCHED_BYTES {
        return;
    }
    let answer = client.get(&target).send();
    if answer.status == 307 {
        return verify_redirected(&answer, digest, size);
    }
    assert_eq!(answer.status, 200, "{target}: {answer}");
    assert_eq!(answer.body.len() as u64, size, "{target}");
    assert_eq!(checked(&answer, digest), digest, "{target}");
}

/// Fetches what a redirected pull leads to.
fn verify_redirected(answer: &Response, digest: &str, size: u64) {
    let fetched = Client::fetch(answer.expect_header("Location")).expect(200);
    let wanted: Digest = digest.parse().expect("a descriptor has a digest");
    assert_eq!(fetched.body.len() as u64, size, "{digest} from the store");
    assert_eq!(Digest::of(wanted.algorithm(), &fetched.body), wanted, "from the store");
}

/// The digest of the body, which must be the announced one, and the asked one if one was asked.
fn checked(answer: &Response, reference: &str) -> String {
    let announced = answer.expect_header("Docker-Content-Digest").to_owned();
    let expected: Digest = announced.parse().expect("the answer has a digest");
    let found = Digest::of(expected.algorithm(), &answer.body).to_string();
    assert!(answer.complete, "the body of {reference} was cut");
    assert_eq!(found, announced, "{reference} is not what it is called");
    assert!(!reference.contains(':') || reference == found, "{reference} was answered with {found}");
    found
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}
