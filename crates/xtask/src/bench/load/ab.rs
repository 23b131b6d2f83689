//! ab: HEADs. wrk waits for the body that the answer to a HEAD announces and does not have, h2load does too,
//! and hey is slower than what it would measure; ab costs some 15 microseconds a request.
//!
//! It speaks HTTP/1.0 and asks to keep the connection; both registries do.

use super::{Done, Request, command, run};

/// More than any server answers in a second; without a bound ab stops at 50,000.
const MAX_RATE: u64 = 200_000;

/// Asks for the head of one thing again and again over so many connections.
pub(crate) fn head(request: &Request, connections: u32, seconds: u64) -> Result<Done, String> {
    let mut ab = command("ab", seconds);
    // -n after -t, which sets it too.
    ab.args(["-q", "-k", "-i", "-s", "60", "-c", &connections.to_string(), "-t", &seconds.to_string()]);
    ab.args(["-n", &(seconds * MAX_RATE).to_string(), &request.url]);
    read(&run(ab)?)
}

fn read(text: &str) -> Result<Done, String> {
    let number = |label| value(text, label).and_then(|value| value.parse::<u64>().ok());
    let missing = || format!("ab did not say what it did: {}", text.trim());
    let count = number("Complete requests:").ok_or_else(missing)?;
    let seconds = value(text, "Time taken for tests:").and_then(|value| value.parse().ok());
    let seconds: f64 = seconds.ok_or_else(missing)?;
    for label in ["Failed requests:", "Non-2xx responses:"] {
        if let Some(wrong) = number(label).filter(|&wrong| wrong > 0) {
            return Err(format!("{label} {wrong} of {count}"));
        }
    }
    let kept = number("Keep-Alive requests:").unwrap_or(0);
    if count == 0 || kept * 10 < count * 9 {
        return Err(format!("{kept} of {count} answers kept their connection"));
    }
    Ok(Done { count, seconds })
}

/// The first word behind `label`.
fn value<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(label))?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "Concurrency Level:      16\nTime taken for tests:   2.000 seconds\n\
                        Complete requests:      38029\nFailed requests:        0\n\
                        Keep-Alive requests:    38029\nRequests per second:    19014.12 [#/sec] (mean)\n";

    #[test]
    fn a_run_tells_how_much_it_did_in_which_time() {
        assert_eq!(read(FINE), Ok(Done { count: 38029, seconds: 2.0 }));
    }

    #[test]
    fn a_run_with_wrong_answers_fails() {
        let refused = FINE.replace("Keep-Alive", "Non-2xx responses:      7\nKeep-Alive");

        assert_eq!(read(&refused), Err("Non-2xx responses: 7 of 38029".to_owned()));
        assert!(read(&FINE.replace("Failed requests:        0", "Failed requests:        2")).is_err());
    }

    #[test]
    fn a_server_that_closes_every_connection_is_not_measured_by_its_handshakes() {
        let closing = FINE.replace("Keep-Alive requests:    38029", "Keep-Alive requests:    12");

        assert_eq!(read(&closing), Err("12 of 38029 answers kept their connection".to_owned()));
    }
}
