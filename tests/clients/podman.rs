//! podman: containers/image with a store of its own; images, manifest lists, deletes by way of skopeo's library.

use entrepot_tests::images::Layout;
use entrepot_tests::programs::Program;

use crate::{Scene, text};

fn podman() -> Option<(Scene, Program)> {
    Scene::with("podman").map(within)
}

/// With a store of its own that needs no mounts, in a scene whose program is podman.
pub(crate) fn within(scene: Scene) -> (Scene, Program) {
    let (root, run, temporary) = (scene.path("store"), scene.path("run"), scene.path("temporary"));
    let program = scene.program.clone().always(&[
        "--root",
        text(&root),
        "--runroot",
        text(&run),
        "--tmpdir",
        text(&temporary),
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "none",
    ]);
    (scene, program)
}

/// Loads the image of a layout and returns its id. From an archive: podman makes a name of a directory's
/// path, and refuses ours for its capitals.
pub(crate) fn load(scene: &Scene, podman: &Program, layout: &Layout) -> String {
    let (archive, name) = (scene.path("archive.tar"), "localhost/made:v1");
    layout.archive(&archive, name);
    podman.run(&["load", "--quiet", "--input", text(&archive)]);
    let ids = podman.run(&["images", "--no-trunc", "--quiet"]);
    let id = ids.trim().trim_start_matches("sha256:").to_owned();
    assert_eq!(format!("sha256:{id}"), layout.parts()[0]);
    id
}

pub(crate) fn push(podman: &Program, image: &str, to: &str) {
    podman.run(&["push", "--tls-verify=false", image, &format!("docker://{to}")]);
}

#[test]
fn podman_pushes_mounts_and_pulls() {
    let Some((scene, podman)) = podman() else { return };
    let layout = Layout::small(&scene.path("made"), 6);
    let (one, two) = (scene.tagged("podman/one"), scene.tagged("podman/two"));
    let id = load(&scene, &podman, &layout);

    push(&podman, &id, &one);
    scene.verified("podman/one");
    push(&podman, &id, &two);
    scene.verified("podman/two");

    podman.run(&["rmi", "--force", &id]);
    let pulled = podman.run(&["pull", "--quiet", "--tls-verify=false", &two]);
    assert_eq!(pulled.trim(), id);
}

#[test]
fn podman_pushes_and_pulls_a_hundred_layers() {
    let Some((scene, podman)) = podman() else { return };
    let layout = Layout::hundred_layers(&scene.path("made"));
    let id = load(&scene, &podman, &layout);

    push(&podman, &id, &scene.tagged("podman/many"));

    scene.verified("podman/many");
    podman.run(&["rmi", "--force", &id]);
    let pulled = podman.run(&["pull", "--quiet", "--tls-verify=false", &scene.tagged("podman/many")]);
    assert_eq!(pulled.trim(), id);
}

#[test]
fn podman_makes_and_pushes_a_manifest_list() {
    let Some((scene, podman)) = podman() else { return };
    let layout = Layout::multi_architecture(&scene.path("made"));
    let (list, to) = ("localhost/list", scene.tagged("podman/list"));

    podman.run(&["manifest", "create", list]);
    podman.run(&["manifest", "add", "--all", list, &format!("oci:{}", layout.reference())]);
    podman.run(&["manifest", "push", "--all", "--tls-verify=false", list, &format!("docker://{to}")]);

    scene.verified("podman/list");
    let pulled = podman.run(&["pull", "--quiet", "--tls-verify=false", "--arch", "arm64", &to]);
    let architecture = podman.run(&["inspect", "--format", "{{.Architecture}}", pulled.trim()]);
    assert_eq!(architecture.trim(), "arm64");
}
