//! Programs of Node, each in a directory of its own below `target/tools/npm`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::stamp::Stamp;
use super::{Installed, State, last_line};
use crate::process;
use crate::workspace;

/// A program to install.
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
    pub(super) version: &'static str,
}

/// All of them.
pub(super) const TOOLS: &[Tool] = &[Tool { program: "azurite-blob", package: "azurite", version: "3.37.0" }];

const LIMIT: Duration = Duration::from_secs(1800);

/// Installs what is missing or of another version.
pub(super) fn install() -> Vec<Installed> {
    TOOLS.iter().map(|tool| Installed { program: tool.program, state: tool.install() }).collect()
}

/// Where a program lies, once it is installed.
pub(super) fn path(program: &str) -> PathBuf {
    home(program).join("node_modules/.bin").join(program)
}

fn home(program: &str) -> PathBuf {
    workspace::tools().join("npm").join(program)
}

impl Tool {
    fn install(&self) -> State {
        if self.is_there() {
            return State::Ready;
        }
        let home = home(self.program);
        if let Err(error) = fs::create_dir_all(&home) {
            return State::Failed(error.to_string());
        }
        let finished = process::install(&format!("npm-{}", self.program), &self.npm(), LIMIT, |_| false);
        if !finished.succeeded {
            return State::Failed(last_line(&finished.text));
        }
        self.stamp().write(self.version)
    }

    fn npm(&self) -> Command {
        let mut command = Command::new("npm");
        // Without the packages' own scripts: nothing of Azurite has to be built, and what they would run is
        // pinned by nobody.
        command.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix"]);
        command.arg(home(self.program)).arg(format!("{}@{}", self.package, self.version));
        command
    }

    fn stamp(&self) -> Stamp {
        Stamp::of(&home(self.program))
    }

    fn is_there(&self) -> bool {
        self.stamp().tells(&path(self.program), self.version)
    }
}
