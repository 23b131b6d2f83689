//! What directories hold, kept in memory: a page of a listing costs what the page holds, however many
//! names lie beside it.
//!
//! **Why it is exact.** Every process of the host may write, and what was answered must be listed. The
//! kernel queues an inotify event within the call that makes a change, before that call returns and while
//! the directory is still locked. So whoever first asks for events and then looks into the index has seen
//! every change that was answered before, by whichever process. A directory's own times would not do: two
//! changes within one tick of the clock look alike, and an index of a directory that is written to all
//! the time could never be trusted.
//!
//! - *The watch comes before the reading*, so no change falls between them. An event about what the
//!   reading has seen already does no harm: the last event about a name decides.
//! - *Paths are the kernel's.* The directory is opened by its path for every page and known by device and
//!   inode, so one that was moved, replaced or mounted over is not mistaken for another. An inode number
//!   is used again only after its watch has ended, which is an event too.
//! - *Events tell which name has changed, not what it is now.* The file is looked at when a page needs it
//!   ([`Unseen`](crate::entries::Kind::Unseen)), and what was seen is kept only if no other event came meanwhile. An unlinked name
//!   is taken out without a look: kernels before 5.17 tell of it a moment before lookups stop finding it.
//! - *Doubt means reading.* After a lost event, a name moved away (perhaps exchanged), an ended watch or
//!   an error the index of the directory, or all of them, are dropped.
//! - *Only where this kernel sees all changes*: on local filesystems. Elsewhere, or where the system has
//!   no watches left, directories are read for every page.
//!
//! A change is visible to lookups an instant before its event is queued; both come before the writer's
//! answer, so the order that [`StorageDriver`](entrepot_storage::StorageDriver) promises holds.
//!
//! Pages take the lock shared and do not wait for it. Where an event is pending or somebody writes, the
//! page is answered by a thread that may wait, which takes note of the events first.

mod names;
mod state;
#[cfg(test)]
mod tests;
mod watches;

use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use entrepot_storage::ListPage;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::fstat;

use crate::entries::{Batch, Look, Moment, Wanted};
use names::Names;
use state::State;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Directories. Each takes one of the watches that the system grants a user, often 8192.
    pub(crate) directories: usize,
    /// Bytes, in all directories together: some 400,000 names.
    pub(crate) bytes: usize,
    /// Changes while a directory is read; after more of them it is not worth keeping.
    pub(crate) changes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { directories: 1024, bytes: 64 * 1024 * 1024, changes: 16 * 1024 }
    }
}

/// One directory, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// A directory where a listing found it: all keys in it begin with `path`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here<'a> {
    pub(crate) identity: Identity,
    pub(crate) path: &'a str,
}

impl<'a> Here<'a> {
    pub(crate) fn of(directory: impl AsFd, path: &'a str) -> rustix::io::Result<Self> {
        let stat = fstat(directory)?;
        Ok(Self { identity: Identity { device: stat.st_dev, inode: stat.st_ino }, path })
    }

    /// The beginning of a key, or all of it, that the entry `name` stands for.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }
}

/// The directories whose entries are known.
#[derive(Debug, Default)]
pub(crate) struct Index {
    state: RwLock<State>,
}

impl Index {
    #[cfg(test)]
    pub(crate) fn within(limits: Limits) -> Self {
        Self { state: RwLock::new(State::within(limits)) }
    }

    /// A page from one directory where all that goes into it is known, and nothing has happened that was
    /// not taken note of. Does not wait.
    pub(crate) fn page(&self, here: Here<'_>, wanted: &Wanted<'_>, limit: usize) -> Option<ListPage> {
        let state = self.state.try_read().ok()?;
        if state.has_news() { None } else { state.names(here)?.page(wanted, limit) }
    }

    /// What is known of a directory, after taking note of all that has happened.
    pub(crate) fn batch(&self, here: Here<'_>, wanted: &Wanted<'_>, room: usize) -> Option<Batch> {
        // Shared where it can be, because whoever holds the lock alone sends pages to threads.
        if let Ok(state) = self.state.read()
            && !state.has_news()
        {
            return Some(state.names(here)?.batch(wanted, room));
        }
        let mut state = self.write();
        state.take_note();
        Some(state.names(here)?.batch(wanted, room))
    }

    /// Reads a directory to keep what it holds, where that can be done.
    pub(crate) fn admit(&self, directory: &OwnedFd, here: Here<'_>) {
        if !watches::is_local(directory) {
            return;
        }
        let Some(reading) = self.write().begin(directory, here) else { return };
        let names = Names::read(directory, reading.since, reading.bytes);
        let mut state = self.write();
        state.take_note();
        state.finish(&reading, names);
    }

    /// Takes what looks at files of a directory have found.
    pub(crate) fn learn(&self, here: Here<'_>, mut looks: Vec<Look>) {
        // What no index has told has no moment.
        looks.retain(|look| look.since != Moment::default());
        if !looks.is_empty() {
            self.write().learn(here, looks);
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(|poisoned| {
            // Whoever panicked may have taken an event without applying it.
            let mut state = PoisonError::into_inner(poisoned);
            state.forget_all();
            self.state.clear_poison();
            state
        })
    }
}
