//! Object stores the drivers are tried on: started on a free port of loopback, with their data below `target`,
//! and stopped when the tests are over.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::certificate::Certificate;
use super::{azurite, ceph, garage, go, python};
use crate::process;
use crate::workspace;

/// For one start. Those of Ceph take a few seconds on a machine that does nothing else.
const START_LIMIT: Duration = Duration::from_secs(180);
/// A port that was free may be taken before the store listens on it.
const STARTS: usize = 3;
const STOP_LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

const ASKED_FOR_A_BUCKET: usize = 30;

/// The bucket each of them has.
pub(crate) const BUCKET: &str = "entrepot";

/// How one store is started, and how the tests find it.
pub(crate) struct Store {
    /// What it is called, and its program.
    pub(crate) name: &'static str,
    program: fn() -> PathBuf,
    /// Runs it with its data in a directory, on a port of loopback.
    command: fn(&Path, u16) -> Result<Command, String>,
    ready: Ready,
    make_bucket: Bucket,
    /// The variable that names it to the tests.
    variable: &'static str,
    /// The value, by the directory of its data and the port.
    url: fn(&Path, u16) -> String,
}

/// How it shows that it takes requests.
#[derive(Clone, Copy)]
enum Ready {
    /// It answers a path, with 200 or a refusal.
    Answers(&'static str),
    /// It listens.
    Listens,
    /// A file `ready` is among its data.
    Says,
}

/// How it comes to the bucket the tests use.
enum Bucket {
    /// A directory below its data is a bucket.
    Directory,
    /// It lets anybody make one by a PUT.
    Put,
    /// It lets anybody make one by Google's JSON API.
    Json,
    /// Its command makes one, or the tests make theirs.
    None,
}

/// All of them.
pub(crate) const STORES: &[Store] = &[
    Store {
        name: "minio",
        program: || workspace::tools().join("bin/minio"),
        command: |data, port| Ok(minio(data, port)),
        ready: Ready::Answers("/minio/health/ready"),
        make_bucket: Bucket::Directory,
        variable: "ENTREPOT_TEST_S3",
        url: |_, port| format!("http://{MINIO_USER}:{MINIO_PASSWORD}@127.0.0.1:{port}/{BUCKET}"),
    },
    Store {
        name: "minio-https",
        program: || workspace::tools().join("bin/minio"),
        command: |data, port| Ok(encrypting_minio(data, port)),
        ready: Ready::Listens,
        make_bucket: Bucket::Directory,
        variable: "ENTREPOT_TEST_S3_HTTPS",
        url: |data, port| {
            let certificate = Certificate::of(data).certificate;
            format!(
                "https://{MINIO_USER}:{MINIO_PASSWORD}@127.0.0.1:{port}/{BUCKET}?kms={KMS_KEY}&certificate={}",
                certificate.display()
            )
        },
    },
    Store {
        name: "moto",
        program: || python::path("moto_server"),
        command: |_, port| Ok(moto(port)),
        ready: Ready::Answers("/moto-api/data.json"),
        make_bucket: Bucket::Put,
        variable: "ENTREPOT_TEST_S3_SECOND",
        url: |_, port| {
            format!("http://any:thing@127.0.0.1:{port}/{BUCKET}?{MOTO}&breaks={}", MOTO_BREAKS.join(","))
        },
    },
    Store {
        name: "ceph",
        program: ceph::program,
        command: ceph::command,
        ready: Ready::Says,
        make_bucket: Bucket::None,
        variable: "ENTREPOT_TEST_S3_CEPH",
        url: |_, port| ceph::url(port),
    },
    Store {
        name: "garage",
        program: garage::program,
        command: garage::command,
        ready: Ready::Says,
        make_bucket: Bucket::None,
        variable: "ENTREPOT_TEST_S3_GARAGE",
        url: |_, port| garage::url(port),
    },
    Store {
        name: "fake-gcs-server",
        program: || workspace::tools().join("bin/fake-gcs-server"),
        command: |_, port| Ok(fake_gcs(port)),
        ready: Ready::Answers(GCS_BUCKETS),
        make_bucket: Bucket::Json,
        variable: "ENTREPOT_TEST_GCS_JSON",
        url: |_, port| format!("http://127.0.0.1:{port}/{BUCKET}"),
    },
    Store {
        name: "azurite",
        program: azurite::program,
        command: |data, port| Ok(azurite::command(data, port, None)),
        ready: Ready::Answers("/"),
        make_bucket: Bucket::None,
        variable: azurite::KEYED,
        url: |_, port| azurite::connection_string(port, false),
    },
    Store {
        name: "azurite-https",
        program: azurite::program,
        command: |data, port| Ok(azurite::command(data, port, Some(&Certificate::made(data)))),
        ready: Ready::Listens,
        make_bucket: Bucket::None,
        variable: azurite::TOKENED,
        url: |_, port| azurite::connection_string(port, true),
    },
];

/// What the fake answers to whoever makes a bucket by the JSON API.
const GCS_BUCKETS: &str = "/storage/v1/b?project=entrepot";

/// Who may do everything in MinIO.
pub(crate) const MINIO_USER: &str = "entrepot";
pub(crate) const MINIO_PASSWORD: &str = "entrepot-secret";

/// What the MinIO on https encrypts with, by its name and its 256 bits.
const KMS_KEY: &str = "registry";
const KMS_BITS: &str = "bm90aGluZyBpcyBlbmNyeXB0ZWQgZm9yIHJlYWwhISE=";

const MOTO: &str = "checks_signatures=false&conditional_delete=true";
/// Cases moto fails by itself: it answers 500 to a part of an upload it does not know, and to a read of an
/// object that is replaced at the same instant.
const MOTO_BREAKS: &[&str] = &[
    "a_part_after_completion_is_refused_and_harms_nothing",
    "a_reader_sees_one_version_while_the_object_is_replaced",
    "an_aborted_upload_is_gone",
    "an_object_appears_whole_or_not_at_all",
    "an_upload_the_store_never_knew_is_gone",
    "completing_twice_at_once_makes_one_sound_object",
    "late_parts_racing_with_completion_harm_nothing",
    "listed_uploads_can_be_aborted",
    "of_two_writers_of_one_part_the_tag_decides",
];

/// The one most is measured and tried on.
pub(crate) fn main() -> &'static Store {
    &STORES[0]
}

