//! Conventions that no compiler knows, as tests: who may depend on whom, what may be named how, and the
//! absences the design rests on.
//!
//! Each rule is a function from files (or `cargo metadata`) to findings, so that it can be shown to bite.

mod absences;
mod layers;
mod names;

use std::fmt;

use crate::workspace::{self, Source};

/// A breach: where, and why it is one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    reason: String,
}

impl Finding {
    fn new(path: &str, line: usize, reason: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), line, reason: reason.to_string() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

/// Prints what is wrong; returns whether nothing is.
pub(crate) fn run() -> bool {
    let sources = workspace::sources();
    let mut findings = layers::findings(&workspace::metadata(), &sources);
    findings.extend(names::findings(&sources));
    findings.extend(absences::findings(&sources));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", sources.len(), findings.len());
    findings.is_empty()
}

/// Whether `path` holds Rust that is ours to judge. The fuzz targets are a workspace of their own.
fn is_rust(source: &Source) -> bool {
    source.path.ends_with(".rs")
}

#[cfg(test)]
fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
