//! Object stores the drivers are tried on: started on a free port of loopback, with their data below `target`,
//! and stopped when the tests are over.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::python;
use crate::process;
use crate::workspace;

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The bucket each of them has.
const BUCKET: &str = "entrepot";

/// How one store is started, and how the tests find it.
pub(crate) struct Store {
    /// What it is called, and its program.
    pub(crate) name: &'static str,
    program: fn() -> PathBuf,
    arguments: fn(&Path, u16) -> Vec<String>,
    environment: &'static [(&'static str, &'static str)],
    /// A path that answers 200 once it takes requests.
    ready: &'static str,
    /// Makes the bucket: before the start in the directory, or after it by the port.
    make_bucket: Bucket,
    /// The variable that names it to the tests.
    variable: &'static str,
    /// The value, with `PORT` and `BUCKET` in it.
    url: &'static str,
}

enum Bucket {
    /// A directory below its data is a bucket.
    Directory,
    /// It lets anybody make one by a PUT.
    Put,
}

/// All of them.
pub(crate) const STORES: &[Store] = &[
    Store {
        name: "minio",
        program: || workspace::tools().join("bin/minio"),
        arguments: |data, port| {
            let address = format!("127.0.0.1:{port}");
            // The console would take a port of its own choosing on every interface.
            ["server", "--quiet", "--address", &address, "--console-address", "127.0.0.1:0"]
                .into_iter()
                .map(str::to_owned)
                .chain([data.display().to_string()])
                .collect()
        },
        environment: &[
            ("MINIO_ROOT_USER", "entrepot"),
            ("MINIO_ROOT_PASSWORD", "entrepot-secret"),
            ("MINIO_BROWSER", "off"),
            ("MINIO_UPDATE", "off"),
        ],
        ready: "/minio/health/ready",
        make_bucket: Bucket::Directory,
        variable: "ENTREPOT_TEST_S3",
        url: "http://entrepot:entrepot-secret@127.0.0.1:PORT/BUCKET",
    },
    Store {
        name: "moto",
        program: || python::path("moto_server"),
        arguments: |_, port| ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).to_vec(),
        environment: &[],
        ready: "/moto-api/data.json",
        make_bucket: Bucket::Put,
        variable: "ENTREPOT_TEST_S3_SECOND",
        // What it breaks: it answers 500 to a part of an upload it does not know, and to a read of an object
        // that is replaced at the same instant.
        url: "http://any:thing@127.0.0.1:PORT/BUCKET?checks_signatures=false&conditional_delete=true\
            &breaks=a_part_after_completion_is_refused_and_harms_nothing,an_aborted_upload_is_gone,\
            an_upload_the_store_never_knew_is_gone,completing_twice_at_once_makes_one_sound_object,\
            late_parts_racing_with_completion_harm_nothing,listed_uploads_can_be_aborted,\
            an_object_appears_whole_or_not_at_all,of_two_writers_of_one_part_the_tag_decides,\
            a_reader_sees_one_version_while_the_object_is_replaced",
    },
];

/// A store that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
    home: PathBuf,
    /// The variable that names it to the tests.
    pub(crate) variable: &'static str,
    /// Its value.
    pub(crate) url: String,
}

impl Store {
    /// Whether its program is there to be started.
    pub(crate) fn is_installed(&self) -> bool {
        (self.program)().is_file()
    }

    /// Starts it with no data and waits until it takes requests.
    pub(crate) fn start(&self) -> Result<Running, String> {
        let port = process::free_port()?;
        let home = workspace::target().join("xtask/stores").join(format!("{}-{port}", self.name));
        let failed = |error: io::Error| format!("{} cannot be started: {error}", self.name);
        let mut running = Running {
            child: self.spawn(&home, port).map_err(failed)?,
            home,
            variable: self.variable,
            url: self.url.replace("PORT", &port.to_string()).replace("BUCKET", BUCKET),
        };
        running.wait(&format!("http://127.0.0.1:{port}{}", self.ready))?;
        if let Bucket::Put = self.make_bucket {
            let made = agent().put(format!("http://127.0.0.1:{port}/{BUCKET}")).send_empty();
            made.map_err(|error| format!("{}: no bucket: {error}", self.name))?;
        }
        Ok(running)
    }

    fn spawn(&self, home: &Path, port: u16) -> io::Result<Child> {
        let data = home.join("data");
        fs::create_dir_all(match self.make_bucket {
            Bucket::Directory => data.join(BUCKET),
            Bucket::Put => data.clone(),
        })?;
        let log = File::create(log(home))?;
        // `setpriv` becomes the server, and has it ended should we be killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg((self.program)()).args((self.arguments)(&data, port));
        command.envs(self.environment.iter().copied()).current_dir(home);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
    }
}

impl Running {
    fn wait(&mut self, url: &str) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT && matches!(self.child.try_wait(), Ok(None)) {
            if agent().get(url).call().is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        let said = fs::read_to_string(log(&self.home)).unwrap_or_default();
        Err(format!("{url} does not answer:\n{}", process::tail(&said, 20)))
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

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(ANSWER_LIMIT)).build().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_is_found_by_a_variable_of_its_own() {
        for (index, store) in STORES.iter().enumerate() {
            assert!(STORES[..index].iter().all(|other| other.variable != store.variable), "{}", store.name);
            assert!(store.url.contains("PORT"), "{}", store.name);
        }
    }
}
