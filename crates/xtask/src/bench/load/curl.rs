//! curl: many bytes in one answer or one request, and answers that take so long that wrk would count none.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Done, Request, command};

/// A transfer of a gibibyte takes seconds; the rest is patience.
const SECONDS: u64 = 60;
/// The slowest a longer one may be.
const MIN_BYTES_PER_SECOND: u64 = 32 * 1024 * 1024;

/// Pulls all of it, from wherever it is redirected to, in so many streams at once, and counts the bytes. The time is that of the slowest stream,
/// without the start of curl itself.
pub(crate) fn pull(request: &Request, streams: u32) -> Result<Done, String> {
    let start = |_| start(curl(SECONDS).args(["-L", "-o", "/dev/null", &request.url]));
    let started: Vec<_> = (0..streams).map(start).collect();
    let ended: Vec<_> = started.into_iter().map(|child| end(child?)).collect();
    let mut done = Done { count: 0, seconds: 0.0 };
    for transfers in ended {
        for transfer in transfers? {
            transfer.check(request.length)?;
            done.count += transfer.received;
            done.seconds = transfer.seconds.max(done.seconds);
        }
    }
    Ok(done)
}

/// Asks for it so many times, one after the other over one connection.
pub(crate) fn one_by_one(request: &Request, times: u64) -> Result<Done, String> {
    let mut curl = curl(SECONDS);
    for _ in 0..times {
        curl.args(["-o", "/dev/null", &request.url]);
    }
    let mut done = Done { count: 0, seconds: 0.0 };
    for transfer in end(start(&mut curl)?)? {
        transfer.check(request.length)?;
        done.count += 1;
        done.seconds += transfer.seconds;
    }
    Ok(done)
}

/// Streams a file into an upload session, and returns where it goes on.
pub(crate) fn patch(location: &str, file: &Path) -> Result<String, String> {
    let length = file.metadata().map_or(0, |file| file.len());
    let mut curl = curl(SECONDS + length / MIN_BYTES_PER_SECOND);
    // curl would wait a second for the leave to go on.
    curl.args(["-X", "PATCH", "-H", "Expect:", "-H", "Content-Type: application/octet-stream", "-T"]);
    let ended = end(start(curl.arg(file).args(["-o", "/dev/null", location]))?)?;
    let transfer = ended.into_iter().next().ok_or("curl did not say what it did")?;
    match transfer.status {
        202 => Ok(transfer.location),
        other => Err(format!("{other} to a PATCH")),
    }
}

fn curl(seconds: u64) -> Command {
    let mut curl = command("curl", seconds);
    curl.args(["-q", "-s", "-S", "--noproxy", "*"]);
    curl.args(["-w", "%{http_code} %{size_download} %{time_total} %header{location}\\n"]);
    curl
}

fn start(curl: &mut Command) -> Result<Child, String> {
    curl.stdout(Stdio::piped()).stderr(Stdio::piped());
    curl.spawn().map_err(|error| format!("curl: {error}"))
}

fn end(child: Child) -> Result<Vec<Transfer>, String> {
    let output = child.wait_with_output().map_err(|error| format!("curl: {error}"))?;
    if !output.status.success() {
        return Err(format!("curl: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(Transfer::read).collect()
}

/// What curl says about one transfer.
#[derive(Debug, PartialEq)]
struct Transfer {
    status: u16,
    received: u64,
    seconds: f64,
    location: String,
}

impl Transfer {
    fn read(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let read = || {
            let [status, received, seconds, location @ ..] = words.as_slice() else { return None };
            Some(Self {
                status: status.parse().ok()?,
                received: received.parse().ok()?,
                seconds: seconds.parse().ok()?,
                location: location.concat(),
            })
        };
        read().ok_or_else(|| format!("curl did not say what it did: {line}"))
    }

    fn check(&self, length: u64) -> Result<(), String> {
        match (self.status, self.received) {
            (200, received) if received == length => Ok(()),
            (status, received) => Err(format!("{status} with {received} bytes instead of {length}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_tells_status_length_time_and_where_to_go_on() {
        let pulled = Transfer::read("200 536870912 0.512000 ").unwrap();
        let pushed = Transfer::read("202 0 1.5 http://127.0.0.1:1/v2/a/blobs/uploads/1?_state=x").unwrap();

        assert_eq!((pulled.check(536_870_912), pulled.seconds), (Ok(()), 0.512));
        assert_eq!(pushed.location, "http://127.0.0.1:1/v2/a/blobs/uploads/1?_state=x");
    }

    #[test]
    fn a_body_that_is_cut_or_an_error_is_no_transfer() {
        let cut = Transfer::read("200 100 0.1 ").unwrap();
        let refused = Transfer::read("404 200 0.1 ").unwrap();

        assert_eq!(cut.check(200), Err("200 with 100 bytes instead of 200".to_owned()));
        assert!(refused.check(200).is_err());
        assert!(Transfer::read("").is_err());
    }
}
