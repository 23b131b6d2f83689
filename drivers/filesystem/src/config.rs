//! What the operator decides.

use std::path::PathBuf;

use serde::Deserialize;

/// The fewest concurrent file operations: fewer would let a handful of slow reads stall everything.
pub(crate) const MIN_THREADS: usize = 25;

/// Where the objects lie and how many threads may work on them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory that holds everything. Made at start if it is missing.
    pub root_directory: PathBuf,
    /// How many file operations may occupy a thread at once; at least 25. Default 100. Reads of what
    /// the page cache holds need no thread.
    #[serde(default = "default_max_threads")]
    pub max_threads: usize,
}

impl Config {
    /// The defaults, below `root_directory`.
    pub fn at(root_directory: impl Into<PathBuf>) -> Self {
        Self { root_directory: root_directory.into(), max_threads: default_max_threads() }
    }
}

fn default_max_threads() -> usize {
    100
}
