//! Commands run quietly: what they say goes to a file, which is shown only if they fail.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::workspace;

/// Between two signs of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// How often what comes over the network is asked for, and how long after the first failure again.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// How a command ended and what it said.
pub(crate) struct Finished {
    pub(crate) succeeded: bool,
    pub(crate) text: String,
    /// It was stopped: it would be, if it began anew.
    timed_out: bool,
}

/// Runs `command` with its output in `target/xtask/<name>.log`, for `limit` at the longest.
pub(crate) fn run(name: &str, command: &Command, limit: Duration) -> Finished {
    let log = log_path(name);
    let outcome = start(command, &log, limit).and_then(|child| wait(name, child));
    let text = fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    match outcome {
        Ok(status) if status.code() == Some(124) => {
            let text = format!("{text}\nstopped after {} s", limit.as_secs());
            Finished { succeeded: false, text, timed_out: true }
        }
        Ok(status) => Finished { succeeded: status.success(), text, timed_out: false },
        Err(error) => Finished { succeeded: false, text: format!("{command:?}: {error}"), timed_out: false },
    }
}

/// Runs what installs something: of hundreds of downloads one may fail, and is worth asking for again. Not
/// where `is_refusal` knows the answer for final.
pub(crate) fn install(
    name: &str,
    command: &Command,
    limit: Duration,
    is_refusal: impl Fn(&str) -> bool,
) -> Finished {
    for attempt in 1..ATTEMPTS {
        let finished = run(name, command, limit);
        if finished.succeeded || finished.timed_out || is_refusal(&finished.text) {
            return finished;
        }
        thread::sleep(PAUSE * attempt);
    }
    run(name, command, limit)
}

/// The last `count` lines of `text`, indented.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("    {line}\n")).collect()
}

/// A port of loopback nobody listens on.
pub(crate) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("no port is free: {error}"))
}

/// A duration as people write it.
pub(crate) fn words(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

fn log_path(name: &str) -> PathBuf {
    workspace::target().join("xtask").join(format!("{}.log", name.replace(' ', "-")))
}

/// Starts it under `timeout`, which ends the command's children too.
fn start(command: &Command, log: &Path, limit: Duration) -> io::Result<Child> {
    fs::create_dir_all(log.parent().unwrap_or(Path::new(".")))?;
    let log = File::create(log)?;
    let mut bounded = Command::new("timeout");
    bounded.arg("--kill-after=30").arg(limit.as_secs().to_string());
    bounded.arg(command.get_program()).args(command.get_args());
    bounded.current_dir(command.get_current_dir().map_or_else(workspace::root, Path::to_owned));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bounded.env(name, value),
            None => bounded.env_remove(name),
        };
    }
    bounded.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    bounded.spawn()
}

fn wait(name: &str, mut child: Child) -> io::Result<ExitStatus> {
    let start = Instant::now();
    let mut next = SIGN_OF_LIFE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() >= next {
            println!("  .. {name}, {}", words(start.elapsed()));
            next += SIGN_OF_LIFE;
        }
        thread::sleep(POLL);
    }
}
