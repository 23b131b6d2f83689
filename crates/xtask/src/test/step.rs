//! What each step runs, and how its outcome is judged.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::background::Background;
use super::plan::Name;
use super::tally::{self, Tally};
use crate::process::{self, Finished};
use crate::services::stores::{Running, STORES, Store};
use crate::services::{Installed, State};
use crate::workspace;

/// The tests that count what goes over the wire to a store.
const ON_THE_WIRE: &str = "budgets::wire";

/// The tests on an object store that take long: uploads over replicas that are killed, and large blobs.
const KILLED: &str = "killed::";
const LARGE: &str = "large::";

/// What chance begins with where nobody watches.
const SEED: &str = "20261129";

/// How a step ended.
pub(super) enum Verdict {
    Passed(String),
    /// With everything it said.
    Failed(String),
    /// Why it could not run, and what would let it.
    Skipped(String),
}

/// A step that is over.
pub(super) struct Outcome {
    name: Name,
    pub(super) verdict: Verdict,
    pub(super) tally: Tally,
    /// What was skipped within it.
    pub(super) notes: Vec<String>,
    time: Duration,
}

impl Outcome {
    pub(super) fn new(name: Name, verdict: Verdict, time: Duration) -> Self {
        let (tally, notes) = match &verdict {
            Verdict::Passed(text) => (counted(text, Tally::PASSED), skips(text)),
            Verdict::Failed(text) => (with_a_failure(counted(text, Tally::FAILED)), skips(text)),
            Verdict::Skipped(reason) => (Tally::SKIPPED, vec![reason.clone()]),
        };
        let notes = notes.into_iter().map(|note| format!("{name}: {note}")).collect();
        Self { name, verdict, tally, notes, time }
    }
}

/// The tests it counted itself, or else one for the step.
fn counted(text: &str, step: Tally) -> Tally {
    let tally = Tally::read(text);
    if tally == Tally::default() { step } else { tally }
}

/// A run may fail without a failed test: it did not compile, or was stopped.
fn with_a_failure(tally: Tally) -> Tally {
    Tally { failed: tally.failed.max(1), ..tally }
}

/// Each reason once, with how often it was given.
fn skips(text: &str) -> Vec<String> {
    let mut reasons = tally::skips(text);
    reasons.sort_unstable();
    let groups = reasons.chunk_by(|one, other| one == other);
    groups.map(|group| format!("{} ({} tests)", group[0], group.len())).collect()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Passed(_) => "ok",
            Verdict::Failed(_) => "FAILED",
            Verdict::Skipped(_) => "skipped",
        };
        write!(f, "{:<13} {:>7}  {word} ({})", self.name, process::words(self.time), self.tally)
    }
}

/// Runs a step, after waiting for what it needs.
pub(super) fn run(name: Name, background: &mut Background) -> Verdict {
    let installed = background.installed_for(name);
    if let Some(verdict) = prevented(name, &installed) {
        return verdict;
    }
    let unavailable = unavailable(&installed);
    let mut said = String::new();
    let stores = match running_stores(name, &installed, &mut said) {
        Ok(stores) => stores,
        Err(problem) => return Verdict::Failed(problem),
    };
    for (index, mut command) in commands(name).into_iter().enumerate() {
        command.env("CARGO_TERM_COLOR", "never").env("ENTREPOT_TEST_TOOLS", workspace::tools().join("bin"));
        command.env("ENTREPOT_TEST_UNAVAILABLE", &unavailable);
        if workspace::is_ci() {
            // What chance finds is for whoever can look into it: a run that is to pass or fail is repeated alike.
            command.env("PROPTEST_RNG_SEED", SEED).env("ENTREPOT_TEST_SEED", SEED);
        }
        command.envs(stores.iter().map(|store| (store.variable, &store.url)));
        let log = if index == 0 { name.to_string() } else { format!("{name}-{}", index + 1) };
        let Finished { succeeded, text, .. } = process::run(&log, &command, limit(name));
        said.push_str(&text);
        if !succeeded {
            return Verdict::Failed(said);
        }
    }
    Verdict::Passed(said)
}

/// The servers a step's tests are pointed at, for as long as they are kept. One that could not be installed is
/// left out, and `said` to be.
fn running_stores(name: Name, installed: &[Installed], said: &mut String) -> Result<Vec<Running>, String> {
    if name == Name::Stores {
        for missing in installed.iter().filter(|tool| !matches!(tool.state, State::Ready)) {
            said.push_str(&format!("SKIPPED {missing}\n"));
        }
    }
    let is_there = |store: &&Store| name.stores().contains(&store.name) && store.is_installed();
    STORES.iter().filter(is_there).map(Store::start).collect()
}

/// Why a step fails or is skipped before it begins.
fn prevented(name: Name, installed: &[Installed]) -> Option<Verdict> {
    if name == Name::Audit && !advisories().is_dir() {
        let reason = format!("no advisory database at {}", advisories().display());
        return Some(Verdict::Skipped(reason));
    }
    let failed =
        installed.iter().filter(|tool| matches!(tool.state, State::Failed(_)) && concerns(name, tool));
    let failed: Vec<_> = failed.map(ToString::to_string).collect();
    let is_checker = matches!(name, Name::Deny | Name::Audit);
    match failed.as_slice() {
        [] => None,
        // Nobody watches: what cannot be installed is what has to be mended.
        some if workspace::is_ci() => {
            Some(Verdict::Failed(format!("cannot be installed:\n{}", some.join("\n"))))
        }
        // The suites skip test by test; a checker has only itself.
        some if is_checker => Some(Verdict::Skipped(some.join("; "))),
        _ => None,
    }
}

