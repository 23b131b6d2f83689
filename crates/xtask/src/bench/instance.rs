//! A registry we started: pinned to its core, in directories of its own, and gone when we are.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::http;
use super::product::Product;
use super::store::Storage;
use crate::process;
use crate::workspace;

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// How often it is looked whether it answers: what a start-up time is rounded to.
const LOOK: Duration = Duration::from_micros(200);

/// What to run, and where.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) product: Product,
    pub(super) program: PathBuf,
    pub(super) core: u32,
    pub(super) storage: Storage,
}

/// A server and its directories, which stay when it is stopped.
pub(super) struct Instance {
    pub(super) recipe: Recipe,
    home: PathBuf,
    port: u16,
    debug_port: u16,
    child: Option<Child>,
    /// How long the last start took, from that of the process until it answered.
    pub(super) started_in: Duration,
}

impl Instance {
    /// Starts one on the directory `home`, which may be new, and waits until it answers.
    pub(super) fn start(recipe: &Recipe, home: &Path) -> Result<Self, String> {
        fs::create_dir_all(home.join("data")).map_err(|error| format!("{}: {error}", home.display()))?;
        let (port, debug_port) = (process::free_port()?, process::free_port()?);
        let home = home.to_owned();
        let mut instance =
            Self { recipe: recipe.clone(), home, port, debug_port, child: None, started_in: Duration::ZERO };
        instance.run()?;
        Ok(instance)
    }

    /// Stops it and starts it again on what it holds.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.stop();
        self.run()
    }

    fn run(&mut self) -> Result<(), String> {
        let configuration = self.home.join("config.yml");
        let Recipe { product, storage, .. } = &self.recipe;
        let text = product.configuration(storage, &self.data(), self.port, self.debug_port);
        fs::write(&configuration, text).map_err(|error| error.to_string())?;
        let log = self.open_log()?;
        let mut command = self.command(&configuration);
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let begun = Instant::now();
        self.child = Some(command.spawn().map_err(|error| format!("{command:?}: {error}"))?);
        self.started_in = self.wait(begun)?;
        Ok(())
    }

    /// `setpriv` and `taskset` become the server, so that its process id is the child's; the first has it
    /// ended should we be killed.
    fn command(&self, configuration: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &self.recipe.core.to_string()]);
        command.arg(&self.recipe.program).arg("serve").arg(configuration);
        command.env_clear().env("PATH", workspace::variable("PATH").unwrap_or_default());
        command.current_dir(&self.home);
        command
    }

    fn wait(&mut self, begun: Instant) -> Result<Duration, String> {
        let url = format!("{}/v2/", self.url());
        while begun.elapsed() < START_LIMIT {
            if http::get(&url, None).is_ok_and(|answer| answer.status == 200) {
                return Ok(begun.elapsed());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() {
                break;
            }
            thread::sleep(LOOK);
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        Err(format!("{} does not start:\n{}", self.recipe.product.name(), process::tail(&log, 20)))
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Where it keeps what it stores, if that is a directory.
    pub(super) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    fn open_log(&self) -> Result<File, String> {
        let log = OpenOptions::new().create(true).append(true).open(self.log());
        log.map_err(|error| format!("{}: {error}", self.log().display()))
    }

    /// Forgets what was logged: a minute of load leaves a gigabyte.
    pub(super) fn empty_log(&self) -> Result<(), String> {
        self.open_log()?.set_len(0).map_err(|error| error.to_string())
    }

    fn metrics(&self) -> Result<String, String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.debug_port);
        let answer = http::get(&url, None)?.expect(200, &url)?;
        String::from_utf8(answer.body).map_err(|error| format!("{url}: {error}"))
    }

    /// What it counts under `name` in the series that have `label`, such as `action="get"`; zero where it
    /// has no such series.
    pub(super) fn metric(&self, name: &str, label: &str) -> Result<f64, String> {
        Ok(sum(&self.metrics()?, name, label))
    }

    /// Whether it logs requests and counts them: without, it would be another server.
    pub(super) fn check_that_it_watches(&self) -> Result<(), String> {
        let name = self.recipe.product.name();
        if self.metrics()?.is_empty() {
            return Err(format!("{name} has no metrics"));
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_LIMIT {
            if fs::read_to_string(self.log()).is_ok_and(|log| log.contains("/v2/")) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{name} logs no requests"))
    }

    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // Gone already, where it fails.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_LIMIT {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        println!("  .. {} had to be killed", self.recipe.product.name());
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The sum of the series of `name` that have `label`, in the text format of Prometheus.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let series =
        metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    series
        .filter(|(labels, _)| labels.contains(label))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_series() {
        let text = "# HELP a_sum x\na_sum{driver=\"s3\",action=\"get\"} 1.5\na_sum{action=\"put\"} 4\na_sum_b{action=\"get\"} 9\n";
        assert_eq!(sum(text, "a_sum", "action=\"get\""), 1.5);
        assert_eq!(sum(text, "a_sum", "action="), 5.5);
        assert_eq!(sum(text, "b", ""), 0.0);
    }
}
