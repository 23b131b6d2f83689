//! The entries of one directory, in the order of their keys.
//!
//! A directory's entries sort as their keys do when a slash is put behind each directory: `a-b` comes
//! before `a/b`, because `-` comes before `/`. So that is how an entry's name is written here.

use std::collections::BinaryHeap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::time::SystemTime;

use entrepot_storage::{Key, ObjectMeta};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, RawDir, Stat, openat, statat};
use rustix::io::{Errno, Result};

use crate::file::{modified, size};
use crate::resolve::DIRECTORY;

/// What is read of a directory at a time: some hundred names.
const BUFFER_BYTES: usize = 32 * 1024;

/// One entry that may be an object or hold some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name, with a slash at the end of a directory's.
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What lies behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    /// An object, as its file told.
    Seen(Seen),
    /// A file that has to be looked at.
    Unseen(Moment),
}

/// Since when a file has to be looked at. Each change has a moment of its own, so that what a look found
/// is not taken for what came after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) u64);

/// What a listing tells of an object. Versions are left out: whoever swaps an object has read it, and
/// writing them down takes as long as all the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    key: Key,
    size: u64,
    modified: Option<SystemTime>,
}

impl Seen {
    pub(crate) fn of(key: Key, stat: &Stat) -> Self {
        Self { key, size: size(stat), modified: modified(stat) }
    }

    pub(crate) fn meta(self) -> ObjectMeta {
        ObjectMeta { key: self.key, size: self.size, version: None, modified: self.modified }
    }
}

/// What a look at a file has found, which had to be looked at since `since`.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) name: String,
    pub(crate) since: Moment,
    /// The object, if it still was one.
    pub(crate) seen: Option<Seen>,
}

/// Some of the smallest entries of a directory, in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    /// Whether greater ones were left out.
    pub(crate) is_cut: bool,
}

/// Which entries of one directory may lead to something wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    beginning: &'a str,
    from: Bound<&'a str>,
}

impl<'a> Wanted<'a> {
    /// What of the directory whose keys all begin with `path` belongs to the listing of `prefix` after
    /// `start`. `None` where nothing does.
    pub(crate) fn of(path: &str, prefix: &'a str, start: Option<&'a str>) -> Option<Self> {
        let beginning = match prefix.strip_prefix(path) {
            Some(rest) if rest.contains('/') => return None,
            Some(rest) => rest,
            None if path.starts_with(prefix) => "",
            None => return None,
        };
        let from = match start {
            Some(start) => match start.strip_prefix(path) {
                Some(rest) => follows(rest),
                None if start < path => Unbounded,
                None => return None,
            },
            None => Unbounded,
        };
        Some(Self { beginning, from })
    }

    /// The rest of them, after the entry `name`.
    pub(crate) fn after<'b>(self, name: &'b str) -> Wanted<'b>
    where
        'a: 'b,
    {
        Wanted { beginning: self.beginning, from: Excluded(name) }
    }

    pub(crate) fn includes(&self, name: &str) -> bool {
        self.begins(name)
            && match self.from {
                Included(from) => name >= from,
                Excluded(from) => name > from,
                Unbounded => true,
            }
    }

    /// Whether `name` begins as all that is wanted does.
    pub(crate) fn begins(&self, name: &str) -> bool {
        name.starts_with(self.beginning)
    }

    /// Where what is wanted begins.
    pub(crate) fn lower(&self) -> Bound<&'a str> {
        match self.from {
            Included(from) | Excluded(from) if from >= self.beginning => self.from,
            _ => Included(self.beginning),
        }
    }
}

/// What follows the key that `rest` ends. It may lie in a directory that has keys on both sides of it.
fn follows(rest: &str) -> Bound<&str> {
    rest.find('/').map_or(Excluded(rest), |slash| Included(&rest[..=slash]))
}

/// The smallest wanted entries of `directory`, at most `room`. Memory is bounded by that, whatever the
/// directory holds.
pub(crate) fn smallest(directory: &OwnedFd, wanted: &Wanted<'_>, room: usize) -> Result<Batch> {
    let mut heap: BinaryHeap<String> = BinaryHeap::new();
    let mut is_cut = false;
    each(directory, |name| {
        if !wanted.includes(name) {
            return;
        }
        let is_full = heap.len() >= room;
        if is_full && heap.peek().is_none_or(|greatest| name > greatest.as_str()) {
            is_cut = true;
        } else if is_segment(name) {
            heap.push(name.to_owned());
            if is_full {
                heap.pop();
                is_cut = true;
            }
        }
    })?;
    let entry = |name: String| Entry { kind: kind_of(&name, Moment::default()), name };
    Ok(Batch { entries: heap.into_sorted_vec().into_iter().map(entry).collect(), is_cut })
}

/// What is known of an entry by its name.
pub(crate) fn kind_of(name: &str, moment: Moment) -> Kind {
    if name.ends_with('/') { Kind::Directory } else { Kind::Unseen(moment) }
}

/// Whether a key can have this segment. No object can be read through another.
pub(crate) fn is_segment(name: &str) -> bool {
    name.strip_suffix('/').unwrap_or(name).parse::<Key>().is_ok()
}

/// Visits the names of all files and directories, in no order. Links and the like are passed over.
pub(crate) fn each(directory: &OwnedFd, mut visit: impl FnMut(&str)) -> Result<()> {
    // Opened anew, because a descriptor remembers how far it was read.
    let fresh = openat(directory, ".", DIRECTORY, Mode::empty())?;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut entries = RawDir::new(&fresh, buffer.spare_capacity_mut());
    let mut text = String::new();
    while let Some(found) = entries.next() {
        let found = found?;
        let Ok(name) = found.file_name().to_str() else { continue };
        if name.starts_with('.') {
            continue;
        }
        text.clear();
        text.push_str(name);
        match file_type(directory, name, found.file_type())? {
            FileType::RegularFile => {}
            FileType::Directory => text.push('/'),
            _ => continue,
        }
        visit(&text);
    }
    Ok(())
}

/// The type of what is called `name`, where the directory told none.
fn file_type(directory: &OwnedFd, name: &str, told: FileType) -> Result<FileType> {
    if told != FileType::Unknown {
        return Ok(told);
    }
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode)),
        // Gone since: it is passed over.
        Err(Errno::NOENT) => Ok(FileType::Unknown),
        Err(errno) => Err(errno),
    }
}
