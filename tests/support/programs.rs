//! Other people's programs: found or missed, run with a limit, heard to the end.
//!
//! Nothing here knows what a program is for; the suites give the arguments. Each run gets a home of its own,
//! so that no configuration or cache of the person who runs the tests takes part.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::environment;

/// How long one run of a program may take. Nothing is asserted about time; this only keeps a hanging
/// program from hanging the suite.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program that is there, with the environment it runs in.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    home: PathBuf,
    environment: Vec<(String, String)>,
    leading: Vec<String>,
}

/// How a run ended, and everything it said on both streams.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Whether it ended with 0.
    pub succeeded: bool,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Program {
    /// The program `name`, run in `home`.
    ///
    /// Where it is missing the test is over: `None`, and a line that says so and which command would
    /// bring it; a panic where programs are required.
    pub fn find(name: &str, home: &Path) -> Option<Self> {
        let found = locate(name);
        if found.is_none() {
            miss(name);
        }
        found.map(|path| Self { path, home: home.to_owned(), environment: Vec::new(), leading: Vec::new() })
    }

    /// Sets a variable for every run.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Gives every run these arguments before its own.
    #[must_use]
    pub fn always(mut self, arguments: &[&str]) -> Self {
        self.leading.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Runs it and returns its standard output; panics with everything it said if it fails.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let finished = self.attempt(arguments);
        assert!(finished.succeeded, "{} {:?} failed:\n{finished}", self.name(), words(arguments));
        finished.output
    }

    /// Runs it, however it may end.
    pub fn attempt<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Finished {
        let output = self.command(arguments).output().expect("`timeout` can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Finished {
            succeeded: output.status.success(),
            output: text(&output.stdout),
            errors: text(&output.stderr),
        }
    }

    /// Starts it as a daemon that writes to `log`: no limit, its end is the caller's affair.
    pub fn daemon<S: AsRef<OsStr>>(&self, arguments: &[S], log: &Path) -> Child {
        let log = std::fs::File::create(log).expect("the log can be opened");
        let mut command = Command::new(&self.path);
        self.dress(&mut command);
        command.args(arguments);
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.name()))
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new("timeout");
        command.arg("--kill-after=10").arg(PATIENCE.as_secs().to_string()).arg(&self.path);
        self.dress(&mut command);
        command.args(arguments);
        command
    }

    fn dress(&self, command: &mut Command) {
        command.args(&self.leading).current_dir(&self.home).stdin(Stdio::null());
        command.env("HOME", &self.home).env("XDG_RUNTIME_DIR", &self.home);
        for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--- output\n{}\n--- errors\n{}", self.output, self.errors)
    }
}

/// Where `name` lies: among the installed tools, else on `PATH`.
fn locate(name: &str) -> Option<PathBuf> {
    let tools = environment::variable("ENTREPOT_TEST_TOOLS").map(PathBuf::from);
    let tools = tools.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin"));
    let path = environment::variable("PATH").unwrap_or_default();
    let mut directories = std::iter::once(tools).chain(std::env::split_paths(&path));
    directories.find_map(|directory| directory.join(name).canonicalize().ok().filter(|path| path.is_file()))
}

fn miss(name: &str) {
    assert!(!environment::requires(name), "{name} is missing; `cargo xtask services` installs it");
    // Straight to the stream: what the macros print is swallowed when a test passes.
    let line = format!("SKIPPED {name}: not installed; `cargo xtask services` installs it\n");
    io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
}

fn words<S: AsRef<OsStr>>(arguments: &[S]) -> Vec<String> {
    arguments.iter().map(|argument| argument.as_ref().to_string_lossy().into_owned()).collect()
}
