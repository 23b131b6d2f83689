//! `cargo xtask test`: everything that has to pass, in order of what fails fastest, from a machine that has
//! nothing but Rust, Go and Debian.
//!
//! A step that fails does not end the run: the table at the end shows all of them. Nothing is left out
//! without a line that says what and why; where `CI` is set, what cannot be installed is a failure.

mod background;
mod plan;
mod step;
mod tally;

use std::time::Instant;

use background::Background;
use plan::Name;
use step::{Outcome, Verdict};
use tally::Tally;

use crate::process;
use crate::workspace;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only what needs nothing installed: formatting, lints, conventions, the tests of the crates
    #[arg(long)]
    fast: bool,
    /// Only these steps, with commas between
    #[arg(long, value_delimiter = ',', conflicts_with = "fast")]
    only: Vec<Name>,
    /// All but these steps, with commas between
    #[arg(long, value_delimiter = ',')]
    skip: Vec<Name>,
}

impl Arguments {
    fn wants(&self, name: Name) -> bool {
        let chosen = match (self.fast, self.only.as_slice()) {
            (true, _) => name.is_fast(),
            (false, []) => true,
            (false, only) => only.contains(&name),
        };
        chosen && !self.skip.contains(&name)
    }
}

/// Runs the steps and prints the table. Returns whether nothing failed.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let names: Vec<_> = Name::ALL.iter().copied().filter(|&name| arguments.wants(name)).collect();
    let mut background = Background::start(&names);
    let outcomes: Vec<_> = names.iter().map(|&name| run_step(name, &mut background)).collect();
    report(&outcomes);
    outcomes.iter().all(|outcome| outcome.tally.failed == 0)
}

fn run_step(name: Name, background: &mut Background) -> Outcome {
    println!("== {name}");
    let start = Instant::now();
    let verdict = step::run(name, background);
    let outcome = Outcome::new(name, verdict, start.elapsed());
    if let Verdict::Failed(text) = &outcome.verdict {
        let failures = tally::failures(text);
        print!("{}", process::tail(text, if failures.is_empty() { 150 } else { 30 }));
        // Last what says most.
        print!("{}", process::tail(&failures, 200));
    }
    println!("   {outcome}");
    outcome
}

/// The table, what was left out, and the line others read.
fn report(outcomes: &[Outcome]) {
    println!("\n{:<13} {:>7}  result", "step", "time");
    for outcome in outcomes {
        println!("{outcome}");
    }
    let notes: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.notes.iter()).collect();
    if !notes.is_empty() {
        println!("\nskipped:");
        notes.iter().for_each(|note| println!("  {note}"));
    }
    println!("\nlogs: {}", workspace::target().join("xtask").display());
    println!("{}", outcomes.iter().map(|outcome| outcome.tally).sum::<Tally>());
}
