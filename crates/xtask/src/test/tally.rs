//! How many tests passed, failed and were skipped, by what they print.

use std::fmt;
use std::iter::Sum;

/// How a test that could not run says so; see `tests/support/programs.rs`.
const SKIPPED: &str = "SKIPPED ";

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl Tally {
    pub(super) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(super) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(super) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// Adds up the summaries in what a test run printed. A test that said it was skipped counts as that:
    /// the test runner took it for passed.
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("test result: "));
        let mut tally: Self = lines.map(Self::read_summary).sum();
        let skipped = skips(text).len().min(tally.passed);
        tally.passed -= skipped;
        tally.skipped += skipped;
        tally
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; ...`
    fn read_summary(summary: &str) -> Self {
        let count = |word: &str| {
            let part = summary.split([';', '.']).find(|part| part.trim().ends_with(word));
            part.and_then(|part| part.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Self { passed: count(" passed"), failed: count(" failed"), skipped: count(" ignored") }
    }
}

/// What was skipped and why, one for each test.
pub(super) fn skips(text: &str) -> Vec<&str> {
    // The runner writes `test name ... ` first when it runs one at a time, so it need not begin the line.
    text.lines().filter_map(|line| line.find(SKIPPED).map(|start| &line[start + SKIPPED.len()..])).collect()
}

/// What the failed tests printed, with their names at the end of each test binary's part.
pub(super) fn failures(text: &str) -> String {
    let mut lines = text.lines();
    let mut said = String::new();
    while lines.any(|line| line == "failures:") {
        let part = lines.by_ref().take_while(|line| !line.starts_with("test result: "));
        part.for_each(|line| said.extend([line, "\n"]));
    }
    said
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, next| Self {
            passed: sum.passed + next.passed,
            failed: sum.failed + next.failed,
            skipped: sum.skipped + next.skipped,
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_all_test_binaries_are_added_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    noise\ntest result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";

        assert_eq!(Tally::read(text), Tally { passed: 7, failed: 2, skipped: 1 });
    }

    #[test]
    fn what_a_failed_test_said_is_found_among_what_all_others_said() {
        let text = "running 2 tests\ntest one ... ok\ntest two ... FAILED\n\nfailures:\n\n\
                    ---- two stdout ----\npanicked\n\n\nfailures:\n    two\n\n\
                    test result: FAILED. 1 passed; 1 failed\n\nrunning 1 test\ntest three ... ok\n\n\
                    test result: ok. 1 passed; 0 failed\n";

        assert_eq!(failures(text), "\n---- two stdout ----\npanicked\n\n\nfailures:\n    two\n\n");
        assert_eq!(failures("error: it does not compile\n"), "");
    }

    #[test]
    fn a_test_that_says_it_was_skipped_is_not_counted_as_passed() {
        let text = "SKIPPED docker: not installed\ntest result: ok. 2 passed; 0 failed; 0 ignored\n";

        assert_eq!(Tally::read(text), Tally { passed: 1, failed: 0, skipped: 1 });
        assert_eq!(skips(text), ["docker: not installed"]);
    }
}
