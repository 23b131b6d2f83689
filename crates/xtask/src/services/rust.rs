//! Programs Cargo builds: checkers of its own world, and a store. Without optimisation: they run for seconds
//! and build for minutes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{Installed, State, last_line};
use crate::process;
use crate::workspace;

/// A program to build.
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) version: &'static str,
    flags: &'static [&'static str],
}

pub(super) const CHECKERS: &[Tool] = &[
    Tool { program: "cargo-deny", version: "0.20.2", flags: &[] },
    // Without its scanner of binaries: we have the lock file.
    Tool { program: "cargo-audit", version: "0.22.2", flags: &["--no-default-features"] },
];

pub(super) const STORES: &[Tool] = &[Tool {
    program: "garage",
    version: "2.5.0",
    flags: &["--no-default-features", "--features", "bundled-libs,sqlite"],
}];

const LIMIT: Duration = Duration::from_secs(2700);

/// Builds what is missing or of another version.
pub(super) fn install(tools: &'static [Tool]) -> Vec<Installed> {
    tools.iter().map(|tool| Installed { program: tool.program, state: tool.install() }).collect()
}

impl Tool {
    fn install(&self) -> State {
        if self.is_there() {
            return State::Ready;
        }
        let log = format!("cargo-install-{}", self.program);
        let finished = process::install(&log, &self.build(), LIMIT, |_| false);
        if finished.succeeded { State::Ready } else { State::Failed(last_line(&finished.text)) }
    }

    /// Cargo keeps this list below the root it installs to.
    fn is_there(&self) -> bool {
        let list = fs::read_to_string(workspace::tools().join(".crates.toml")).unwrap_or_default();
        list.contains(&format!("\"{} {} ", self.program, self.version))
    }

    fn build(&self) -> Command {
        let tools = workspace::tools();
        let mut command = workspace::cargo();
        command.args(["install", "--locked", "--debug", "--force", "--version", self.version, self.program]);
        command.args(self.flags).arg("--root").arg(&tools);
        // A directory for all, since they share much of what they depend on.
        command.env("CARGO_TARGET_DIR", tools.join("build")).env("CARGO_PROFILE_DEV_DEBUG", "0");
        // Garage ends where a subtraction wraps, which in a release of it does no harm.
        command.env("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false");
        command.env("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false");
        command
    }
}
