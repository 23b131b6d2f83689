//! containerd by `ctr`: one PUT of known length for each blob, and it insists on `Docker-Content-Digest`.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use entrepot_tests::images::{Layout, TAG};
use entrepot_tests::programs::Program;

use crate::{Scene, text};

/// A containerd with directories of its own. Only content is moved; nothing is unpacked or run.
pub(crate) struct Containerd {
    daemon: Child,
    pub(crate) ctr: Program,
    pub(crate) scene: Scene,
}

impl Containerd {
    fn start() -> Option<Self> {
        Self::within(Scene::with("ctr")?)
    }

    /// In a scene whose program is `ctr`.
    pub(crate) fn within(scene: Scene) -> Option<Self> {
        let daemon = Program::find("containerd", scene.home.path())?;
        let socket = scene.path("containerd.sock");
        let (root, state, config) = (scene.path("root"), scene.path("state"), scene.path("containerd.toml"));
        // Its CRI plugin wants a network and a sandbox, and is not what speaks to registries here.
        let settings = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        std::fs::write(&config, settings).expect("a file can be written");
        let arguments = [
            "--config",
            text(&config),
            "--root",
            text(&root),
            "--state",
            text(&state),
            "--address",
            text(&socket),
        ];
        let daemon = daemon.daemon(&arguments, &scene.path("containerd.log"));
        let ctr = scene.program.clone().always(&["--address", text(&socket)]);
        let mut containerd = Self { daemon, ctr, scene };
        containerd.wait_until_ready();
        Some(containerd)
    }

    fn wait_until_ready(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.ctr.attempt(&["version"]).succeeded {
            let ended = self.daemon.try_wait().expect("a child can be asked");
            let log = std::fs::read_to_string(self.scene.path("containerd.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < end, "containerd does not answer:\n{log}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Imports a layout and returns the name it has in containerd.
    pub(crate) fn import(&self, layout: &Layout) -> String {
        let archive = self.scene.path("archive.tar");
        layout.archive(&archive, "localhost/imported:v1");
        let name = format!("localhost/made:{TAG}");
        let arguments = [
            "images",
            "import",
            "--no-unpack",
            "--all-platforms",
            "--base-name",
            "localhost/made",
            "--digests",
        ];
        self.ctr.run(&[&arguments[..], &[text(&archive)]].concat());
        let listed = self.ctr.run(&["images", "list", "--quiet"]);
        let found = listed.lines().find(|line| line.contains(layout.digest()));
        found.map_or(name, str::to_owned)
    }
}

impl Containerd {
    /// Removes every image, so that its content has to be pulled again.
    pub(crate) fn forget(&self) {
        let listed = self.ctr.run(&["images", "list", "--quiet"]);
        for image in listed.lines() {
            self.ctr.run(&["images", "remove", "--sync", image]);
        }
        let content = self.ctr.run(&["content", "list", "--quiet"]);
        assert!(content.trim().is_empty(), "content is left:\n{content}");
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
    }
}

#[test]
fn ctr_pushes_mounts_and_pulls() {
    let Some(containerd) = Containerd::start() else { return };
    let (scene, ctr) = (&containerd.scene, &containerd.ctr);
    let layout = Layout::small(&scene.path("made"), 10);
    let imported = containerd.import(&layout);
    let (one, two) = (scene.tagged("ctr/one"), scene.tagged("ctr/two"));

    ctr.run(&["images", "push", "--plain-http", &one, &imported]);
    assert_eq!(scene.verified("ctr/one"), layout.digest());
    ctr.run(&["content", "fetch", "--plain-http", "--all-platforms", &one]);
    // Fetched content remembers its source, so a push to another repository of it tries a mount.
    ctr.run(&["images", "push", "--plain-http", &two, &one]);
    assert_eq!(scene.verified("ctr/two"), layout.digest());

    let target = ctr.run(&["images", "list", &format!("name=={one}")]);
    assert!(target.contains(layout.digest()), "{target}");
}

#[test]
fn ctr_pushes_and_pulls_an_index_with_all_its_images() {
    let Some(containerd) = Containerd::start() else { return };
    let (scene, ctr) = (&containerd.scene, &containerd.ctr);
    let layout = Layout::multi_architecture(&scene.path("made"));
    let imported = containerd.import(&layout);
    let reference = scene.tagged("ctr/index");

    ctr.run(&["images", "push", "--plain-http", &reference, &imported]);
    assert_eq!(scene.verified("ctr/index"), layout.digest());

    ctr.run(&["images", "remove", "--sync", &imported]);
    ctr.run(&["content", "fetch", "--plain-http", "--all-platforms", &reference]);
    let content = ctr.run(&["content", "list", "--quiet"]);
    assert!(content.contains(layout.digest()), "{content}");
}

#[test]
fn ctr_pushes_and_pulls_a_layer_of_a_gibibyte() {
    let Some(containerd) = Containerd::start() else { return };
    let (scene, ctr) = (&containerd.scene, &containerd.ctr);
    let layout = Layout::gibibyte_layer(&scene.path("made"));
    let imported = containerd.import(&layout);
    let reference = scene.tagged("ctr/large");

    ctr.run(&["images", "push", "--plain-http", &reference, &imported]);
    assert_eq!(scene.verified("ctr/large"), layout.digest());

    ctr.run(&["images", "remove", "--sync", &imported]);
    ctr.run(&["content", "fetch", "--plain-http", "--all-platforms", &reference]);
    let content = ctr.run(&["content", "list", "--quiet"]);
    assert!(layout.parts().iter().all(|digest| content.contains(digest.as_str())), "{content}");
}
