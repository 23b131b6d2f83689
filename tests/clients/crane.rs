//! crane: the library under ko, kaniko, cosign and flux; mounts with `origin=`, deletes, validates.

use entrepot_tests::closure;
use entrepot_tests::images::Layout;

use crate::{Scene, text};

#[test]
fn crane_pushes_copies_pulls_and_deletes() {
    let Some(scene) = Scene::with("crane") else { return };
    let layout = Layout::small(&scene.path("made"), 2);
    let (one, two) = (scene.tagged("crane/one"), scene.tagged("crane/two"));

    scene.program.run(&["push", text(layout.directory()), &one]);
    assert_eq!(scene.verified("crane/one"), layout.digest());
    scene.program.run(&["copy", &one, &two]);
    assert_eq!(scene.verified("crane/two"), layout.digest());

    assert_eq!(scene.program.run(&["digest", &two]).trim(), layout.digest());
    assert_eq!(scene.program.run(&["manifest", &two]).into_bytes(), layout.manifest());
    let pulled = scene.path("pulled");
    scene.program.run(&["pull", "--format=oci", &two, text(&pulled)]);
    for digest in layout.parts() {
        let blob = std::fs::read(pulled.join("blobs").join(digest.replace(':', "/"))).unwrap();
        assert_eq!(blob, layout.blob(&digest));
    }

    scene.program.run(&["delete", &format!("{}@{}", scene.repository("crane/one"), layout.digest())]);
    scene.is_gone("crane/one", layout.digest());
    assert_eq!(scene.verified("crane/two"), layout.digest());
}

#[test]
fn crane_tags_and_lists_tags_and_repositories() {
    let Some(scene) = Scene::with("crane") else { return };
    let layout = Layout::small(&scene.path("made"), 3);
    scene.program.run(&["push", text(layout.directory()), &scene.tagged("crane/tagged")]);

    scene.program.run(&["tag", &scene.tagged("crane/tagged"), "latest"]);

    let tags = scene.program.run(&["ls", &scene.repository("crane/tagged")]);
    assert_eq!(tags.lines().collect::<Vec<_>>(), ["latest", "v1"]);
    let catalog = scene.program.run(&["catalog", &scene.server.address().to_string()]);
    assert_eq!(catalog.lines().collect::<Vec<_>>(), ["crane/tagged"]);
}

#[test]
fn crane_copies_an_index_with_its_images() {
    let Some(scene) = Scene::with("crane") else { return };
    let layout = Layout::multi_architecture(&scene.path("made"));
    let (one, two) = (scene.tagged("crane/one"), scene.tagged("crane/two"));

    // crane pushes the layout's own list of images as the index; what it names must be there all the same.
    scene.program.run(&["push", "--index", text(layout.directory()), &one]);
    scene.program.run(&["copy", &one, &two]);

    assert_eq!(scene.verified("crane/two"), scene.verified("crane/one"));
    assert_eq!(closure::verify(&scene.server.client(), "crane/two", layout.digest()), layout.digest());
}

#[test]
fn crane_pushes_and_pulls_a_hundred_layers() {
    let Some(scene) = Scene::with("crane") else { return };
    let layout = Layout::hundred_layers(&scene.path("made"));
    let reference = scene.tagged("crane/many");

    scene.program.run(&["push", text(layout.directory()), &reference]);

    assert_eq!(scene.verified("crane/many"), layout.digest());
    scene.program.run(&["validate", "--remote", &reference]);
}
