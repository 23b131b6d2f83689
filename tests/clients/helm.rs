//! helm: charts as artifacts; `+` in a version becomes `_` in the tag.

use crate::{Scene, text};

const CHART: &str = "apiVersion: v2\nname: example\nversion: 1.2.3+build.1\n";

#[test]
fn helm_pushes_shows_and_pulls_a_chart() {
    let Some(scene) = Scene::with("helm") else { return };
    let chart = scene.path("example");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), CHART).unwrap();
    std::fs::write(chart.join("templates/map.yaml"), "apiVersion: v1\nkind: ConfigMap\n").unwrap();
    scene.program.run(&["package", text(&chart)]);
    let packed = scene.path("example-1.2.3+build.1.tgz");
    let remote = format!("oci://{}", scene.repository("charts"));

    scene.program.run(&["push", "--plain-http", text(&packed), &remote]);

    let client = scene.server.client();
    entrepot_tests::closure::verify(&client, "charts/example", "1.2.3_build.1");
    let name = format!("{remote}/example");
    let shown = scene.program.run(&["show", "chart", "--plain-http", &name, "--version", "1.2.3+build.1"]);
    assert!(shown.contains("name: example"), "{shown}");
    let pulled = scene.path("pulled");
    std::fs::create_dir(&pulled).unwrap();
    scene.program.run(&[
        "pull",
        "--plain-http",
        &name,
        "--version",
        "1.2.3+build.1",
        "--destination",
        text(&pulled),
    ]);
    let file = pulled.join("example-1.2.3+build.1.tgz");
    assert_eq!(std::fs::read(file).unwrap(), std::fs::read(packed).unwrap());
}
