//! wrk: GETs as fast as they are answered, and pushes by a script.

use std::collections::HashMap;
use std::path::Path;

use super::{Done, Request, command, run};

const REPORT: &str = include_str!("report.lua");
const PUSH: &str = include_str!("push.lua");

/// What an answer's head and the rounding of the last one may add to its body.
const MAX_HEAD_BYTES: u64 = 4096;

/// Writes the scripts where the other functions look for them.
pub(crate) fn write_scripts(directory: &Path) -> std::io::Result<()> {
    std::fs::write(directory.join("report.lua"), REPORT)?;
    std::fs::write(directory.join("push.lua"), PUSH)
}

/// Asks for one thing again and again over so many connections.
pub(crate) fn get(request: &Request, connections: u32, seconds: u64, scripts: &Path) -> Result<Done, String> {
    let mut wrk = command("wrk", seconds);
    wrk.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "60s", "-s"]);
    wrk.arg(scripts.join("report.lua"));
    if let Some(accept) = request.accept {
        wrk.args(["-H", &format!("Accept: {accept}")]);
    }
    wrk.arg(&request.url);
    let measured = Measured::read(&run(wrk)?)?;
    measured.check_lengths(request.length, connections)?;
    measured.done("requests")
}

/// What is counted of a push.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pushed {
    Blobs,
    Manifests,
}

/// Pushes that were planned.
pub(crate) struct Pushes<'a> {
    pub(crate) registry: &'a str,
    /// The plans are `<plan>1`, `<plan>2`, … and each is worked off over a connection of its own.
    pub(crate) plan: &'a Path,
    pub(crate) clients: u32,
    /// Of the manifests in them.
    pub(crate) media_type: &'a str,
    pub(crate) counted: Pushed,
}

impl Pushes<'_> {
    pub(crate) fn run(&self, seconds: u64, scripts: &Path) -> Result<Done, String> {
        let mut wrk = command("wrk", seconds);
        wrk.args([format!("-t{}", self.clients), format!("-c{}", self.clients), format!("-d{seconds}s")]);
        wrk.args(["--timeout", "60s", "-s"]).arg(scripts.join("push.lua")).arg(self.registry);
        wrk.arg("--").arg(self.plan).arg(self.media_type);
        let measured = Measured::read(&run(wrk)?)?;
        measured.done(match self.counted {
            Pushed::Blobs => "blobs",
            Pushed::Manifests => "manifests",
        })
    }
}

/// The line our scripts end with.
struct Measured(HashMap<String, u64>);

impl Measured {
    /// Fails where the line tells of a single wrong answer.
    fn read(text: &str) -> Result<Self, String> {
        let line = text.lines().find_map(|line| line.strip_prefix("measured "));
        let line = line.ok_or_else(|| format!("wrk did not say what it did: {}", text.trim()))?;
        let pair = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let measured = Self(line.split_whitespace().filter_map(pair).collect());
        for error in ["wrong", "connect", "read", "write", "status", "timeout"] {
            if measured.get(error) > 0 {
                let complaint = text.lines().find_map(|line| line.strip_prefix("complaint "));
                return Err(format!("{} errors ({error}) {}", measured.get(error), complaint.unwrap_or("")));
            }
        }
        Ok(measured)
    }

    fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Answers may be cut or empty and still be 200; then they are too few bytes.
    fn check_lengths(&self, length: u64, connections: u32) -> Result<(), String> {
        let (requests, bytes) = (self.get("requests"), self.get("bytes"));
        let begun = requests + u64::from(connections);
        if bytes < requests * length || bytes > begun * (length + MAX_HEAD_BYTES) {
            return Err(format!("{requests} answers of {length} bytes came as {bytes} bytes"));
        }
        Ok(())
    }

    fn done(&self, counted: &str) -> Result<Done, String> {
        let (count, microseconds) = (self.get(counted), self.get("microseconds"));
        if count == 0 || microseconds == 0 {
            return Err("nothing was answered in time".to_owned());
        }
        Ok(Done { count, seconds: microseconds as f64 / 1e6 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "Running 1s test\nmeasured requests=1000 bytes=4396000 microseconds=2000000 connect=0 \
                        read=0 write=0 status=0 timeout=0\n";

    #[test]
    fn a_run_tells_how_much_it_did_in_which_time() {
        let measured = Measured::read(FINE).unwrap();

        assert_eq!(measured.check_lengths(4096, 16), Ok(()));
        assert_eq!(measured.done("requests"), Ok(Done { count: 1000, seconds: 2.0 }));
    }

    #[test]
    fn one_wrong_answer_fails_a_run_and_is_shown() {
        let refused = FINE.replace("status=0", "status=1") + "complaint 404 to a blob: gone\n";

        let error = Measured::read(&refused).err().unwrap();

        assert_eq!(error, "1 errors (status) 404 to a blob: gone");
    }

    #[test]
    fn answers_that_are_too_short_or_too_long_fail_a_run() {
        let measured = Measured::read(FINE).unwrap();

        assert!(measured.check_lengths(5000, 16).is_err());
        assert!(measured.check_lengths(100, 16).is_err());
    }

    #[test]
    fn a_run_without_an_answer_is_no_rate_of_zero() {
        let none = FINE.replace("requests=1000", "requests=0");

        assert!(Measured::read(&none).unwrap().done("requests").is_err());
        assert!(Measured::read("unable to connect").is_err());
    }
}
