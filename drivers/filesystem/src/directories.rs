//! Finding and making the directory of a key, durably.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, fsync, mkdirat};
use rustix::io::{Errno, Result};

use crate::resolve::{DIRECTORY, Resolver};

/// How often a path is made again because somebody removed a directory meanwhile.
const ATTEMPTS: usize = 8;

/// Directories that were made but are not known to survive a power loss yet.
///
/// Without this, a second writer could find the directory, put a durable file into it, and lose both.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    count: AtomicUsize,
    paths: Mutex<BTreeMap<String, usize>>,
}

/// Takes a path back when its directory is durable, or its making has failed.
struct Making<'a> {
    unsynced: &'a Unsynced,
    path: &'a str,
}

impl Unsynced {
    fn begin<'a>(&'a self, path: &'a str) -> Making<'a> {
        self.count.fetch_add(1, Ordering::SeqCst);
        *self.paths().entry(path.to_owned()).or_default() += 1;
        Making { unsynced: self, path }
    }

    fn holds(&self, path: &str) -> bool {
        self.paths().contains_key(path)
    }

    fn paths(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut paths = self.unsynced.paths();
        if let Some(makers) = paths.get_mut(self.path) {
            *makers -= 1;
            if *makers == 0 {
                paths.remove(self.path);
            }
        }
        self.unsynced.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Something to be done on the way. It may be called again.
type Work<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Where directories are found and made: the root, the way to resolve, and what is in the making.
pub(crate) struct Directories<'a> {
    pub(crate) root: &'a OwnedFd,
    pub(crate) resolver: &'a Resolver,
    pub(crate) unsynced: &'a Unsynced,
}

impl Directories<'_> {
    /// Opens the directory at `path` (empty: the root), making what is missing. When it answers, the
    /// directory and all above it survive a power loss.
    pub(crate) fn ensure(&self, path: &str) -> Result<OwnedFd> {
        self.ensure_around(path, &mut || Ok(()))
    }

    /// As `ensure`; where the directory is made, `work` is done between its making and its sync. What
    /// `work` syncs takes the directory along on a filesystem with one journal, and the directory's own sync
    /// then finds little to do.
    pub(crate) fn ensure_around(&self, path: &str, work: Work<'_>) -> Result<OwnedFd> {
        match self.open(path) {
            Ok(directory) => {
                self.settle(path)?;
                return Ok(directory);
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        for _ in 0..ATTEMPTS {
            match self.make(path, work) {
                Err(Errno::NOENT) => {}
                outcome => return outcome,
            }
        }
        Err(Errno::NOENT)
    }

    /// Opens the directory at `path` (empty: the root).
    pub(crate) fn open(&self, path: &str) -> Result<OwnedFd> {
        if path.is_empty() {
            return self.root.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        }
        self.resolver.open(self.root, path, DIRECTORY)
    }

    fn make(&self, path: &str, work: Work<'_>) -> Result<OwnedFd> {
        // Mostly only the last one is missing.
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self.open(above) {
            Err(Errno::NOENT) => self.make_all(path),
            parent => {
                self.settle(above)?;
                self.make_one(&parent?, path, name, work)
            }
        }
    }

    fn make_all(&self, path: &str) -> Result<OwnedFd> {
        let mut here = self.open("")?;
        for end in ends(path) {
            let whole = &path[..end];
            let name = whole.rsplit('/').next().unwrap_or(whole);
            here = match self.resolver.open(&here, name, DIRECTORY) {
                Err(Errno::NOENT) => self.make_one(&here, whole, name, &mut || Ok(()))?,
                outcome => outcome?,
            };
        }
        self.settle(path)?;
        Ok(here)
    }

    fn make_one(&self, parent: &OwnedFd, whole: &str, name: &str, work: Work<'_>) -> Result<OwnedFd> {
        let making = self.unsynced.begin(whole);
        match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let worked = work();
        if let Err(errno) = fsync(parent) {
            // It stays known as one that is not durable, for whoever finds it.
            std::mem::forget(making);
            return Err(errno);
        }
        drop(making);
        worked?;
        self.resolver.open(parent, name, DIRECTORY)
    }

    /// Makes a directory that was found, and all above it, survive a power loss: somebody may be about to.
    pub(crate) fn settle(&self, path: &str) -> Result<()> {
        if self.unsynced.count.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        for end in ends(path) {
            if self.unsynced.holds(&path[..end]) {
                let parent = path[..end].rsplit_once('/').map_or("", |(parent, _)| parent);
                fsync(self.open(parent)?)?;
            }
        }
        Ok(())
    }
}

/// Where each leading directory of `path` ends, the shortest first.
fn ends(path: &str) -> impl Iterator<Item = usize> {
    let slashes = path.match_indices('/').map(|(at, _)| at);
    slashes.chain((!path.is_empty()).then_some(path.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_the_making_is_known_until_its_last_maker_is_done() {
        let unsynced = Unsynced::default();
        let (one, other) = (unsynced.begin("a/b"), unsynced.begin("a/b"));

        drop(one);
        assert!(unsynced.holds("a/b") && !unsynced.holds("a"));
        drop(other);
        assert!(!unsynced.holds("a/b"));
        assert_eq!(unsynced.count.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn leading_directories_come_shortest_first() {
        assert_eq!(ends("a/bc/d").collect::<Vec<_>>(), [1, 4, 6]);
        assert_eq!(ends("").count(), 0);
    }
}
