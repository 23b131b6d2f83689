//! The project's own commands: `test`, `tidy`, `codegen`, `services`, `fuzz`, `bench`.
//!
//! Nothing here is part of the product, and no crate may depend on it. Whatever a person has to know to check
//! or regenerate something is written down here as a command instead.

#![expect(clippy::print_stdout, reason = "what these commands print is what they are for")]

mod bench;
mod codegen;
mod fuzz;
mod process;
mod services;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks, regenerates and proves Entrepot.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything that has to pass before a change is merged, and installs what that needs
    Test(test::Arguments),
    /// Checks the layering of the crates and the conventions no compiler knows
    Tidy,
    /// Rewrites the files that are generated from the endpoint table
    Codegen(codegen::Arguments),
    /// Installs the clients and tools the suites need, into `target/tools` and by apt
    Services(services::Arguments),
    /// Runs every fuzz target for a while (needs `cargo install cargo-fuzz --locked` and a C++ compiler)
    Fuzz(fuzz::Arguments),
    /// Measures Entrepot beside Debian's docker-registry, and says which targets are reached
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let passed = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Codegen(arguments) => codegen::run(&arguments),
        Command::Services(arguments) => services::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
