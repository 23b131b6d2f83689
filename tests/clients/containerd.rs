//! containerd by `ctr`: one PUT of known length for each blob, and it insists on `Docker-Content-Digest`.
//!
//! Debian's is of the 1 series, whose `ctr` moves content itself. From 2.0 on the daemon does, by its transfer
//! service, and from 2.1 on that fetches one layer by several ranges at once. One of those is built by Go and
//! lies beside Debian's under names of its own.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use entrepot_tests::images::{Layout, TAG};
use entrepot_tests::programs::Program;

use crate::{Scene, text};

/// Which containerd.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    pub(crate) client: &'static str,
    daemon: &'static str,
    settings: fn() -> String,
    /// What gets content and leaves it packed: unpacking takes mounts.
    pull: [&'static str; 2],
}

/// Debian's. Its CRI plugin wants a network and a sandbox, and is not what speaks to registries here.
pub(crate) const DEBIAN: Release = Release {
    client: "ctr",
    daemon: "containerd",
    settings: || "version = 2\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n".to_owned(),
    pull: ["content", "fetch"],
};

/// How much of a layer [`CURRENT`] asks for by one range.
pub(crate) const RANGE_BYTES: u64 = 8 << 20;

/// How many it asks for at once.
pub(crate) const RANGES: usize = 4;

/// The current one. Nothing is unpacked or run here, and what it would keep for that outside of our directories
/// is left out.
pub(crate) const CURRENT: Release = Release {
    client: "ctr-2",
    daemon: "containerd-2",
    settings: || {
        format!(
            "version = 3\n\
             disabled_plugins = ['io.containerd.internal.v1.opt', 'io.containerd.nri.v1.nri']\n\
             [plugins.'io.containerd.transfer.v1.local']\n\
             concurrent_layer_fetch_buffer = {RANGE_BYTES}\n\
             max_concurrent_downloads = {RANGES}\n\
             unpack_config = []\n"
        )
    },
    // With all platforms it unpacks none.
    pull: ["images", "pull"],
};

/// A containerd with directories of its own. Only content is moved; nothing is unpacked or run.
pub(crate) struct Containerd {
    release: Release,
    daemon: Child,
    pub(crate) ctr: Program,
    pub(crate) scene: Scene,
}

impl Containerd {
    fn start(release: Release) -> Option<Self> {
        Self::within(Scene::with(release.client)?, release)
    }

    /// In a scene whose program is the release's client.
    pub(crate) fn within(scene: Scene, release: Release) -> Option<Self> {
        let daemon = Program::find(release.daemon, scene.home.path())?;
        let socket = scene.path("containerd.sock");
        let (root, state, config) = (scene.path("root"), scene.path("state"), scene.path("containerd.toml"));
        std::fs::write(&config, (release.settings)()).expect("a file can be written");
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
        let mut containerd = Self { release, daemon, ctr, scene };
        containerd.wait_until_ready();
        Some(containerd)
    }

    fn wait_until_ready(&mut self) {
        let end = Instant::now() + Duration::from_secs(300);
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
    pub(crate) fn push(&self, to: &str, from: &str) {
        self.ctr.run(&["images", "push", "--plain-http", to, from]);
    }

    pub(crate) fn pull(&self, reference: &str) {
        let [noun, verb] = self.release.pull;
        self.ctr.run(&[noun, verb, "--plain-http", "--all-platforms", reference]);
    }

    /// That every byte of an image lies in its content.
    #[track_caller]
    pub(crate) fn has_whole(&self, layout: &Layout) {
        let content = self.scene.path("root/io.containerd.content.v1.content/blobs");
        for digest in layout.parts().iter().map(String::as_str).chain([layout.digest()]) {
            let path = content.join(digest.replace(':', "/"));
            let held = std::fs::read(&path).unwrap_or_else(|error| panic!("{digest}: {error}"));
            assert!(held == layout.blob(digest), "{digest} has other content");
        }
    }

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

fn pushes_mounts_and_pulls(release: Release) {
    let Some(containerd) = Containerd::start(release) else { return };
    let scene = &containerd.scene;
    let layout = Layout::small(&scene.path("made"), 10);
    let imported = containerd.import(&layout);
    let (one, two) = (scene.tagged("ctr/one"), scene.tagged("ctr/two"));

    containerd.push(&one, &imported);
    assert_eq!(scene.verified("ctr/one"), layout.digest());
    containerd.pull(&one);
    // Fetched content remembers its source, so a push to another repository of it tries a mount.
    containerd.push(&two, &one);
    assert_eq!(scene.verified("ctr/two"), layout.digest());

    let target = containerd.ctr.run(&["images", "list", &format!("name=={one}")]);
    assert!(target.contains(layout.digest()), "{target}");
}

fn pushes_and_pulls_an_index_with_all_its_images(release: Release) {
    let Some(containerd) = Containerd::start(release) else { return };
    let (scene, ctr) = (&containerd.scene, &containerd.ctr);
    let layout = Layout::multi_architecture(&scene.path("made"));
    let imported = containerd.import(&layout);
    let reference = scene.tagged("ctr/index");

    containerd.push(&reference, &imported);
    assert_eq!(scene.verified("ctr/index"), layout.digest());

    containerd.forget();
    containerd.pull(&reference);
    let content = ctr.run(&["content", "list", "--quiet"]);
    assert!(content.contains(layout.digest()), "{content}");
}

#[test]
fn ctr_pushes_mounts_and_pulls() {
    pushes_mounts_and_pulls(DEBIAN);
}

#[test]
fn containerd_pushes_mounts_and_pulls() {
    pushes_mounts_and_pulls(CURRENT);
}

#[test]
fn ctr_pushes_and_pulls_an_index_with_all_its_images() {
    pushes_and_pulls_an_index_with_all_its_images(DEBIAN);
}

#[test]
fn containerd_pushes_and_pulls_an_index_with_all_its_images() {
    pushes_and_pulls_an_index_with_all_its_images(CURRENT);
}

#[test]
fn ctr_pushes_and_pulls_a_layer_of_a_gibibyte() {
    let Some(containerd) = Containerd::start(DEBIAN) else { return };
    let (scene, ctr) = (&containerd.scene, &containerd.ctr);
    let layout = Layout::gibibyte_layer(&scene.path("made"));
    let imported = containerd.import(&layout);
    let reference = scene.tagged("ctr/large");

    containerd.push(&reference, &imported);
    assert_eq!(scene.verified("ctr/large"), layout.digest());

    ctr.run(&["images", "remove", "--sync", &imported]);
    containerd.pull(&reference);
    let content = ctr.run(&["content", "list", "--quiet"]);
    assert!(layout.parts().iter().all(|digest| content.contains(digest.as_str())), "{content}");
}
