//! Where a run took place: without it, its figures say nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The machine as it was when the run began.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    /// The load averages, before anything was started.
    pub(super) load: String,
    /// In UTC.
    pub(super) date: String,
    /// What the data directory lies on.
    pub(super) filesystem: String,
}

impl Machine {
    pub(super) fn read(data: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let loads = read("/proc/loadavg");
        Self {
            cpu: cpu_model(&read("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: loads.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            filesystem: filesystem(&read("/proc/self/mounts"), data),
        }
    }
}

/// The first line a command says.
pub(super) fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

/// Arm names its cores elsewhere; then there is only that it is one.
fn cpu_model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = line.map(|line| line.trim_start_matches([' ', '\t', ':']));
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// The type and the device of the mount that holds `path`: the longest that begins it, and of several
/// laid over each other the last.
fn filesystem(mounts: &str, path: &Path) -> String {
    let fields = |line: &'_ str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some((words.next()?, words.next()?, words.next()?))
    };
    let holding = mounts.lines().filter_map(fields).filter(|(_, at, _)| path.starts_with(at));
    let found = holding.max_by_key(|(_, at, _)| at.len());
    found.map_or_else(|| "unknown".to_owned(), |(device, _, kind)| format!("{kind} on {device}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\nproc /proc proc rw 0 0\n";

    #[test]
    fn the_filesystem_is_that_of_the_nearest_mount() {
        assert_eq!(filesystem(MOUNTS, Path::new("/tmp/bench")), "tmpfs on tmpfs");
        assert_eq!(filesystem(MOUNTS, Path::new("/tmpfiles")), "ext4 on /dev/vda");
        assert_eq!(filesystem("", Path::new("/")), "unknown");
    }

    #[test]
    fn a_mount_over_another_hides_it() {
        let covered = format!("{MOUNTS}/dev/vdb /tmp xfs rw 0 0\n");

        assert_eq!(filesystem(&covered, Path::new("/tmp")), "xfs on /dev/vdb");
    }

    #[test]
    fn the_cpu_is_named_as_the_kernel_names_it() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Some CPU @ 2 GHz\n";

        assert_eq!(cpu_model(cpuinfo), "Some CPU @ 2 GHz");
        assert_eq!(cpu_model("CPU part : 0xd0c\n"), std::env::consts::ARCH);
    }
}
