//! skopeo: one streamed PATCH for each blob, mounts from its blob cache, copies of whole indexes.

use entrepot_tests::images::Layout;
use entrepot_tests::programs::Program;

use crate::{Scene, text};

/// Copies as it is: digests must survive, so nothing is compressed on the way.
fn copy(skopeo: &Program, from: &str, to: &str) {
    skopeo.run(&[
        "--insecure-policy",
        "copy",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        from,
        to,
    ]);
}

#[test]
fn skopeo_pushes_copies_pulls_and_deletes() {
    let Some(scene) = Scene::with("skopeo") else { return };
    let layout = Layout::small(&scene.path("made"), 1);
    let remote = |repository: &str| format!("docker://{}", scene.tagged(repository));

    copy(&scene.program, &format!("oci:{}", layout.reference()), &remote("skopeo/one"));
    assert_eq!(scene.verified("skopeo/one"), layout.digest());
    copy(&scene.program, &remote("skopeo/one"), &remote("skopeo/two"));
    assert_eq!(scene.verified("skopeo/two"), layout.digest());

    let pulled = scene.path("pulled");
    copy(&scene.program, &remote("skopeo/two"), &format!("dir:{}", text(&pulled)));
    assert_eq!(std::fs::read(pulled.join("manifest.json")).unwrap(), layout.manifest());
    let tags = scene.program.run(&[
        "list-tags",
        "--tls-verify=false",
        &format!("docker://{}", scene.repository("skopeo/one")),
    ]);
    assert!(tags.contains("\"v1\""), "{tags}");

    scene.program.run(&["delete", "--tls-verify=false", &remote("skopeo/one")]);
    scene.is_gone("skopeo/one", layout.digest());
    assert_eq!(scene.verified("skopeo/two"), layout.digest());
}

#[test]
fn skopeo_copies_an_index_with_its_images() {
    let Some(scene) = Scene::with("skopeo") else { return };
    let layout = Layout::multi_architecture(&scene.path("made"));
    let remote = |repository: &str| format!("docker://{}", scene.tagged(repository));

    copy(&scene.program, &format!("oci:{}", layout.reference()), &remote("skopeo/one"));
    copy(&scene.program, &remote("skopeo/one"), &remote("skopeo/two"));

    assert_eq!(scene.verified("skopeo/two"), layout.digest());
}

#[test]
fn skopeo_pushes_and_pulls_a_layer_of_a_gibibyte() {
    let Some(scene) = Scene::with("skopeo") else { return };
    let layout = Layout::gibibyte_layer(&scene.path("made"));
    let remote = format!("docker://{}", scene.tagged("skopeo/large"));

    copy(&scene.program, &format!("oci:{}", layout.reference()), &remote);
    assert_eq!(scene.verified("skopeo/large"), layout.digest());

    // skopeo hashes what it pulls, and fails if it is not what the manifest says.
    let pulled = scene.path("pulled");
    copy(&scene.program, &remote, &format!("dir:{}", text(&pulled)));
    assert_eq!(std::fs::read(pulled.join("manifest.json")).unwrap(), layout.manifest());
}
