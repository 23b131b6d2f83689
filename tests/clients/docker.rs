//! The docker engine: a daemon of our own, pushing by one chunked PATCH and asking again by HEAD.
//!
//! The daemon gets a data directory, socket and pid file of its own and touches no network: nothing is run,
//! only pulled and pushed. A registry on loopback is spoken to in plain HTTP by default.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use entrepot_tests::images::Layout;
use entrepot_tests::programs::Program;

use crate::{Scene, text};

/// A daemon and the client that speaks to it. Ended by `SIGTERM`, so that it unmounts what it mounted.
struct Docker {
    daemon: Child,
    client: Program,
    scene: Scene,
}

impl Docker {
    fn start() -> Option<Self> {
        let scene = Scene::with("docker")?;
        let daemon = Program::find("dockerd", scene.home.path())?;
        let socket = format!("unix://{}", text(&scene.path("docker.sock")));
        let (data, run, pid) = (scene.path("docker"), scene.path("docker-run"), scene.path("docker.pid"));
        let arguments = [
            "--iptables=false",
            "--bridge=none",
            "--data-root",
            text(&data),
            "--exec-root",
            text(&run),
            "--pidfile",
            text(&pid),
            "--host",
            &socket,
        ];
        let daemon = daemon.daemon(&arguments, &scene.path("docker.log"));
        let client = scene.program.clone().with("DOCKER_HOST", socket);
        let mut docker = Self { daemon, client, scene };
        docker.wait_until_ready();
        Some(docker)
    }

    fn wait_until_ready(&mut self) {
        let end = Instant::now() + Duration::from_secs(300);
        while !self.client.attempt(&["version"]).succeeded {
            let ended = self.daemon.try_wait().expect("a child can be asked");
            assert!(ended.is_none() && Instant::now() < end, "dockerd does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scene.path("docker.log")).unwrap_or_default()
    }

    /// Loads the image of a layout under a name.
    fn load(&self, layout: &Layout, name: &str) {
        let archive = self.scene.path("archive.tar");
        layout.archive(&archive, name);
        self.client.run(&["load", "--input", text(&archive)]);
    }

    fn id(&self, image: &str) -> String {
        self.client.run(&["image", "inspect", "--format", "{{.Id}}", image]).trim().to_owned()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // `Child::kill` would leave its mounts and its containerd behind.
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
    }
}

#[test]
fn docker_pushes_mounts_and_pulls() {
    let Some(docker) = Docker::start() else { return };
    let layout = Layout::small(&docker.scene.path("made"), 9);
    let (one, two) = (docker.scene.tagged("docker/one"), docker.scene.tagged("docker/two"));
    docker.load(&layout, &one);
    let id = docker.id(&one);

    docker.client.run(&["push", &one]);
    let digest = docker.scene.verified("docker/one");
    docker.client.run(&["tag", &one, &two]);
    let said = docker.client.run(&["push", &two]);
    assert!(said.contains("Mounted from docker/one"), "nothing was mounted:\n{said}");
    assert_eq!(docker.scene.verified("docker/two"), digest);

    docker.client.run(&["rmi", "--force", &one, &two]);
    docker.client.run(&["pull", &format!("{}@{digest}", docker.scene.repository("docker/two"))]);
    docker.client.run(&["pull", &two]);
    assert_eq!(docker.id(&two), id);
}

#[test]
fn docker_pushes_and_pulls_a_hundred_layers() {
    let Some(docker) = Docker::start() else { return };
    let layout = Layout::hundred_layers(&docker.scene.path("made"));
    let reference = docker.scene.tagged("docker/many");
    docker.load(&layout, &reference);
    let id = docker.id(&reference);

    docker.client.run(&["push", &reference]);
    docker.scene.verified("docker/many");

    docker.client.run(&["rmi", "--force", &reference]);
    docker.client.run(&["pull", &reference]);
    assert_eq!(docker.id(&reference), id);
}

#[test]
fn docker_makes_and_pushes_a_manifest_list() {
    let Some(docker) = Docker::start() else { return };
    let scene = &docker.scene;
    let references = [("one", 20), ("two", 30)].map(|(name, seed)| {
        let reference = scene.tagged(&format!("docker/list-{name}"));
        docker.load(&Layout::small(&scene.path(name), seed), &reference);
        docker.client.run(&["push", &reference]);
        reference
    });
    let list = scene.tagged("docker/list");

    docker.client.run(&["manifest", "create", "--insecure", &list, &references[0], &references[1]]);
    docker.client.run(&["manifest", "annotate", "--arch", "arm64", &list, &references[1]]);
    docker.client.run(&["manifest", "push", "--insecure", &list]);

    scene.verified("docker/list");
    docker.client.run(&["pull", "--platform", "linux/amd64", &list]);
    assert_eq!(docker.id(&list), docker.id(&references[0]));
}
