//! Which directories are known, by which watches, and which of them are given up first.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};

use super::names::Names;
use super::watches::{Change, Notice, Watches};
use super::{Here, Identity, Limits};
use crate::entries::{Look, Moment};

/// All that is known. It changes under one lock, so that nobody looks between the taking of an event and
/// its application.
#[derive(Debug, Default)]
pub(crate) struct State {
    limits: Limits,
    /// Opened when it is first needed: a process that never lists has none.
    watches: Option<Watches>,
    directories: HashMap<Identity, Directory>,
    by_watch: HashMap<i32, Identity>,
    /// What holds more than may be kept, so that it is not read in vain each time.
    too_large: HashSet<Identity>,
    moment: u64,
    bytes: usize,
    /// Counts uses, to tell which directory was used last.
    uses: AtomicU64,
    has_complained: bool,
}

#[derive(Debug)]
struct Directory {
    /// What all its keys begin with.
    path: Box<str>,
    watch: i32,
    /// When it was begun to be read.
    since: Moment,
    used: AtomicU64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// It is being read; what has changed since.
    Reading(Vec<(Change, Moment)>),
    Known(Names),
}

/// A directory that is about to be read.
pub(crate) struct Reading {
    directory: Identity,
    pub(crate) since: Moment,
    /// How much it may take.
    pub(crate) bytes: usize,
}

impl State {
    #[cfg(test)]
    pub(crate) fn within(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many directories it knows.
    #[cfg(test)]
    pub(crate) fn directories(&self) -> usize {
        self.directories.len()
    }

    /// Takes events without applying them, as a panic might.
    #[cfg(test)]
    pub(crate) fn lose_news(&mut self) {
        let lost = self.watches.as_ref().map(Watches::take);
        assert!(lost.is_some_and(|notices| notices.is_ok_and(|notices| !notices.is_empty())));
    }

    /// Whether something has happened that was not taken note of.
    pub(crate) fn has_news(&self) -> bool {
        self.watches.as_ref().is_some_and(Watches::has_news)
    }

    /// What is known of a directory.
    pub(crate) fn names(&self, here: Here<'_>) -> Option<&Names> {
        let directory = self.directories.get(&here.identity)?;
        let Content::Known(names) = &directory.content else { return None };
        directory.used.store(self.use_now(), Ordering::Relaxed);
        (*directory.path == *here.path).then_some(names)
    }

    fn use_now(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }

    fn next_moment(&mut self) -> Moment {
        self.moment += 1;
        Moment(self.moment)
    }

    /// Applies all that has happened until now.
    pub(crate) fn take_note(&mut self) {
        let Some(watches) = &self.watches else { return };
        match watches.take() {
            Ok(notices) => notices.into_iter().for_each(|notice| self.note(notice)),
            Err(errno) => {
                self.complain(errno);
                self.forget_all();
            }
        }
        self.make_room();
    }

    pub(crate) fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Changed(watch, change) => self.change(watch, change),
            Notice::Unclear(watch) => {
                if let Some(directory) = self.by_watch.get(&watch).copied() {
                    self.forget(directory);
                }
            }
            Notice::Overflow => self.forget_all(),
        }
    }

    fn change(&mut self, watch: i32, change: Change) {
        let moment = self.next_moment();
        // An event may be older than the end of its watch.
        let Some(identity) = self.by_watch.get(&watch).copied() else { return };
        let Some(directory) = self.directories.get_mut(&identity) else { return };
        match &mut directory.content {
            Content::Known(names) => {
                self.bytes -= names.bytes();
                names.apply(change, moment);
                self.bytes += names.bytes();
            }
            Content::Reading(changes) if changes.len() < self.limits.changes => {
                changes.push((change, moment));
            }
            Content::Reading(_) => self.forget(identity),
        }
    }

    /// Watches a directory that is about to be read. `None` where it is not to be kept.
    pub(crate) fn begin(&mut self, directory: &OwnedFd, here: Here<'_>) -> Option<Reading> {
        let Here { identity, path } = here;
        match self.directories.get(&identity) {
            // Somebody else is reading it.
            Some(known) if *known.path == *path => return None,
            // It was moved, and its keys are others now.
            Some(_) => self.forget(identity),
            None if self.too_large.contains(&identity) => return None,
            None => {}
        }
        let watch = self.watch(directory).map_err(|errno| self.complain(errno)).ok()?;
        let since = self.next_moment();
        let used = AtomicU64::new(self.use_now());
        let content = Content::Reading(Vec::new());
        self.by_watch.insert(watch, identity);
        self.directories.insert(identity, Directory { path: path.into(), watch, since, used, content });
        Some(Reading { directory: identity, since, bytes: self.limits.bytes })
    }

    fn watch(&mut self, directory: &OwnedFd) -> Result<i32> {
        let watches = match self.watches.take() {
            Some(watches) => watches,
            None => Watches::open()?,
        };
        let watch = self.watches.insert(watches).add(directory);
        if watch == Err(Errno::NOSPC) {
            // The system grants no more: the next directory takes the place of another.
            self.forget_oldest();
        }
        watch
    }

    fn complain(&mut self, errno: Errno) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::debug!(%errno, "changes cannot be watched, and directories are read for every listing");
        }
    }

    /// Keeps what was read of a directory, with what has changed since; `None` where that is too much.
    pub(crate) fn finish(&mut self, reading: &Reading, names: Result<Option<Names>>) {
        let found = self.directories.get_mut(&reading.directory);
        // Another one, or none: it was given up meanwhile.
        let Some(directory) = found.filter(|directory| directory.since == reading.since) else { return };
        let Content::Reading(changes) = &mut directory.content else { return };
        let Ok(Some(mut names)) = names else {
            self.forget(reading.directory);
            if names.is_ok() {
                self.refuse(reading.directory);
            }
            return;
        };
        for (change, moment) in std::mem::take(changes) {
            names.apply(change, moment);
        }
        self.bytes += names.bytes();
        directory.content = Content::Known(names);
        self.make_room();
    }

    /// Remembers for a while that a directory holds too much.
    fn refuse(&mut self, directory: Identity) {
        if self.too_large.len() >= self.limits.directories {
            self.too_large.clear();
        }
        self.too_large.insert(directory);
    }

    pub(crate) fn learn(&mut self, here: Here<'_>, looks: Vec<Look>) {
        let Some(directory) = self.directories.get_mut(&here.identity) else { return };
        let Content::Known(names) = &mut directory.content else { return };
        self.bytes -= names.bytes();
        looks.into_iter().for_each(|look| names.learn(look));
        self.bytes += names.bytes();
    }

    fn make_room(&mut self) {
        while self.bytes > self.limits.bytes || self.directories.len() > self.limits.directories {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let used = |directory: &Directory| directory.used.load(Ordering::Relaxed);
        let oldest = self.directories.iter().min_by_key(|(_, directory)| used(directory));
        if let Some(identity) = oldest.map(|(identity, _)| *identity) {
            self.forget(identity);
        }
    }

    fn forget(&mut self, directory: Identity) {
        let Some(directory) = self.directories.remove(&directory) else { return };
        self.by_watch.remove(&directory.watch);
        if let Content::Known(names) = directory.content {
            self.bytes -= names.bytes();
        }
        if let Some(watches) = &self.watches {
            watches.remove(directory.watch);
        }
    }

    /// Knows nothing from here on. Closing the descriptor ends all watches at once.
    pub(crate) fn forget_all(&mut self) {
        self.watches = None;
        self.directories.clear();
        self.by_watch.clear();
        self.bytes = 0;
    }
}
