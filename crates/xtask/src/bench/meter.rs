//! What the kernel counts: CPU time and memory of a process, and how busy the two cores were.

use std::fs;
use std::time::Instant;

use super::note::Note;

/// The core the servers run on, and the one the load comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    pub(super) server: u32,
    pub(super) load: u32,
}

/// Begun before some work, ended after it.
pub(super) struct Meter {
    pid: u32,
    cores: Cores,
    begun: Instant,
    cpu_seconds: f64,
    server: CoreTime,
    load: CoreTime,
}

/// What some work cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) seconds: f64,
    /// Of the server's process, all its threads, in user space and kernel.
    pub(super) cpu_seconds: f64,
    server: CoreTime,
    load: CoreTime,
}

impl Meter {
    pub(super) fn begin(pid: u32, cores: Cores) -> Result<Self, String> {
        let (server, load) = (CoreTime::read(cores.server)?, CoreTime::read(cores.load)?);
        Ok(Self { pid, cores, begun: Instant::now(), cpu_seconds: process_seconds(pid)?, server, load })
    }

    pub(super) fn end(&self) -> Result<Usage, String> {
        Ok(Usage {
            seconds: self.begun.elapsed().as_secs_f64(),
            cpu_seconds: process_seconds(self.pid)? - self.cpu_seconds,
            server: CoreTime::read(self.cores.server)?.since(self.server),
            load: CoreTime::read(self.cores.load)?.since(self.load),
        })
    }
}

/// A share of a core below which its owner was not the limit, and above which it was.
const NOT_FULL: f64 = 0.90;
const FULL: f64 = 0.95;
/// What others may take of a core before a figure is no longer the server's own.
const OTHERS: f64 = 0.10;

impl Usage {
    /// With idle cores.
    #[cfg(test)]
    pub(super) fn of_process(cpu_seconds: f64) -> Self {
        Self { cpu_seconds, ..Self::default() }
    }

    /// Why the figure may not be the server's.
    pub(super) fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if self.load.busy() > FULL && self.server.busy() < NOT_FULL {
            notes.push(Note::plain("the load was the limit: its core was full, the server's was not"));
        }
        let others = (self.server.tasks_seconds - self.cpu_seconds) / self.seconds;
        if others > OTHERS {
            notes.push(Note::share("other processes took some of the server's core", others));
        }
        let stolen = self.server.stolen_share().max(self.load.stolen_share());
        if stolen > OTHERS {
            notes.push(Note::share("the host took some of a core away", stolen));
        }
        notes
    }
}

/// A core's time in seconds: since the start, or between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct CoreTime {
    total: f64,
    idle: f64,
    /// By processes; what is left is interrupts, and what the host took.
    tasks_seconds: f64,
    stolen: f64,
}

impl CoreTime {
    fn read(core: u32) -> Result<Self, String> {
        let text = fs::read_to_string("/proc/stat").map_err(|error| format!("/proc/stat: {error}"))?;
        Self::parse(&text, core).ok_or_else(|| format!("there is no core {core}"))
    }

    fn parse(stat: &str, core: u32) -> Option<Self> {
        let label = format!("cpu{core} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&label))?;
        let ticks: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // Guests are counted under user already.
        let [user, nice, system, idle, iowait, irq, softirq, stolen, ..] = ticks[..] else { return None };
        let total = user + nice + system + idle + iowait + irq + softirq + stolen;
        let in_seconds = |ticks: f64| ticks / ticks_per_second();
        Some(Self {
            total: in_seconds(total),
            idle: in_seconds(idle + iowait),
            tasks_seconds: in_seconds(user + nice + system),
            stolen: in_seconds(stolen),
        })
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            total: self.total - earlier.total,
            idle: self.idle - earlier.idle,
            tasks_seconds: self.tasks_seconds - earlier.tasks_seconds,
            stolen: self.stolen - earlier.stolen,
        }
    }

    /// The share of the time it had something to do.
    fn busy(self) -> f64 {
        if self.total > 0.0 { 1.0 - self.idle / self.total } else { 0.0 }
    }

    fn stolen_share(self) -> f64 {
        if self.total > 0.0 { self.stolen / self.total } else { 0.0 }
    }
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// Kernel and user time of a process and its threads, those that ended too.
fn process_seconds(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    process_ticks(&text).map(|ticks| ticks / ticks_per_second()).ok_or_else(|| format!("{path}: {text}"))
}

/// The 14th and 15th field; the second is a name with whatever in it, in parentheses.
fn process_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
}

/// A line of `/proc/PID/status`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Memory {
    /// What is resident now.
    Resident,
    /// The most that ever was.
    Peak,
}

/// Memory of a process in MiB.
pub(super) fn memory(pid: u32, which: Memory) -> Result<f64, String> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let field = match which {
        Memory::Resident => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    kibibytes(&text, field).map(|kibibytes| kibibytes / 1024.0).ok_or_else(|| format!("{path}: no {field}"))
}

fn kibibytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_found_behind_any_name() {
        let stat = "42 (a) b) c) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 5 0 100 200 300";

        assert_eq!(process_ticks(stat), Some(200.0));
        assert_eq!(process_ticks("42"), None);
    }

    #[test]
    fn memory_is_read_from_the_line_of_its_name() {
        let status = "VmPeak:\t  9000 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";

        assert_eq!(kibibytes(status, "VmHWM:"), Some(2048.0));
        assert_eq!(kibibytes(status, "VmRSS:"), Some(1024.0));
    }

    #[test]
    fn a_core_is_told_from_one_whose_number_begins_alike() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\ncpu1 100 0 100 300 0 0 0 0 0 0\n";

        let time = CoreTime::parse(stat, 1).unwrap();

        assert_eq!(time.busy(), 0.4);
        assert_eq!(CoreTime::parse(stat, 2), None);
    }

    fn usage(server_idle: f64, load_idle: f64, cpu_seconds: f64) -> Usage {
        let core = |idle: f64| CoreTime { total: 1.0, idle, tasks_seconds: 1.0 - idle, stolen: 0.0 };
        Usage { seconds: 1.0, cpu_seconds, server: core(server_idle), load: core(load_idle) }
    }

    #[test]
    fn a_load_that_is_the_limit_is_told() {
        let both_full = usage(0.0, 0.0, 1.0);
        let both_half = usage(0.5, 0.5, 0.5);
        let load_full = usage(0.5, 0.0, 0.5);

        assert!(both_full.notes().is_empty() && both_half.notes().is_empty());
        assert_eq!(load_full.notes().len(), 1);
    }

    #[test]
    fn others_on_the_servers_core_are_told() {
        let notes = usage(0.0, 0.5, 0.75).notes();

        assert_eq!(notes, [Note::share("other processes took some of the server's core", 0.25)]);
    }
}
