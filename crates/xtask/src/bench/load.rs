//! Other people's load generators: how they are called, and what they say when they are done.
//!
//! Each runs on the core this program was pinned to, and is ended if it hangs. A run with one wrong answer is
//! an error: a rate of failures is not a rate.

pub(super) mod ab;
pub(super) mod clients;
pub(super) mod curl;
pub(super) mod wrk;

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::workspace;

/// What a run did, and how long it took by the generator's own clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Done {
    /// Whatever was counted.
    pub(super) count: u64,
    pub(super) seconds: f64,
}

/// What is asked for, and how long its answer's body is.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) accept: Option<&'static str>,
    pub(super) length: u64,
}

/// No run takes longer than this beyond the time it was given.
const PATIENCE: Duration = Duration::from_secs(240);

/// `program`, ended when it takes much longer than `seconds`. Nothing of our surroundings reaches it: a proxy
/// set there would be measured instead.
fn command(program: &str, seconds: u64) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg((PATIENCE.as_secs() + seconds).to_string()).arg(program);
    command.env_clear().env("PATH", workspace::variable("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end, and returns what it said.
fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let program = command.get_args().nth(2).unwrap_or_default().display().to_string();
    Err(format!("{program} {}: {}{}", output.status, said.trim(), complaint.trim()))
}
