//! Programs of Python, each in an environment of its own below `target/tools/python`.

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
    /// As pip takes it, with what it shall bring along.
    package: &'static str,
    pub(super) version: &'static str,
}

/// All of them.
pub(super) const TOOLS: &[Tool] =
    &[Tool { program: "moto_server", package: "moto[server]", version: "5.2.5" }];

const LIMIT: Duration = Duration::from_secs(1800);

/// Installs what is missing or of another version.
pub(super) fn install() -> Vec<Installed> {
    TOOLS.iter().map(|tool| Installed { program: tool.program, state: tool.install() }).collect()
}

/// Where a program lies, once it is installed.
pub(super) fn path(program: &str) -> PathBuf {
    home(program).join("bin").join(program)
}

fn home(program: &str) -> PathBuf {
    workspace::tools().join("python").join(program)
}

impl Tool {
    fn install(&self) -> State {
        if self.is_there() {
            return State::Ready;
        }
        for (step, command) in [("venv", self.environment()), ("pip", self.pip())] {
            let finished = process::install(&format!("{step}-{}", self.program), &command, LIMIT, |_| false);
            if !finished.succeeded {
                return State::Failed(last_line(&finished.text));
            }
        }
        self.stamp().write(self.version)
    }

    fn environment(&self) -> Command {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(home(self.program));
        command
    }

    fn pip(&self) -> Command {
        let mut command = Command::new(home(self.program).join("bin/pip"));
        command.args(["install", "--quiet", "--disable-pip-version-check"]);
        command.arg(format!("{}=={}", self.package, self.version));
        command
    }

    fn stamp(&self) -> Stamp {
        Stamp::of(&home(self.program))
    }

    fn is_there(&self) -> bool {
        self.stamp().tells(&path(self.program), self.version)
    }
}
