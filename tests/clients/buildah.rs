//! buildah: an image made by a build rather than by us, pushed, pulled and put into a list.

use entrepot_tests::programs::Program;

use crate::{Scene, text};

fn buildah() -> Option<(Scene, Program)> {
    let scene = Scene::with("buildah")?;
    let (root, run) = (scene.path("store"), scene.path("run"));
    let stores = ["--root", text(&root), "--runroot", text(&run), "--storage-driver", "vfs"];
    let program = scene.program.clone().always(&stores);
    Some((scene, program.with("BUILDAH_ISOLATION", "chroot")))
}

/// Builds an image of one file for an architecture.
fn build(scene: &Scene, buildah: &Program, architecture: &str) -> String {
    let file = scene.path(architecture);
    std::fs::write(&file, architecture).expect("a file can be written");
    let container = buildah.run(&["from", "scratch"]);
    buildah.run(&["add", container.trim(), text(&file), "/file"]);
    buildah.run(&["config", "--arch", architecture, container.trim()]);
    let image = format!("localhost/{architecture}");
    buildah.run(&["commit", "--rm", "--quiet", container.trim(), &image]);
    image
}

#[test]
fn buildah_pushes_what_it_built_and_pulls_it_again() {
    let Some((scene, buildah)) = buildah() else { return };
    let image = build(&scene, &buildah, "amd64");
    let id = buildah.run(&["inspect", "--type", "image", "--format", "{{.FromImageID}}", &image]);
    let (one, two) = (scene.tagged("buildah/one"), scene.tagged("buildah/two"));

    buildah.run(&["push", "--tls-verify=false", &image, &format!("docker://{one}")]);
    buildah.run(&["push", "--tls-verify=false", &image, &format!("docker://{two}")]);
    assert_eq!(scene.verified("buildah/one"), scene.verified("buildah/two"));

    buildah.run(&["rmi", &image]);
    let pulled = buildah.run(&["pull", "--quiet", "--tls-verify=false", &two]);
    assert_eq!(pulled.trim(), id.trim());
}

#[test]
fn buildah_pushes_a_manifest_list() {
    let Some((scene, buildah)) = buildah() else { return };
    let images = ["amd64", "arm64"].map(|architecture| build(&scene, &buildah, architecture));

    buildah.run(&["manifest", "create", "list"]);
    for image in &images {
        buildah.run(&["manifest", "add", "list", &format!("containers-storage:{image}")]);
    }
    let to = format!("docker://{}", scene.tagged("buildah/list"));
    buildah.run(&["manifest", "push", "--all", "--tls-verify=false", "list", &to]);

    scene.verified("buildah/list");
}
