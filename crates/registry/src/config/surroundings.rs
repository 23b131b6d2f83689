//! What a configuration may learn from the process around it: variables and the files they name.
//!
//! This is the only door to the environment in the whole workspace. Tests pass their own
//! [`Surroundings`], so that no test ever touches the environment of the process it runs in.

use std::io;
use std::path::Path;

/// The process environment and the files a configuration refers to.
pub trait Surroundings {
    /// All environment variables whose names and values are UTF-8, in any order.
    fn variables(&self) -> Vec<(String, String)>;

    /// The whole text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// The real process and the real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process;

impl Surroundings for Process {
    fn variables(&self) -> Vec<(String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// Variables and files made up by a test, or by a caller that has them elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Imagined {
    variables: Vec<(String, String)>,
    files: Vec<(std::path::PathBuf, String)>,
}

impl Imagined {
    /// An empty environment without files.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds one environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds one readable file.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.into(), text.to_owned()));
        self
    }
}

impl Surroundings for Imagined {
    fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let found = self.files.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
