//! The binary `entrepot`.

use std::process::ExitCode;

use entrepot_registry::cli;
use entrepot_registry::config::{Loaded, Process};

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &Process, serve).into()
}

/// Until the server is assembled on top of the configuration, serving is an honest failure.
fn serve(_: Loaded) -> Result<(), std::io::Error> {
    Err(std::io::Error::other("this build has no server yet; the other commands work"))
}
