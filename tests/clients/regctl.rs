//! regctl: tries an anonymous mount first, then one PUT, and chunks only when it has to or is told to.

use entrepot_tests::images::{Layout, TAG};
use entrepot_tests::programs::Program;

use crate::{Scene, text};

fn regctl() -> Option<(Scene, Program)> {
    let scene = Scene::with("regctl")?;
    let program = scene.program.clone().with("REGCTL_CONFIG", scene.path("regctl.json").display());
    program.run(&["registry", "set", "--tls", "disabled", &scene.server.address().to_string()]);
    Some((scene, program))
}

#[test]
fn regctl_copies_an_index_between_repositories_and_deletes() {
    let Some((scene, regctl)) = regctl() else { return };
    let layout = Layout::multi_architecture(&scene.path("made"));
    let (one, two) = (scene.tagged("regctl/one"), scene.tagged("regctl/two"));

    regctl.run(&["image", "copy", &format!("ocidir://{}", layout.reference()), &one]);
    assert_eq!(scene.verified("regctl/one"), layout.digest());
    regctl.run(&["image", "copy", &one, &two]);
    assert_eq!(scene.verified("regctl/two"), layout.digest());
    regctl.run(&["image", "copy", &two, &format!("ocidir://{}:{TAG}", text(&scene.path("pulled")))]);
    assert_eq!(regctl.run(&["image", "digest", &two]).trim(), layout.digest());

    regctl.run(&["tag", "delete", &one]);
    scene.is_gone("regctl/one", TAG);
    regctl.run(&["manifest", "delete", &format!("{}@{}", scene.repository("regctl/one"), layout.digest())]);
    scene.is_gone("regctl/one", layout.digest());
    assert_eq!(scene.verified("regctl/two"), layout.digest());
}

#[test]
fn regctl_pushes_a_layer_of_a_gibibyte_in_chunks() {
    let Some((scene, regctl)) = regctl() else { return };
    let layout = Layout::gibibyte_layer(&scene.path("made"));
    let address = scene.server.address().to_string();
    regctl.run(&["registry", "set", "--blob-max", "16777216", "--blob-chunk", "8388608", &address]);

    regctl.run(&[
        "image",
        "copy",
        &format!("ocidir://{}", layout.reference()),
        &scene.tagged("regctl/large"),
    ]);

    assert_eq!(scene.verified("regctl/large"), layout.digest());
    let log = scene.server.log();
    assert!(log.is_empty() || !log.contains("panicked"), "{log}");
}

#[test]
fn regctl_pushes_an_artifact_for_a_subject_and_lists_it() {
    let Some((scene, regctl)) = regctl() else { return };
    let layout = Layout::small(&scene.path("made"), 5);
    let subject = scene.tagged("regctl/subject");
    regctl.run(&["image", "copy", &format!("ocidir://{}", layout.reference()), &subject]);
    std::fs::write(scene.path("sbom.json"), "{}").unwrap();

    let file = scene.path("sbom.json");
    regctl.run(&[
        "artifact",
        "put",
        "--artifact-type",
        "application/vnd.example.sbom",
        "--file",
        text(&file),
        "--subject",
        &subject,
    ]);

    let listed = regctl.run(&["artifact", "list", "--format", "{{len .Descriptors}}", &subject]);
    assert_eq!(listed.trim(), "1");
}
