//! Pulls from an object store: no byte of a blob goes through the registry, by its own count.
//!
//! Every client gets all layers at once. containerd from 2.1 on fetches one layer by several ranges at once
//! too, of which the store behind answers none before all of them were asked for.

use entrepot_oci::Digest;
use entrepot_tests::http::{Client, Response};
use entrepot_tests::images::{Layer, Layout};
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};
use entrepot_tests::wire::{Passed, Wire};

use crate::containerd::{self, Containerd};
use crate::{Scene, podman};

const MIB: u64 = 1 << 20;

/// Six layers of up to 24 MiB: more than clients fetch at once, and more than one part each at the store.
fn layers(scene: &Scene) -> Layout {
    let layers: Vec<_> = (0..6).map(|seed| Layer::plain(300 + seed, (4 + 4 * seed) * MIB)).collect();
    Layout::image(&scene.path("made"), &layers)
}

fn redirected(server: &Server) -> u64 {
    server.metric("registry_http_requests_total", &[("handler", "blob_get"), ("code", "307")])
}

/// Every `GET` of a blob was redirected, `least` of them at least, and nothing was read for any of them.
#[track_caller]
fn moved_no_blob_byte(server: &Server, least: usize) {
    let answered = server.metric("registry_http_requests_total", &[("handler", "blob_get")]);
    assert!(redirected(server) >= least as u64, "{} redirects for {least} blobs", redirected(server));
    assert_eq!(answered, redirected(server), "a pull of a blob was not redirected");
    assert_eq!(server.metric("registry_http_response_bytes_total", &[("handler", "blob_get")]), 0);
}

#[test]
fn ctr_pulls_all_layers_at_once_past_the_registry() {
    let Some(scene) = Scene::on_object_store("ctr", Kind::S3) else { return };
    let Some(containerd) = Containerd::within(scene, containerd::DEBIAN) else { return };
    let scene = &containerd.scene;
    let layout = layers(scene);
    let imported = containerd.import(&layout);
    let reference = scene.tagged("ctr/redirected");
    containerd.push(&reference, &imported);
    containerd.forget();

    containerd.pull(&reference);

    containerd.has_whole(&layout);
    moved_no_blob_byte(&scene.server, layout.parts().len());
}

/// The ranges by which containerd gets `size` bytes, sorted: each open at its end, hung up on when enough has
/// come.
fn open_ranges(size: u64) -> Vec<String> {
    let starts = (0..size.div_ceil(containerd::RANGE_BYTES)).map(|index| index * containerd::RANGE_BYTES);
    let mut ranges: Vec<_> = starts.map(|start| format!("bytes={start}-")).collect();
    ranges.sort_unstable();
    ranges
}

/// The ranges of a blob that went by, sorted. The store's key of it holds its digest.
fn ranges_of(digest: &str, passed: &[Passed]) -> Vec<String> {
    let hexadecimal = digest.trim_start_matches("sha256:");
    let requests = passed.iter().filter(|request| request.path.contains(hexadecimal));
    let mut ranges: Vec<_> = requests.filter_map(|request| request.range.clone()).collect();
    ranges.sort_unstable();
    ranges
}

#[test]
fn containerd_pulls_one_layer_by_ranges_at_once_past_the_registry() {
    let Some(store) = ObjectStore::find(Kind::S3) else { return };
    let Some(address) = store.address() else { return };
    let wire = Wire::gathering(address, containerd::RANGES);
    let storage = Storage::Object(store.pulls_through(wire.address()));
    let Some(scene) = Scene::on(containerd::CURRENT.client, |_| Some(storage)) else { return };
    let Some(containerd) = Containerd::within(scene, containerd::CURRENT) else { return };
    let scene = &containerd.scene;
    let layout = Layout::image(&scene.path("made"), &[Layer::plain(500, 64 * MIB)]);
    let imported = containerd.import(&layout);
    let reference = scene.tagged("ctr/ranges");
    containerd.push(&reference, &imported);
    containerd.forget();
    assert_eq!(wire.take(), []);

    containerd.pull(&reference);

    containerd.has_whole(&layout);
    let layer = &layout.parts()[1];
    let wanted = open_ranges(layout.blob(layer).len() as u64);
    assert_eq!(ranges_of(layer, &wire.take()), wanted);
    moved_no_blob_byte(&scene.server, wanted.len() + 1);
}

#[test]
fn podman_pulls_all_layers_at_once_past_the_registry() {
    let Some(scene) = Scene::on_object_store("podman", Kind::S3) else { return };
    let (scene, podman) = podman::within(scene);
    let layout = layers(&scene);
    let id = podman::load(&scene, &podman, &layout);
    let reference = scene.tagged("podman/redirected");
    podman::push(&podman, &id, &reference);
    podman.run(&["rmi", "--force", &id]);

    let pulled = podman.run(&["pull", "--quiet", "--tls-verify=false", &reference]);

    assert_eq!(pulled.trim(), id);
    moved_no_blob_byte(&scene.server, layout.parts().len());
}

/// What a client does with one range: it asks the registry, and follows with the same `Range`.
fn range(client: &Client, target: &str, first: u64, last: u64) -> Vec<u8> {
    let wanted = format!("bytes={first}-{last}");
    let answer = client.get(target).header("Range", &wanted).send().expect(307);
    let fetched: Response =
        Client::fetching(answer.expect_header("Location"), &[("Range", &wanted)]).expect(206);
    assert_eq!(fetched.body.len() as u64, last - first + 1);
    fetched.body
}

#[test]
fn a_layer_pulled_by_ranges_at_once_goes_past_the_registry() {
    let Some(scene) = Scene::on_object_store("skopeo", Kind::S3) else { return };
    let layout = Layout::image(&scene.path("made"), &[Layer::plain(400, 64 * MIB)]);
    let to = format!("docker://{}", scene.tagged("ranges"));
    let from = format!("oci:{}", layout.reference());
    let arguments =
        ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", &from, &to];
    scene.program.run(&arguments);
    let digest = &layout.parts()[1];
    let (client, target) = (scene.server.client(), format!("/v2/ranges/blobs/{digest}"));
    let head = client.head(&target).send().expect(200);
    let size: u64 = head.expect_header("Content-Length").parse().expect("a length is a number");

    let pieces: Vec<Vec<u8>> = std::thread::scope(|threads| {
        let begin = |index: u64| {
            let (client, target) = (&client, &target);
            let (first, last) = (index * 8 * MIB, ((index + 1) * 8 * MIB - 1).min(size - 1));
            threads.spawn(move || range(client, target, first, last))
        };
        let running: Vec<_> = (0..size.div_ceil(8 * MIB)).map(begin).collect();
        running.into_iter().map(|thread| thread.join().expect("a range is fetched")).collect()
    });

    assert_eq!(Digest::sha256(&pieces.concat()).to_string(), *digest);
    moved_no_blob_byte(&scene.server, pieces.len());
}
