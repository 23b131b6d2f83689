//! What Debian ships: the clients of the suites, what the benchmark compares with and loads by, and a store.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Installed, State, last_line};
use crate::process;
use crate::workspace;

/// Packages that are wanted together, and what they are wanted for.
pub(super) struct Set {
    pub(super) packages: &'static [&'static str],
    /// The programs they bring that we call.
    programs: &'static [&'static str],
}

/// Recommendations are left out: nothing is run in a container here, only moved. But podman does not start
/// without a network program, and none of them without a signature policy.
pub(super) const CLIENTS: Set = Set {
    packages: &[
        "docker.io",
        "containerd",
        "podman",
        "buildah",
        "skopeo",
        "netavark",
        "golang-github-containers-image",
        "ca-certificates",
    ],
    programs: &["docker", "dockerd", "containerd", "ctr", "podman", "buildah", "skopeo"],
};

pub(super) const BENCHMARK: Set = Set {
    packages: &["docker-registry", "wrk", "apache2-utils", "curl"],
    programs: &["docker-registry", "wrk", "ab", "curl"],
};

/// Ceph, as the drivers' suites start it.
pub(super) const STORES: Set = Set {
    packages: &["radosgw", "ceph-osd", "ceph-mon", "curl"],
    programs: &["radosgw", "ceph-osd", "ceph-mon", "curl"],
};

const LIMIT: Duration = Duration::from_secs(1800);

/// Installs what is missing, if there is an apt and the right to use it.
pub(super) fn install(set: &Set) -> Vec<Installed> {
    let is_complete = set.programs.iter().all(|program| is_there(program));
    let problem = if is_complete { None } else { apt(set.packages).err() };
    let state = |program: &str| match &problem {
        _ if is_there(program) => State::Ready,
        Some(problem) => State::Failed(problem.clone()),
        None => State::Failed("its package came without it".to_owned()),
    };
    set.programs.iter().map(|&program| Installed { program, state: state(program) }).collect()
}

fn is_there(program: &str) -> bool {
    let path = workspace::variable("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// One at a time: while one reads its lists, another fails at once.
static APT: Mutex<()> = Mutex::new(());

fn apt(packages: &[&str]) -> Result<(), String> {
    let _turn = APT.lock().unwrap_or_else(PoisonError::into_inner);
    let by_hand = format!("as root: apt-get install --no-install-recommends {}", packages.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("there is no apt here; install {}", packages.join(", ")));
    }
    if !is_root() {
        return Err(by_hand);
    }
    let update = command(&["update"]);
    let install = command(&[&["install", "--yes", "--no-install-recommends"], packages].concat());
    for (name, command) in [("apt-update", update), ("apt-install", install)] {
        let finished = process::install(name, &command, LIMIT, |_| false);
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
