//! What the suites and the benchmark need besides Rust: other people's clients, the conformance program,
//! Cargo's own checkers, and the object stores the drivers are tried on.
//!
//! Every version is pinned, except those of Debian, which pins its own. Nothing outside the repository is
//! written to but by apt; everything else goes to `target/tools`, and is kept while its version is wanted.

pub(crate) mod azurite;
mod ceph;
mod certificate;
mod debian;
mod garage;
mod go;
mod npm;
mod python;
mod rust;
mod stamp;
pub(crate) mod stores;

use std::fmt;

use crate::workspace;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only lists what would be installed and what is there
    #[arg(long)]
    list: bool,
}

/// Where a tool comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Debian packages: the clients of the suites.
    Debian,
    /// Debian packages: what the benchmark runs.
    Benchmark,
    /// Built by Go from the module proxy.
    Go,
    /// Built by Cargo from the crates index.
    Cargo,
    /// Servers the storage drivers are tried on, by Go, pip and npm.
    Stores,
    /// More of them, for the step that is about stores alone: by apt, Go and Cargo.
    FurtherStores,
    /// The one of them the benchmark uses, by Go.
    MainStore,
}

/// What became of one tool.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) program: &'static str,
    pub(crate) state: State,
}

/// See [`Installed`].
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// It is there.
    Ready,
    /// It could not be installed.
    Failed(String),
    /// Its registry answers that it does not serve this version, and we know that it may.
    NotServed(String),
}

/// Installs everything from one source. Quick when all of it is there.
pub(crate) fn install(source: Source) -> Vec<Installed> {
    match source {
        Source::Debian => debian::install(&debian::CLIENTS),
        Source::Benchmark => debian::install(&debian::BENCHMARK),
        Source::Go => go::install(go::CLIENTS),
        Source::Cargo => rust::install(rust::CHECKERS),
        Source::MainStore => go::install(go::STORES),
        Source::Stores => [go::install(go::STORES), python::install(), npm::install()].concat(),
        Source::FurtherStores => {
            let by_go = go::install(go::FURTHER_STORES);
            [debian::install(&debian::STORES), by_go, rust::install(rust::STORES)].concat()
        }
    }
}

/// Installs everything, and says what became of it; returns whether all of it is there.
pub(crate) fn run(arguments: &Arguments) -> bool {
    if arguments.list {
        list();
        return true;
    }
    let sources =
        [Source::Debian, Source::Benchmark, Source::Go, Source::Cargo, Source::Stores, Source::FurtherStores];
    let installed: Vec<_> = sources.into_iter().flat_map(install).collect();
    for tool in &installed {
        println!("{tool}");
    }
    println!("in {} and on PATH", workspace::tools().join("bin").display());
    installed.iter().all(|tool| matches!(tool.state, State::Ready))
}

fn list() {
    let sets = [debian::CLIENTS, debian::BENCHMARK, debian::STORES];
    for package in sets.iter().flat_map(|set| set.packages) {
        println!("apt    {package}");
    }
    for tool in go::CLIENTS.iter().chain(go::STORES).chain(go::FURTHER_STORES) {
        println!("go     {}  {}@{}", tool.program, tool.package, tool.version);
    }
    for tool in python::TOOLS {
        println!("pip    {}  {}", tool.program, tool.version);
    }
    for tool in rust::CHECKERS.iter().chain(rust::STORES) {
        println!("cargo  {}@{}", tool.program, tool.version);
    }
    for tool in npm::TOOLS {
        println!("npm    {}  {}@{}", tool.program, tool.package, tool.version);
    }
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Ready => write!(f, "{:<16} ready", self.program),
            State::Failed(reason) => write!(f, "{:<16} FAILED: {reason}", self.program),
            State::NotServed(reason) => write!(f, "{:<16} not served: {reason}", self.program),
        }
    }
}

/// The last line of `text` that says something, for a table.
fn last_line(text: &str) -> String {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no output").to_owned()
}
