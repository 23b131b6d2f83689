//! Replicas that die: between two requests, within one, and after what they did but before they said so.
//! Rows B12 and B37; reliability rows 34 and 56.

use entrepot_oci::Digest;
use entrepot_storage::decorate::{Effect, Rule};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{noise, with_digest};
use entrepot_tests::registry::{Image, Setup};

fn next(answer: &Response) -> String {
    answer.expect_header("Location").to_owned()
}

/// One replica for each request, dead before the next.
fn a_replica_dies_after_every_request(setup: Setup) {
    let content = noise(1, 1_000_000);
    let digest = Digest::sha256(&content);
    let mut location = setup.start().open_upload("a");
    let mut offset = 0;
    for chunk in content.chunks(200_000) {
        let patch = |client: &Client| {
            let range = format!("{offset}-{}", offset + chunk.len() - 1);
            client.patch(&location).header("Content-Range", range).body(chunk).send().expect(202)
        };
        location = next(&patch(&setup.start()));
        offset += chunk.len();
        location = next(&setup.start().get(&location).send().expect(204));
    }
    setup.start().put(with_digest(&location, digest)).empty().send().expect(201);

    let answer = setup.start().get(format!("/v2/a/blobs/{digest}")).send().expect(200);
    assert!(answer.body == content);
}

/// The replica dies while the client is sending. What was acknowledged is there; the rest is sent again.
fn a_replica_dies_within_a_chunk(setup: Setup) {
    let content = noise(2, 3_000_000);
    let digest = Digest::sha256(&content);
    let dying = setup.start();
    let location = next(&dying.patch(dying.open_upload("a")).body(&content[..1_000_000]).send().expect(202));
    let mut connection = dying.connect();
    let patch =
        dying.patch(&location).header("Content-Length", 2_000_000).raw(&content[1_000_000..2_000_000]);
    connection.write(&patch.into_bytes("r"));
    drop(dying);

    let survivor = setup.start();
    let status = survivor.get(&location).send().expect(204);
    let last: usize = status.expect_header("Range").strip_prefix("0-").unwrap().parse().unwrap();
    assert!((999_999..2_000_000).contains(&last), "{last}");
    let range = format!("{}-{}", last + 1, content.len() - 1);
    let patch = survivor.patch(next(&status)).header("Content-Range", range).body(&content[last + 1..]);
    survivor.put(with_digest(&next(&patch.send().expect(202)), digest)).empty().send().expect(201);

    assert!(survivor.get(format!("/v2/a/blobs/{digest}")).send().expect(200).body == content);
}

/// Pushes an image as a client does that meets a dead replica: each step is tried once at the first, and
/// then at the second from where the upload stands. Anything but success and honest failure is a bug.
fn push(first: &Client, second: &Client, name: &str, image: &Image) {
    for content in [&image.config, &image.layer] {
        let digest = Digest::sha256(content);
        let half = content.len() / 2;
        let mut location = first.open_upload(name);
        let patch = |client: &Client, at: &str| {
            let range = format!("0-{}", half - 1);
            client.patch(at).header("Content-Range", range).body(&content[..half]).send()
        };
        let mut patched = patch(first, &location);
        if patched.status == 503 {
            patched = patch(second, &location);
        }
        // 416: the first did it and could not say so.
        assert!([202, 416].contains(&patched.status), "{patched}");
        assert_eq!(patched.expect_header("Range"), format!("0-{}", half - 1));
        location = next(&patched);
        let close =
            |client: &Client| client.put(with_digest(&location, digest)).body(&content[half..]).send();
        let mut closed = close(first);
        if closed.status == 503 {
            closed = close(second);
        }
        closed.expect(201);
    }
    let put = first.put_manifest(name, "v1", &image.manifest);
    if put.status == 503 {
        second.put_manifest(name, "v1", &image.manifest).expect(201);
    } else {
        put.expect(201);
    }
}

/// Row 56: the process dies at each call a push makes to the store in turn, before and after it was done.
fn a_push_survives_a_death_at_any_point(setup: Setup) {
    let survivor = setup.start();
    for (when, effect) in [("before", Effect::CrashBefore), ("after", Effect::CrashAfter)] {
        let mut call = 0;
        loop {
            call += 1;
            let (dying, controls) = setup.clone().breakable();
            let dying = dying.start();
            let name = format!("crash/{when}-{call}");
            let image = Image::called(&name);
            controls.add(Rule::new(effect).nth(call));

            push(&dying, &survivor, &name, &image);

            let pulled = survivor.get(format!("/v2/{name}/manifests/v1")).send().expect(200);
            assert_eq!(pulled.body, image.manifest.bytes);
            for content in [&image.layer, &image.config] {
                let blob = format!("/v2/{name}/blobs/{}", Digest::sha256(content));
                assert_eq!(survivor.get(blob).send().expect(200).body, *content);
            }
            if !controls.is_crashed() {
                break;
            }
        }
        assert!(call > 20, "a push made {call} calls only");
    }
}

/// Deletes are done or not, whenever the process dies.
fn a_delete_survives_a_death_at_any_point(setup: Setup) {
    let survivor = setup.start();
    for effect in [Effect::CrashBefore, Effect::CrashAfter] {
        let mut call = 0;
        loop {
            call += 1;
            let image = survivor.push_some_image("a", "v1");
            let (dying, controls) = setup.clone().breakable();
            let dying = dying.start();
            let target = format!("/v2/a/manifests/{}", image.digest());
            controls.add(Rule::new(effect).nth(call));

            let answer = dying.delete(&target).send();
            let crashed = controls.is_crashed();
            if answer.status == 503 {
                let again = survivor.delete(&target).send();
                assert!([202, 404].contains(&again.status), "{again}");
            } else {
                answer.expect(202);
            }

            survivor.get(&target).send().expect(404);
            survivor.get("/v2/a/manifests/v1").send().expect(404);
            if !crashed {
                break;
            }
        }
    }
    let image = survivor.push_some_image("a", "v1");
    assert_eq!(survivor.get("/v2/a/manifests/v1").send().expect(200).body, image.manifest.bytes);
}

on_every_store![
    a_replica_dies_after_every_request,
    a_replica_dies_within_a_chunk,
    a_push_survives_a_death_at_any_point,
    a_delete_survives_a_death_at_any_point,
];
