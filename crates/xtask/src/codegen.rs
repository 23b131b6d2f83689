//! Generated files: what is derived from the endpoint table, and the golden files tests compare with.

use std::fs;
use std::path::PathBuf;

use entrepot_api::emit;

use crate::workspace;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Writes nothing and fails if a file would change
    #[arg(long)]
    check: bool,
    /// Rewrites the golden files of the tests as well, by running them; look at the difference afterwards
    #[arg(long, conflicts_with = "check")]
    goldens: bool,
}

/// A file that follows from the code.
struct Generated {
    path: PathBuf,
    content: String,
}

/// Rewrites or compares; says which files it is about. Returns whether all is well.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let stale: Vec<_> = all().into_iter().filter(Generated::is_stale).collect();
    for file in &stale {
        if arguments.check {
            println!("{}: out of date; run `cargo xtask codegen`", file.path.display());
        } else {
            fs::write(&file.path, &file.content).expect("a generated file can be written");
            println!("{}: rewritten", file.path.display());
        }
    }
    let current = !arguments.check || stale.is_empty();
    current && (!arguments.goldens || rewrite_goldens())
}

fn all() -> Vec<Generated> {
    let api = workspace::root().join("crates/api");
    vec![
        Generated { path: api.join("openapi.json"), content: emit::openapi::document() },
        Generated { path: api.join("API.md"), content: emit::markdown::document() },
    ]
}

impl Generated {
    fn is_stale(&self) -> bool {
        fs::read_to_string(&self.path).ok().as_ref() != Some(&self.content)
    }
}

fn rewrite_goldens() -> bool {
    let mut command = workspace::cargo();
    command.args(["test", "--workspace", "--quiet", "--no-fail-fast"]).env("ENTREPOT_UPDATE_GOLDEN", "1");
    command.status().is_ok_and(|status| status.success())
}
