//! What is wrong with a configuration, said so that the reader can repair it without the manual.
//!
//! A problem names the key, the line or the environment variable it was written in, and what to
//! write instead. Loading collects every problem before it gives up: nobody likes to repair a file
//! one start at a time. No secret value ever enters a message.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file, on this line (counted from 1).
    Line(usize),
    /// In this environment variable.
    Variable(Arc<str>),
    /// Nowhere: it is missing, or a default.
    Unwritten,
}

/// One thing that is wrong (or, as a warning, worth knowing) about a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The full path of the key, such as `http.tls.key`; empty when the file as a whole is meant.
    pub path: String,
    /// Where the value was written.
    pub origin: Origin,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Problem {
    pub(super) fn new(path: impl Into<String>, origin: Origin, message: impl Into<String>) -> Self {
        Self { path: path.into(), origin, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Line(line) => write!(f, "line {line}: ")?,
            Origin::Variable(name) => write!(f, "{name}: ")?,
            Origin::Unwritten => {}
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Why no configuration could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error("cannot read the configuration file {}", .path.display())]
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The configuration was read and must not be used.
    #[error("{}", Invalid { source_name, problems })]
    Invalid {
        /// The file's name, or a phrase saying that only the environment was read.
        source_name: String,
        /// Everything that is wrong, in the order of the file. Never empty.
        problems: Vec<Problem>,
    },
}

/// Renders the list of problems below one headline.
struct Invalid<'a> {
    source_name: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Invalid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "problem" } else { "problems" };
        write!(f, "{}: {} {plural}", self.source_name, self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_place_its_key_and_the_remedy() {
        let problem = Problem::new("http.adr", Origin::Line(7), "unknown key");
        let variable = Problem::new("http.adr", Origin::Variable("REGISTRY_HTTP_ADR".into()), "unknown key");

        assert_eq!(problem.to_string(), "line 7: http.adr: unknown key");
        assert_eq!(variable.to_string(), "REGISTRY_HTTP_ADR: http.adr: unknown key");
    }

    #[test]
    fn all_problems_are_listed_below_the_file_name() {
        let error = ConfigError::Invalid {
            source_name: "config.yml".into(),
            problems: vec![
                Problem::new("a", Origin::Line(1), "one"),
                Problem::new("b", Origin::Unwritten, "two"),
            ],
        };

        assert_eq!(error.to_string(), "config.yml: 2 problems\n  line 1: a: one\n  b: two");
    }
}
