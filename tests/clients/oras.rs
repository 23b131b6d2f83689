//! oras: artifacts, referrers, one PUT for each blob; oras-go is also what helm and notation push with.

use entrepot_tests::images::{Layout, TAG};
use serde_json::Value;

use crate::{Scene, text};

#[test]
fn oras_pushes_and_pulls_a_file_as_an_artifact() {
    let Some(scene) = Scene::with("oras") else { return };
    std::fs::write(scene.path("words.txt"), "some words").unwrap();
    let reference = scene.tagged("oras/file");

    let artifact = "application/vnd.example.words";
    scene.program.run(&[
        "push",
        "--plain-http",
        "--artifact-type",
        artifact,
        &reference,
        "words.txt:text/plain",
    ]);
    scene.verified("oras/file");

    let pulled = scene.path("pulled");
    scene.program.run(&["pull", "--plain-http", "--output", text(&pulled), &reference]);
    assert_eq!(std::fs::read_to_string(pulled.join("words.txt")).unwrap(), "some words");
}

#[test]
fn oras_copies_an_index_between_repositories_and_deletes_it() {
    let Some(scene) = Scene::with("oras") else { return };
    let layout = Layout::multi_architecture(&scene.path("made"));
    let (one, two) = (scene.tagged("oras/one"), scene.tagged("oras/two"));

    scene.program.run(&["copy", "--from-oci-layout", "--to-plain-http", &layout.reference(), &one]);
    assert_eq!(scene.verified("oras/one"), layout.digest());
    scene.program.run(&["copy", "--from-plain-http", "--to-plain-http", &one, &two]);
    assert_eq!(scene.verified("oras/two"), layout.digest());
    let pulled = format!("{}:{TAG}", text(&scene.path("pulled")));
    scene.program.run(&["copy", "--from-plain-http", "--to-oci-layout", &two, &pulled]);

    scene.program.run(&["manifest", "delete", "--plain-http", "--force", &one]);
    scene.is_gone("oras/one", TAG);
    assert_eq!(scene.verified("oras/two"), layout.digest());
}

#[test]
fn oras_attaches_and_discovers_referrers() {
    let Some(scene) = Scene::with("oras") else { return };
    let layout = Layout::small(&scene.path("made"), 4);
    let subject = scene.tagged("oras/subject");
    std::fs::write(scene.path("sbom.json"), "{}").unwrap();
    scene.program.run(&["copy", "--from-oci-layout", "--to-plain-http", &layout.reference(), &subject]);

    let artifact = "application/vnd.example.sbom";
    scene.program.run(&[
        "attach",
        "--plain-http",
        "--artifact-type",
        artifact,
        &subject,
        "sbom.json:application/json",
    ]);

    // The referrers of the specification, not the fallback tag: no tag but the first may appear.
    let found = scene.program.run(&[
        "discover",
        "--plain-http",
        "--format",
        "json",
        "--distribution-spec",
        "v1.1-referrers-api",
        &subject,
    ]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let listed = found.get("referrers").or(found.get("manifests")).and_then(Value::as_array).unwrap();
    assert_eq!(listed.len(), 1, "{found}");
    assert_eq!(listed[0]["artifactType"], artifact);
    let tags = scene.program.run(&["repo", "tags", "--plain-http", &scene.repository("oras/subject")]);
    assert_eq!(tags.trim(), TAG);
}

#[test]
fn oras_pushes_fetches_and_deletes_a_blob() {
    let Some(scene) = Scene::with("oras") else { return };
    std::fs::write(scene.path("blob"), "a blob").unwrap();
    let repository = scene.repository("oras/blob");

    let descriptor =
        scene.program.run(&["blob", "push", "--plain-http", "--descriptor", &repository, "blob"]);
    let descriptor: Value = serde_json::from_str(&descriptor).unwrap();
    let reference = format!("{repository}@{}", descriptor["digest"].as_str().unwrap());
    let fetched = scene.program.run(&["blob", "fetch", "--plain-http", "--output", "-", &reference]);
    assert_eq!(fetched, "a blob");

    scene.program.run(&["blob", "delete", "--plain-http", "--force", &reference]);
    assert!(
        !scene.program.attempt(&["blob", "fetch", "--plain-http", "--output", "-", &reference]).succeeded
    );
}
