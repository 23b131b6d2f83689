//! Clients that Debian ships.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Installed, State, last_line};
use crate::process;
use crate::workspace;

/// The packages. Recommendations are left out: nothing is run in a container here, only moved. But podman
/// does not start without a network program, and none of them without a signature policy.
pub(super) const PACKAGES: &[&str] = &[
    "docker.io",
    "containerd",
    "podman",
    "buildah",
    "skopeo",
    "netavark",
    "golang-github-containers-image",
    "ca-certificates",
];

/// The programs they bring that the suites call.
const PROGRAMS: &[&str] = &["docker", "dockerd", "containerd", "ctr", "podman", "buildah", "skopeo"];

const LIMIT: Duration = Duration::from_secs(900);

/// Installs what is missing, if there is an apt and the right to use it.
pub(super) fn install() -> Vec<Installed> {
    let problem = if PROGRAMS.iter().all(|program| is_there(program)) { None } else { apt().err() };
    let state = |program: &str| match &problem {
        _ if is_there(program) => State::Ready,
        Some(problem) => State::Failed(problem.clone()),
        None => State::Failed("its package came without it".to_owned()),
    };
    PROGRAMS.iter().map(|&program| Installed { program, state: state(program) }).collect()
}

fn is_there(program: &str) -> bool {
    let path = workspace::variable("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn apt() -> Result<(), String> {
    let by_hand = format!("as root: apt-get install --no-install-recommends {}", PACKAGES.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("there is no apt here; install {}", PACKAGES.join(", ")));
    }
    if !is_root() {
        return Err(by_hand);
    }
    let update = command(&["update"]);
    let install = command(&[&["install", "--yes", "--no-install-recommends"], PACKAGES].concat());
    for (name, command) in [("apt-update", update), ("apt-install", install)] {
        let finished = process::run(name, &command, LIMIT);
        if !finished.succeeded {
            return Err(format!("{}; {by_hand}", last_line(&finished.text)));
        }
    }
    Ok(())
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // The lock may be held by a machine that is still being set up. `RUNLEVEL=1` keeps the packages from
    // starting their daemons: the suites start their own, elsewhere.
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
