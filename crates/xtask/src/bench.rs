//! `cargo xtask bench`: Entrepot beside Debian's `docker-registry`, each alone on one core, the load on
//! another, the same work in alternation. What comes of it are ratios of medians in one run on one machine.
//!
//! Others' programs make the load, and every answer counts only if it is the right one. Whatever is started
//! is stopped, and its directories removed, however the run ends.

mod content;
mod fill;
mod http;
mod instance;
mod load;
mod machine;
mod meter;
mod note;
mod outcome;
mod product;
mod report;
mod row;
mod setup;
mod soak;
mod store;
mod subject;
mod target;
mod work;

use std::fs;
use std::path::{Path, PathBuf};

use outcome::{Entry, Outcome};
use row::Row;
use store::Kind;
use subject::{Peer, Subject};
use work::Setting;

use crate::workspace;

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only lists the rows
    #[arg(long)]
    list: bool,
    /// Only these rows, with commas between
    #[arg(long, value_delimiter = ',', value_parser = row::find)]
    rows: Vec<&'static Row>,
    /// How often each row is measured on each registry
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a measurement takes, where that can be chosen
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The rows of registries that share an object store, instead of those of registries on a disk
    #[arg(long, value_enum, conflicts_with = "peer")]
    store: Option<Kind>,
    /// With the row that pushes 20 GiB, and needs as much room on disk
    #[arg(long, requires = "store")]
    large: bool,
    /// The program to measure, instead of a release build made now
    #[arg(long, value_name = "PATH")]
    entrepot: Option<PathBuf>,
    /// Another registry, pinned by whoever started it: NAME=URL,pid=PID; may be given again
    #[arg(long)]
    peer: Vec<Peer>,
    /// The core of the registries
    #[arg(long, default_value_t = 0)]
    server_core: u32,
    /// The core of the load
    #[arg(long, default_value_t = 1)]
    load_core: u32,
    /// Where the registries keep their data, in a directory that is removed afterwards; default below `target`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Writes every sample as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Fails where a target is missed; without, only where a measurement fails
    #[arg(long)]
    check: bool,
    /// Mixed load for so many minutes instead: is memory flat?
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["rows", "store", "peer"], value_parser = clap::value_parser!(u32).range(1..))]
    soak: Option<u32>,
    /// Runs the crates' own micro-benchmarks instead
    #[arg(long, exclusive = true)]
    micro: bool,
}

/// The crates that have micro-benchmarks.
const MICRO: &[&str] = &["entrepot-oci", "entrepot-api", "entrepot-domain"];

/// Runs the rows. Returns whether every measurement worked, and every target was reached if that was asked.
pub(crate) fn run(arguments: &Arguments) -> bool {
    if arguments.list {
        list();
        return true;
    }
    if arguments.micro {
        return run_micro();
    }
    let outcome = match arguments.soak {
        Some(minutes) => soak::run(arguments, minutes),
        None => measure(arguments).map(|outcomes| conclude(arguments, &outcomes)),
    };
    outcome.unwrap_or_else(|reason| {
        println!("bench: {reason}");
        false
    })
}

fn list() {
    let print = |row: &Row| println!("{:<20} {} ({})", row.id, row.title, row.unit.label());
    row::table(None).iter().for_each(print);
    println!("\nwith --store minio:");
    row::table(Some(Kind::Minio)).iter().for_each(print);
}

fn run_micro() -> bool {
    let packages = MICRO.iter().flat_map(|package| ["--package", package]);
    let status = workspace::cargo().args(["bench", "--locked", "--quiet"]).args(packages).status();
    status.is_ok_and(|status| status.success())
}

fn measure(arguments: &Arguments) -> Result<Vec<Outcome>, String> {
    let rows = rows(arguments)?;
    let entrepot = setup::program(arguments)?;
    setup::install(arguments)?;
    let directory = setup::directory(arguments)?;
    let header = setup::header(arguments, &entrepot, directory.path());
    header.lines().iter().for_each(|line| println!("{line}"));
    setup::settle(arguments)?;
    let setting = setup::setting(arguments, directory.path())?;
    // Stopped after those who use it.
    let store = setup::store(arguments, directory.path())?;
    let mut subjects = setup::subjects(arguments, &entrepot, directory.path(), store.as_ref())?;
    let mut outcomes = Vec::new();
    for row in rows {
        println!("\n{}", report::heading(row));
        let rounds = if row.work.is_large() { 1 } else { arguments.rounds };
        let entries = measure_row(row, rounds, &mut subjects, &setting);
        let outcome = Outcome::new(row, entries, &outcomes);
        print!("{}", report::block(&outcome));
        outcomes.push(outcome);
    }
    write(arguments.json.as_deref(), &report::json(&header, &outcomes))?;
    write(arguments.markdown.as_deref(), &report::markdown(&header, &outcomes))?;
    println!("\nremoving what was stored");
    Ok(outcomes)
}

/// Round by round, one registry after the other; the next row begins with logs that are empty.
fn measure_row(row: &Row, rounds: u32, subjects: &mut [Subject], setting: &Setting) -> Vec<Entry> {
    let measures = |subject: &Subject| row.work.is_for(subject.product());
    let mut subjects: Vec<_> = subjects.iter_mut().filter(|subject| measures(subject)).collect();
    let named = |subject: &&mut Subject| Entry { name: subject.name().to_owned(), ..Entry::default() };
    let mut entries: Vec<_> = subjects.iter().map(named).collect();
    for _ in 0..rounds {
        for (subject, entry) in subjects.iter_mut().zip(&mut entries) {
            if entry.failure.is_none() {
                match row.work.measure(subject, setting) {
                    Ok(sample) => entry.samples.push(sample),
                    Err(reason) => entry.failure = Some(reason),
                }
            }
        }
    }
    for instance in subjects.iter_mut().filter_map(|subject| subject.instance()) {
        // A log that cannot be emptied is only longer.
        let _ = instance.empty_log();
    }
    entries
}

fn conclude(arguments: &Arguments, outcomes: &[Outcome]) -> bool {
    let failed = outcomes.iter().filter(|outcome| outcome.has_failed()).count();
    let verdicts: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.verdicts).collect();
    let missed = outcomes.iter().filter(|outcome| outcome.is_missed()).count();
    let reached = verdicts.iter().filter(|verdict| verdict.reached).count();
    println!("\n{reached} of {} targets reached, {failed} rows failed", verdicts.len());
    failed == 0 && (missed == 0 || !arguments.check)
}

/// The rows of the chosen table that were asked for. Without names, all but the large one.
fn rows(arguments: &Arguments) -> Result<Vec<&'static Row>, String> {
    let table = row::table(arguments.store);
    let is_in_table = |wanted: &Row| table.iter().any(|row| row.id == wanted.id);
    if let Some(strange) = arguments.rows.iter().find(|row| !is_in_table(row)) {
        return Err(format!("{}: a row of the other table; `--store` chooses between them", strange.id));
    }
    let is_wanted = |row: &&Row| match arguments.rows.as_slice() {
        [] => arguments.large || !row.work.is_large(),
        named => named.iter().any(|wanted| wanted.id == row.id),
    };
    Ok(table.iter().filter(is_wanted).collect())
}

fn write(path: Option<&Path>, text: &str) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
