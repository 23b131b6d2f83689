//! What has to be there before anything is measured: programs, directories, the registries themselves.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;

use super::Arguments;
use super::content::{self, Image, MEBIBYTE};
use super::instance::{Instance, Recipe};
use super::load::wrk;
use super::machine::Machine;
use super::meter::Cores;
use super::product::Product;
use super::report::Header;
use super::store::{Storage, Store};
use super::subject::Subject;
use super::work::Setting;
use crate::process;
use crate::services::{self, Source, State, stores};
use crate::workspace;

const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);
const DOCKER_REGISTRY: &str = "/usr/bin/docker-registry";

/// The program to measure: the one named, or one built now as it is shipped.
pub(super) fn program(arguments: &Arguments) -> Result<PathBuf, String> {
    if let Some(path) = &arguments.entrepot {
        return path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
    }
    println!("building entrepot");
    let mut build = workspace::cargo();
    build.args(["build", "--release", "--locked", "--package", "entrepot-registry", "--bin", "entrepot"]);
    let built = process::run("bench-build", &build, BUILD_LIMIT);
    if !built.succeeded {
        return Err(process::tail(&built.text, 50));
    }
    Ok(workspace::target().join("release/entrepot"))
}

/// Installs the other registry and the load generators, where they are missing.
pub(super) fn install(arguments: &Arguments) -> Result<(), String> {
    let installed = services::install(Source::Benchmark);
    if let Some(missing) = installed.iter().find(|tool| !matches!(tool.state, State::Ready)) {
        return Err(missing.to_string());
    }
    arguments.store.map_or(Ok(()), Store::install)
}

const PREFIX: &str = "entrepot-bench-";

/// A directory that is removed when it is dropped; one of a run that was killed, by the next.
pub(super) fn directory(arguments: &Arguments) -> Result<TempDir, String> {
    let parent = arguments.data.clone().unwrap_or_else(|| workspace::target().join("bench"));
    let failed = |error| format!("{}: {error}", parent.display());
    fs::create_dir_all(&parent).map_err(failed)?;
    let parent = parent.canonicalize().map_err(failed)?;
    for left in fs::read_dir(&parent).map_err(failed)?.flatten() {
        if is_left_over(&left.file_name().to_string_lossy()) {
            fs::remove_dir_all(left.path()).map_err(failed)?;
        }
    }
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).map_err(failed)
}

/// Whether a directory of this name is that of a run, and its process is gone.
fn is_left_over(name: &str) -> bool {
    let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
    pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

pub(super) fn header(arguments: &Arguments, entrepot: &Path, directory: &Path) -> Header {
    let docker_registry = Product::DockerRegistry.version(Path::new(DOCKER_REGISTRY));
    let mut versions = vec![Product::Entrepot.version(entrepot), docker_registry];
    versions.extend(arguments.peer.iter().map(|peer| format!("{peer} (version unknown)")));
    versions.extend(arguments.store.map(|_| stores::main_version()));
    let beside = if arguments.store.is_some() { "load and store" } else { "load" };
    let Arguments { rounds, seconds, server_core, load_core, .. } = arguments;
    let manner = format!(
        "{rounds} rounds in alternation, {seconds} s each; registries on core {server_core}, {beside} on \
         core {load_core}"
    );
    Header { machine: Machine::read(directory), versions, manner }
}

/// Pins us, and with us every load we start, and lets all of us open as many files as may be: a thousand
/// connections have two ends.
pub(super) fn settle(arguments: &Arguments) -> Result<(), String> {
    let mut cores = CpuSet::new();
    let core = usize::try_from(arguments.load_core).unwrap_or(usize::MAX);
    if core >= CpuSet::MAX_CPU {
        return Err(format!("there is no core {core}"));
    }
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| format!("core {core}: {error}"))?;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).map_err(|error| format!("the limit of open files: {error}"))
}

pub(super) fn setting(arguments: &Arguments, directory: &Path) -> Result<Setting, String> {
    wrk::write_scripts(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(Setting {
        seconds: arguments.seconds,
        cores: Cores { server: arguments.server_core, load: arguments.load_core },
        directory: directory.to_owned(),
        image: Image::new(),
        stored_image: OnceCell::new(),
        blob_4kib: content::noise(4096),
        blob_1mib: content::noise(MEBIBYTE),
    })
}

/// The object store of the rows that have one. It is started once we are pinned, and stays on our core.
pub(super) fn store(arguments: &Arguments, directory: &Path) -> Result<Option<Store>, String> {
    let start = |kind| Store::start(kind, &directory.join("store"));
    arguments.store.map(start).transpose()
}

/// Everybody, Entrepot first. Those we start are seen to log and to count.
pub(super) fn subjects(
    arguments: &Arguments,
    entrepot: &Path,
    directory: &Path,
    store: Option<&Store>,
) -> Result<Vec<Subject>, String> {
    let programs = [(Product::Entrepot, entrepot), (Product::DockerRegistry, Path::new(DOCKER_REGISTRY))];
    let start = |(product, program): (Product, &Path)| {
        let storage = store.map_or(Storage::Directory, |store| Storage::Place(store.place(product.name())));
        let recipe = Recipe { product, program: program.to_owned(), core: arguments.server_core, storage };
        let instance = Instance::start(&recipe, &directory.join(product.name()))?;
        instance.check_that_it_watches()?;
        Ok(Subject::ours(instance))
    };
    let ours: Result<Vec<_>, String> = programs.into_iter().map(start).collect();
    let theirs = arguments.peer.iter().cloned().map(Subject::theirs);
    Ok(ours?.into_iter().chain(theirs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_runs_that_are_gone_are_left_over() {
        let own = std::process::id();

        // No process has this number: it is above the kernel's greatest.
        assert!(is_left_over("entrepot-bench-4294967295-Ab3"));
        assert!(!is_left_over(&format!("entrepot-bench-{own}-Ab3")));
        assert!(!is_left_over("data") && !is_left_over("entrepot-bench-x"));
    }
}
