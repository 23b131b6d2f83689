//! Every request goes to the next replica: rows B12 and B34.

use std::sync::Arc;

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_oci::manifest::build;
use entrepot_tests::http::Client;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{noise, with_digest};
use entrepot_tests::registry::{Image, Setup, StoredCache, TestRegistry};
use serde_json::json;

/// Replicas over one store, each with a cache of its own that forgets nothing by itself.
fn replicas(setup: &Setup, count: usize) -> (Vec<TestRegistry>, Client) {
    let start = |_| setup.clone().cache(Arc::new(StoredCache::default())).start();
    let replicas: Vec<_> = (0..count).map(start).collect();
    let client = Client::of_all(replicas.iter().map(TestRegistry::address).collect());
    (replicas, client)
}

fn an_image_is_pushed_and_pulled_through_any_of_them(setup: Setup) {
    let (replicas, client) = replicas(&setup, 3);
    for n in 0..6 {
        let name = format!("app-{n}");
        let image = client.push_some_image(&name, "v1");
        for replica in &replicas {
            let pulled = replica.get(format!("/v2/{name}/manifests/v1")).send().expect(200);
            assert_eq!(pulled.body, image.manifest.bytes);
        }
    }
    let catalog = client.get("/v2/_catalog").send().expect(200).json();
    assert_eq!(catalog["repositories"].as_array().unwrap().len(), 6);
}

fn a_chunked_upload_needs_no_sticky_balancer(setup: Setup) {
    let (_replicas, client) = replicas(&setup, 3);
    let content = noise(1, 2_000_000);
    let mut location = client.open_upload("a");
    let mut offset = 0;
    for chunk in content.chunks(150_000) {
        let patch =
            client.patch(&location).header("Content-Range", format!("{offset}-{}", offset + chunk.len() - 1));
        let patched = patch.body(chunk).send().expect(202);
        location = patched.expect_header("Location").to_owned();
        offset += chunk.len();
        let status = client.get(&location).send().expect(204);
        assert_eq!(status.expect_header("Range"), format!("0-{}", offset - 1));
    }
    let digest = Digest::sha256(&content);

    client.put(with_digest(&location, digest)).empty().send().expect(201);

    for _ in 0..3 {
        assert!(client.get(format!("/v2/a/blobs/{digest}")).send().expect(200).body == content);
    }
}

/// docker asks for the blob right after the commit, and whoever answers has to know it. Nothing that was
/// absent a moment ago may be remembered as absent.
fn what_one_has_acknowledged_every_other_knows(setup: Setup) {
    let (replicas, client) = replicas(&setup, 3);
    let image = Image::called("late");
    let digest = Digest::sha256(&image.layer);
    let blob = format!("/v2/a/blobs/{digest}");
    for replica in &replicas {
        replica.head(&blob).send().expect(404);
        replica.get("/v2/a/manifests/v1").send().expect(404);
        replica.get(format!("/v2/a/referrers/{}", image.digest())).send().expect(200);
    }

    client.push_image("a", "v1", &image);
    let signature = build::Image::oci(image.descriptor()).subject(image.descriptor()).build();
    client.push_manifest("a", "signature", &signature);

    for replica in &replicas {
        replica.head(&blob).send().expect(200);
        replica.get("/v2/a/manifests/v1").send().expect(200);
        assert_eq!(replica.get("/v2/a/tags/list").send().json()["tags"], json!(["signature", "v1"]));
        let referrers = replica.get(format!("/v2/a/referrers/{}", image.digest())).send().expect(200);
        assert_eq!(referrers.json()["manifests"].as_array().unwrap().len(), 1);
    }
}

fn a_tag_that_moved_has_moved_everywhere(setup: Setup) {
    let (replicas, client) = replicas(&setup, 2);
    for n in 0..5 {
        let image = Image::called(&format!("version {n}"));
        client.push_image("a", "latest", &image);
        for replica in &replicas {
            let head = replica.head("/v2/a/manifests/latest").send().expect(200);
            assert_eq!(head.expect_header("Docker-Content-Digest"), image.digest().to_string());
        }
    }
    client.delete("/v2/a/manifests/latest").send().expect(202);
    for replica in &replicas {
        replica.get("/v2/a/manifests/latest").send().refused(Failure::ManifestUnknown);
    }
}

fn a_mount_is_known_everywhere(setup: Setup) {
    let (replicas, client) = replicas(&setup, 2);
    let digest = client.push_blob("source", b"shared");

    client.post(format!("/v2/target/blobs/uploads/?mount={digest}&from=source")).empty().send().expect(201);

    for replica in &replicas {
        replica.head(format!("/v2/target/blobs/{digest}")).send().expect(200);
    }
}

/// S-25: not even another replica takes a session for another repository's.
fn a_session_is_its_repositorys_alone(setup: Setup) {
    let (_replicas, client) = replicas(&setup, 2);
    let location = client.open_upload("a");
    let patched = client.patch(&location).body(b"content").send().expect(202);
    let location = patched.expect_header("Location").to_owned();

    for target in [location.replacen("/v2/a/", "/v2/b/", 1), "/v2/b/blobs/uploads/0190".to_owned()] {
        for method in ["GET", "PATCH", "DELETE"] {
            client.request(method, &target).empty().send().refused(Failure::UploadUnknown);
        }
        let closing = with_digest(&target, Digest::sha256(b"content"));
        client.put(closing).empty().send().refused(Failure::UploadUnknown);
    }

    client.put(with_digest(&location, Digest::sha256(b"content"))).empty().send().expect(201);
}

/// A page begun at one replica goes on at the next.
fn pages_go_on_elsewhere(setup: Setup) {
    let (_replicas, client) = replicas(&setup, 3);
    let image = client.push_some_image("a", "t0");
    for n in 1..7 {
        client.push_manifest("a", &format!("t{n}"), &image.manifest);
    }
    let (mut tags, mut target) = (Vec::new(), Some("/v2/a/tags/list?n=2".to_owned()));
    while let Some(here) = target {
        let answer = client.get(here).send().expect(200);
        tags.extend(answer.json()["tags"].as_array().unwrap().clone());
        target = answer.next_page();
    }
    assert_eq!(json!(tags), json!(["t0", "t1", "t2", "t3", "t4", "t5", "t6"]));
}

on_every_store![
    an_image_is_pushed_and_pulled_through_any_of_them,
    a_chunked_upload_needs_no_sticky_balancer,
    what_one_has_acknowledged_every_other_knows,
    a_tag_that_moved_has_moved_everywhere,
    a_mount_is_known_everywhere,
    a_session_is_its_repositorys_alone,
    pages_go_on_elsewhere,
];