fn concerns(name: Name, tool: &Installed) -> bool {
    match name {
        Name::Deny => tool.program == "cargo-deny",
        Name::Audit => tool.program == "cargo-audit",
        Name::Conformance => matches!(tool.program, "conformance" | "minio" | "azurite-blob"),
        Name::Crash => tool.program == "crane",
        Name::Uploads => tool.program == "minio",
        Name::Clients => !matches!(tool.program, "conformance" | "moto_server" | "azurite-blob"),
        _ => true,
    }
}

/// The programs a suite may do without even where they are required, with commas between.
fn unavailable(installed: &[Installed]) -> String {
    let refused = installed.iter().filter(|tool| matches!(tool.state, State::NotServed(_)));
    refused.map(|tool| tool.program).collect::<Vec<_>>().join(",")
}

fn advisories() -> PathBuf {
    workspace::root().join("../shared/advisory-db")
}

fn limit(name: Name) -> Duration {
    let minutes = match name {
        Name::Fmt | Name::Tidy | Name::Codegen | Name::Deny | Name::Audit => 5,
        Name::Clients | Name::Stores | Name::Conformance | Name::Uploads | Name::Crash => 20,
        // Installations go on beside these.
        Name::Clippy | Name::Unit | Name::Binary => 40,
    };
    Duration::from_secs(minutes * 60)
}

fn commands(name: Name) -> Vec<Command> {
    match name {
        Name::Fmt => vec![cargo(&["fmt", "--all", "--check"])],
        Name::Tidy => vec![ourselves(&["tidy"])],
        Name::Codegen => vec![ourselves(&["codegen", "--check"])],
        Name::Clippy => clippy(),
        Name::Unit => vec![unit()],
        Name::Deny => vec![tool("cargo-deny", &["--locked", "check", "bans", "licenses", "sources"])],
        Name::Audit => vec![audit()],
        Name::Binary => vec![binary()],
        Name::Stores => stores(),
        Name::Conformance => against_the_binary(suite("specification", &[])),
        Name::Clients => clients(),
        Name::Crash => against_the_binary(suite("clients", &["crash::"])),
        Name::Uploads => against_the_binary(uploads()),
    }
}

/// Without what needs stores to count at: a step of its own has them.
fn unit() -> Command {
    let wanted = ["test", "--workspace", "--locked", "--no-fail-fast", "--"];
    cargo(&[&wanted[..], &["--skip", ON_THE_WIRE]].concat())
}

/// The drivers by themselves, what they ask, and the binary's way through each of them.
fn stores() -> Vec<Command> {
    let mut commands = vec![suite("conformance", &[]), suite("protocol", &[ON_THE_WIRE])];
    commands.extend(against_the_binary(suite("stores", &["--skip", KILLED, "--skip", LARGE])));
    commands
}

/// Over a directory, and once more over an object store, where pulls are redirected.
fn clients() -> Vec<Command> {
    let over_a_directory = suite("clients", &["--skip", "crash::", "--test-threads=2"]);
    let again = ["--skip", "crash::", "--skip", "redirected::", "--test-threads=2"];
    let mut over_a_store = suite("clients", &again);
    over_a_store.env("ENTREPOT_TEST_CLIENTS_STORE", "s3");
    let mut commands = against_the_binary(over_a_directory);
    // The program is up to date by then.
    commands.extend(against_the_binary(over_a_store).pop());
    commands
}

/// An eighth of their size where nobody watches: the disk and the minutes of a runner are few.
fn uploads() -> Command {
    let mut suite = suite("stores", &[KILLED, LARGE, "--test-threads=1", "--nocapture"]);
    if workspace::is_ci() && workspace::variable("ENTREPOT_TEST_SCALE").is_none() {
        suite.env("ENTREPOT_TEST_SCALE", "8");
    }
    suite
}

/// Twice: the suites that only this command runs are no part of `--all-targets`.
fn clippy() -> Vec<Command> {
    let all = cargo(&["clippy", "--workspace", "--locked", "--all-targets", "--", "-D", "warnings"]);
    let suites = ["clippy", "--workspace", "--locked", "--test", "clients", "--test", "specification"];
    vec![all, cargo(&[&suites[..], &["--test", "stores", "--", "-D", "warnings"]].concat())]
}

fn audit() -> Command {
    let database = advisories().display().to_string();
    tool("cargo-audit", &["audit", "--no-fetch", "--deny", "unsound", "--db", &database])
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = workspace::cargo();
    command.args(arguments);
    command
}

fn ourselves(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program knows where it lies"));
    command.args(arguments);
    command
}

fn tool(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::tools().join("bin").join(program));
    command.args(arguments).current_dir(workspace::root());
    command
}

/// The program as it is shipped. Its package alone: with the whole workspace its crates would get the
/// features that only tests turn on.
fn binary() -> Command {
    cargo(&["build", "--release", "--locked", "--package", "entrepot-registry", "--bin", "entrepot"])
}

/// A suite, after the program it runs was brought up to date; or against the program somebody named.
fn against_the_binary(mut suite: Command) -> Vec<Command> {
    if workspace::is_ci() {
        suite.env("ENTREPOT_TEST_REQUIRE_TOOLS", "1");
    }
    if workspace::variable("ENTREPOT_TEST_BINARY").is_some() {
        return vec![suite];
    }
    suite.env("ENTREPOT_TEST_BINARY", workspace::target().join("release/entrepot"));
    vec![binary(), suite]
}

/// With the whole workspace, so that nothing built for the unit tests is built again with other features. No
/// other package has a test of this name: the drivers' suites are called `conformance`.
fn suite(target: &str, arguments: &[&str]) -> Command {
    let mut command = cargo(&["test", "--workspace", "--locked", "--test", target, "--"]);
    command.args(arguments);
    command
}
