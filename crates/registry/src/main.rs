//! The binary `entrepot`.

use std::process::ExitCode;

use entrepot_registry::config::Process;
use entrepot_registry::{cli, serve};

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &Process, serve::run).into()
}
