//! The registry as its users have it: a process, a configuration file and an address.
//!
//! For what one process owes the next. Tests of single answers run the registry inside their own process,
//! which is quicker and lets them break the store; nothing here can.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment;
use crate::http::Client;
use crate::stores::ObjectStore;

/// How long a server may take to answer its first request, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(25);

/// Where a server keeps its content.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In its own memory: gone with the process.
    Memory,
    /// Below this directory.
    Directory(PathBuf),
    /// In an object store.
    Object(ObjectStore),
}

impl Storage {
    /// What a registry on it has to find in its environment.
    fn environment(&self) -> Environment {
        match self {
            Self::Object(store) => store.environment(),
            Self::Memory | Self::Directory(_) => Vec::new(),
        }
    }
}

/// A running server. Killed when dropped; what it wrote to its log is shown if the test is failing.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    debug: SocketAddr,
    home: PathBuf,
    environment: Environment,
}

/// Variables a process is given, beside those of the tests.
pub(crate) type Environment = Vec<(&'static str, String)>;

impl Server {
    /// Starts a server that keeps its configuration and log in `home`, and waits until it answers.
    ///
    /// `more` is appended to the configuration, in YAML.
    pub fn start(home: &Path, storage: &Storage, more: &str) -> Self {
        let mut server = Self::launch(home, storage, more);
        server.wait_until_ready();
        server
    }

    fn launch(home: &Path, storage: &Storage, more: &str) -> Self {
        fs::create_dir_all(home).expect("a server's directory can be made");
        let (address, debug) = (free_address(), free_address());
        let configuration = configuration(home, storage, address, debug, more);
        fs::write(home.join("config.yml"), configuration).expect("the configuration can be written");
        let environment = storage.environment();
        Self { child: spawn(home, &environment), address, debug, home: home.to_owned(), environment }
    }

    /// Starts a server that has to refuse its storage, waits until it ended, and answers what it said.
    pub fn refusing(home: &Path, storage: &Storage, more: &str) -> String {
        let mut server = Self::launch(home, storage, more);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = server.child.try_wait().expect("a child can be asked") {
                assert!(!status.success(), "it ended well:\n{}", server.log());
                return server.log();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", server.log());
            thread::sleep(POLL);
        }
    }

    /// Starts so many replicas on one storage, each with a directory of its own below `home`.
    pub fn start_many(count: usize, home: &Path, storage: &Storage, more: &str) -> Vec<Self> {
        let start = |index| Self::start(&home.join(format!("replica-{index}")), storage, more);
        (0..count).map(start).collect()
    }

    /// Where it listens, `127.0.0.1:port`: what clients put before the name of a repository.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that sends exactly what it is told.
    pub fn client(&self) -> Client {
        Client::of(self.address)
    }

    /// Its process: what the system knows about it lies below `/proc/<id>`.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The sum of a metric over all its series that have these labels, since the process began; 0 where there
    /// is none yet.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let page = Client::of(self.debug).get("/metrics").send().expect(200);
        let series = page.text().lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        });
        series.map(value).sum()
    }

    /// `SIGKILL`, at once: the process gets no chance to finish anything.
    pub fn kill(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    /// Starts it again after [`kill`](Self::kill), on the same address and the same storage.
    pub fn restart(&mut self) {
        self.child = spawn(&self.home, &self.environment);
        self.wait_until_ready();
    }

    /// Everything it and its predecessors wrote to their log.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.home.join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn wait_until_ready(&mut self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the server ended with {status} before it listened:\n{}", self.log());
            }
            assert!(Instant::now() < end, "the server does not listen:\n{}", self.log());
            thread::sleep(POLL);
        }
        self.client().get("/v2/").send().expect(200);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
            {
                eprintln!("--- the end of the server's log\n{}", last_lines(&self.log(), 40));
            }
        }
    }
}

/// What a line of the metrics page ends with. Counters are whole numbers.
fn value(line: &str) -> u64 {
    let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("no number at the end of {line}"))
}

/// The last `count` lines of `text`.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// What `entrepot doctor` says of a storage, and whether it ended well.
pub fn doctor(home: &Path, storage: &Storage, more: &str) -> (bool, String) {
    fs::create_dir_all(home).expect("a directory can be made");
    let configuration = configuration(home, storage, free_address(), free_address(), more);
    fs::write(home.join("config.yml"), configuration).expect("the configuration can be written");
    let output = command("doctor", home, &storage.environment()).stdin(Stdio::null()).output();
    let output = output.expect("the program can be run");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn spawn(home: &Path, environment: &[(&str, String)]) -> Child {
    let log = File::options().create(true).append(true).open(home.join("server.log"));
    let log = log.expect("the log can be opened");
    let errors = log.try_clone().expect("a file can be shared");
    let mut command = command("serve", home, environment);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", binary().display()))
}

/// The program, on the configuration in `home`.
fn command(what: &str, home: &Path, environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(binary());
    command.arg(what).arg(home.join("config.yml")).current_dir(home);
    // Whoever runs the tests may be somebody in a cloud.
    let clouds = ["AWS_", "AZURE_", "GOOGLE_", "GCE_", "CLOUDSDK_", "IDENTITY_", "MSI_"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if clouds.iter().any(|cloud| text.starts_with(cloud)) && text != "GOOGLE_APPLICATION_CREDENTIALS" {
            command.env_remove(&name);
        }
    }
    // It would ask the store for what no test did, a minute after the start or ten.
    command.env("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "false");
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

fn configuration(
    home: &Path,
    storage: &Storage,
    address: SocketAddr,
    debug: SocketAddr,
    more: &str,
) -> String {
    let mut text =
        String::from("version: 0.1\nlog:\n  level: info\nstorage:\n  delete:\n    enabled: true\n");
    let backend = match storage {
        Storage::Memory => "  inmemory: {}\n".to_owned(),
        Storage::Directory(path) => format!("  filesystem:\n    rootdirectory: {}\n", path.display()),
        Storage::Object(store) => store.configuration(home),
    };
    let metrics = format!("  debug:\n    addr: {debug}\n    prometheus:\n      enabled: true\n");
    write!(text, "{backend}http:\n  addr: {address}\n{metrics}{more}")
        .expect("writing to a string cannot fail");
    text
}

/// An address nobody listens on. Its port is below those the system gives to connections: with many of them
/// coming and going, one would take it before the server does.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Suites that run at once are processes of their own, and begin far from each other.
    let first = std::process::id().wrapping_mul(7919);
    for _ in 0..PORTS.len() {
        let step = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + (step % PORTS.len() as u32) as u16;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().expect("a listener has an address");
        }
    }
    panic!("loopback has no free port");
}

const PORTS: Range<u16> = 15_000..31_000;

/// The program under test, built once if nobody named one.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match environment::variable("ENTREPOT_TEST_BINARY") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// Builds ours in the profile of the tests and returns where Cargo says that it lies.
fn build() -> PathBuf {
    let mut command = Command::new(environment::variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    // The package alone: with the whole workspace its crates would get the features only tests turn on.
    command.args([
        "build",
        "--package",
        "entrepot-registry",
        "--bin",
        "entrepot",
        "--message-format",
        "json",
    ]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let output = command.stderr(Stdio::inherit()).output().expect("cargo can be run");
    assert!(output.status.success(), "the registry does not build");
    let messages = String::from_utf8(output.stdout).expect("cargo writes text");
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "entrepot")
            .then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    executable.expect("cargo names what it built")
}