/// Its name and version.
pub(crate) fn main_version() -> String {
    format!("{} {}", go::STORES[0].program, go::STORES[0].version)
}

fn minio(data: &Path, port: u16) -> Command {
    let mut command = Command::new(workspace::tools().join("bin/minio"));
    command.args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")]);
    // The console would take a port on every interface.
    command.args(["--console-address", "127.0.0.1:0"]).arg(data);
    command.env("MINIO_ROOT_USER", MINIO_USER).env("MINIO_ROOT_PASSWORD", MINIO_PASSWORD);
    command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off");
    command
}

/// It speaks https with a certificate nobody else trusts, and encrypts where it is asked to, with keys of a KMS.
fn encrypting_minio(data: &Path, port: u16) -> Command {
    let mut command = minio(data, port);
    command.arg("--certs-dir").arg(Certificate::made(data).directory);
    command.env("MINIO_KMS_SECRET_KEY", format!("{KMS_KEY}:{KMS_BITS}"));
    command
}

fn moto(port: u16) -> Command {
    let mut command = Command::new(python::path("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    command
}

fn fake_gcs(port: u16) -> Command {
    let mut command = Command::new(workspace::tools().join("bin/fake-gcs-server"));
    command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
    // By this name it knows what it is asked for by the XML API.
    command.args(["-public-host", &format!("127.0.0.1:{port}"), "-log-level", "warn", "-backend", "memory"]);
    command
}

/// A store that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
    home: PathBuf,
    /// The variable that names it to the tests.
    pub(crate) variable: &'static str,
    /// Its value.
    pub(crate) url: String,
    /// Where it listens, on loopback.
    pub(crate) port: u16,
}

impl Store {
    /// Whether its program is there to be started.
    pub(crate) fn is_installed(&self) -> bool {
        (self.program)().is_file()
    }

    /// Starts it with no data and waits until it takes requests.
    pub(crate) fn start(&self) -> Result<Running, String> {
        let stores = workspace::target().join("xtask/stores");
        let start = || {
            let port = process::free_port()?;
            self.start_at(stores.join(format!("{}-{port}", self.name)), port)
        };
        (1..STARTS).find_map(|_| start().ok()).map_or_else(start, Ok)
    }

    /// The same in a directory of the caller's. It runs on the cores the caller runs on.
    pub(crate) fn start_in(&self, home: PathBuf) -> Result<Running, String> {
        self.start_at(home, process::free_port()?)
    }

    fn start_at(&self, home: PathBuf, port: u16) -> Result<Running, String> {
        let failed = |error: String| format!("{} cannot be started: {error}", self.name);
        let mut running = Running {
            child: self.spawn(&home, port).map_err(failed)?,
            variable: self.variable,
            url: (self.url)(&home.join("data"), port),
            home,
            port,
        };
        running.wait(self.ready, port)?;
        self.make_bucket(port)?;
        Ok(running)
    }

    fn make_bucket(&self, port: u16) -> Result<(), String> {
        let address = format!("http://127.0.0.1:{port}");
        let make = || match self.make_bucket {
            Bucket::Directory | Bucket::None => Ok(200),
            Bucket::Put => status(agent().put(format!("{address}/{BUCKET}")).send_empty()),
            Bucket::Json => status(
                agent()
                    .post(format!("{address}{GCS_BUCKETS}"))
                    .content_type("application/json")
                    .send(format!("{{\"name\": \"{BUCKET}\"}}")),
            ),
        };
        // The first request has a store load half of itself. One that was answered too late made the bucket.
        let is_made = |made: &Result<u16, String>| matches!(made, Ok(200 | 409));
        let mut made = make();
        for _ in 1..ASKED_FOR_A_BUCKET {
            if !is_made(&made) {
                thread::sleep(Duration::from_secs(1));
                made = make();
            }
        }
        if is_made(&made) { Ok(()) } else { Err(format!("{}: no bucket: {made:?}", self.name)) }
    }

    fn spawn(&self, home: &Path, port: u16) -> Result<Child, String> {
        let log = self.prepare(home).map_err(|error| error.to_string())?;
        let wanted = (self.command)(&home.join("data"), port)?;
        Self::run(&wanted, home, log).map_err(|error| error.to_string())
    }

    /// An empty place for its data, and a file for what it says.
    fn prepare(&self, home: &Path) -> io::Result<File> {
        let data = home.join("data");
        // A run that was killed may have left some on this port.
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(match self.make_bucket {
            Bucket::Directory => data.join(BUCKET),
            Bucket::Put | Bucket::Json | Bucket::None => data,
        })?;
        File::create(log(home))
    }

    /// `setpriv` becomes the server, and has it ended should we be killed.
    fn run(wanted: &Command, home: &Path, log: File) -> io::Result<Child> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(wanted.get_program()).args(wanted.get_args());
        command.envs(wanted.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(home);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
    }
}

impl Running {
    /// Where the objects of its bucket lie on disk, for a store that keeps it as a directory.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.home.join("data").join(BUCKET)
    }

    fn wait(&mut self, ready: Ready, port: u16) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT && matches!(self.child.try_wait(), Ok(None)) {
            if self.is_ready(ready, port) {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        let said = fs::read_to_string(log(&self.home)).unwrap_or_default();
        Err(format!("port {port} does not answer:\n{}", process::tail(&said, 20)))
    }

    fn is_ready(&self, ready: Ready, port: u16) -> bool {
        match ready {
            Ready::Answers(path) => {
                let answer = agent().get(format!("http://127.0.0.1:{port}{path}")).call();
                answer.is_ok_and(|answer| (200..500).contains(&answer.status().as_u16()))
            }
            Ready::Listens => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(),
            Ready::Says => self.home.join("data/ready").is_file(),
        }
    }

    fn stop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Gone already, where it fails.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        // Gigabytes, after some runs; what it said stays.
        let _ = fs::remove_dir_all(self.home.join("data"));
    }
}

fn log(home: &Path) -> PathBuf {
    home.join("log")
}

fn status(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<u16, String> {
    answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_LIMIT))
        .http_status_as_error(false)
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_is_found_by_a_variable_of_its_own() {
        for (index, store) in STORES.iter().enumerate() {
            assert!(STORES[..index].iter().all(|other| other.variable != store.variable), "{}", store.name);
            assert!((store.url)(Path::new("/data"), 9150).contains("127.0.0.1:9150"), "{}", store.name);
        }
    }
}
