//! `cargo xtask fuzz`: every fuzz target for a little while, each from its seeds. Not part of `test`: what a
//! fuzzer finds depends on luck, and a run that sometimes fails proves nothing about a change.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process;
use crate::workspace;

const HOME: &str = "tests/fuzz";
/// Building the target that contains the whole server takes this long on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// What to run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seconds for each target
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only these targets
    targets: Vec<String>,
}

/// Runs the targets and prints a line for each. Returns whether nothing was found.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let targets = if arguments.targets.is_empty() { all() } else { arguments.targets.clone() };
    let mut found_nothing = true;
    for target in targets {
        let limit = BUILD_LIMIT + Duration::from_secs(arguments.seconds);
        let finished = process::run(&format!("fuzz {target}"), &command(&target, arguments.seconds), limit);
        println!("{target:<16} {}", if finished.succeeded { "nothing found" } else { "FAILED" });
        if !finished.succeeded {
            print!("{}", process::tail(&finished.text, 60));
        }
        found_nothing &= finished.succeeded;
    }
    found_nothing
}

/// One target is one file.
fn all() -> Vec<String> {
    let files =
        fs::read_dir(workspace::root().join(HOME).join("targets")).expect("the targets are committed");
    let names = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn command(target: &str, seconds: u64) -> Command {
    let built = workspace::target().join("fuzz");
    let corpus = built.join("corpus").join(target);
    fs::create_dir_all(&corpus).expect("the target directory can be written");
    let mut command = workspace::cargo();
    command.args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir", HOME, "--target-dir"]).arg(&built);
    if target == "config" {
        command.args(["--features", "config"]);
    }
    command.arg(target).arg(corpus).arg(Path::new(HOME).join("seeds").join(target));
    command.arg("--").arg(format!("-max_total_time={seconds}"));
    let dictionary = Path::new(HOME).join("dictionaries").join(target);
    if workspace::root().join(&dictionary).exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command
}
