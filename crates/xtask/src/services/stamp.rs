//! Which version of a program was installed, noted beside it: not every program tells.

use std::fs;
use std::path::{Path, PathBuf};

use super::State;

/// A note of a version.
pub(super) struct Stamp(PathBuf);

impl Stamp {
    /// The note in `home`, the directory a program was built or installed in.
    pub(super) fn of(home: &Path) -> Self {
        Self(home.join("version"))
    }

    /// Whether this version of `program` is there.
    pub(super) fn tells(&self, program: &Path, version: &str) -> bool {
        program.is_file() && fs::read_to_string(&self.0).unwrap_or_default() == version
    }

    /// Notes that this version was installed.
    pub(super) fn write(&self, version: &str) -> State {
        let written = fs::write(&self.0, version);
        written.map_or_else(|error| State::Failed(error.to_string()), |()| State::Ready)
    }
}
