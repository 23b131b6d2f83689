//! Listing objects in byte order of their keys.
//!
//! A directory's entries sort as their keys do when a slash is put behind each directory: `a-b` comes
//! before `a/b`, because `-` comes before `/`. Only directories that can hold something wanted are read,
//! only what goes into the page is looked at, and memory is bounded by the page: of each directory just
//! as many of the smallest entries are kept as the page has room for.

use std::collections::BinaryHeap;

use entrepot_storage::{Key, ListPage, ObjectMeta, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, DirEntry, FileType, statat};
use rustix::io::Errno;

use crate::client::Client;
use crate::error::of_write;
use crate::file::meta;
use crate::resolve::DIRECTORY;

/// Lists one page.
pub(crate) fn list(
    client: &Client,
    prefix: &str,
    start_after: Option<&str>,
    limit: usize,
) -> Result<ListPage> {
    let mut walk = Walk { client, prefix, start_after, limit, page: ListPage::default() };
    walk.begin()?;
    client.check_alive()?;
    Ok(walk.page)
}

struct Walk<'a> {
    client: &'a Client,
    prefix: &'a str,
    start_after: Option<&'a str>,
    limit: usize,
    page: ListPage,
}

/// What a directory holds: the text all its keys begin with, a slash at the end of a directory's.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    path: String,
}

/// Some of the smallest entries of a directory, in order.
struct Batch {
    entries: Vec<Entry>,
    /// Whether greater ones were left out.
    is_cut: bool,
}

impl Entry {
    fn is_directory(&self) -> bool {
        self.path.ends_with('/')
    }

    fn name<'a>(&'a self, parent: &str) -> &'a str {
        self.path[parent.len()..].trim_end_matches('/')
    }
}

impl Walk<'_> {
    /// Goes straight to the directory that the prefix names.
    fn begin(&mut self) -> Result<()> {
        let parent = self.prefix.rfind('/').map_or("", |slash| &self.prefix[..=slash]);
        let path = parent.strip_suffix('/').unwrap_or(parent);
        if !parent.is_empty() && path.parse::<Key>().is_err() {
            return Ok(());
        }
        match self.client.directories().open(path) {
            Ok(directory) => self.directory(&directory, parent),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(of_write(errno, None)),
        }
    }

    /// Adds what `directory` holds; all its keys begin with `path`.
    fn directory(&mut self, directory: &OwnedFd, path: &str) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let batch =
                self.smallest(directory, path, after.as_deref()).map_err(|errno| of_write(errno, None))?;
            for entry in &batch.entries {
                self.entry(directory, path, entry)?;
                if self.page.more {
                    return Ok(());
                }
            }
            // What was left out is needed after all where directories turned out to be empty.
            match batch.entries.into_iter().next_back() {
                Some(last) if batch.is_cut => after = Some(last.path),
                _ => return Ok(()),
            }
        }
    }

    fn entry(&mut self, directory: &OwnedFd, path: &str, entry: &Entry) -> Result<()> {
        let name = entry.name(path);
        if entry.is_directory() {
            return match self.client.resolver.open(directory, name, DIRECTORY) {
                Ok(below) => self.directory(&below, &entry.path),
                // Removed or replaced since it was read: then it holds nothing.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(errno) => Err(of_write(errno, None)),
            };
        }
        if self.page.objects.len() == self.limit {
            self.page.more = true;
            return Ok(());
        }
        self.page.objects.extend(look(directory, name, &entry.path)?);
        Ok(())
    }

    /// The smallest entries greater than `after` that may lead to something wanted: one more than the
    /// page has room for.
    fn smallest(&self, directory: &OwnedFd, path: &str, after: Option<&str>) -> rustix::io::Result<Batch> {
        let room = self.limit.saturating_sub(self.page.objects.len()).saturating_add(1);
        let mut heap = BinaryHeap::new();
        let mut is_cut = false;
        for found in Dir::read_from(directory)? {
            let Some(entry) = entry(directory, path, &found?)? else { continue };
            if !self.is_wanted(&entry) || after.is_some_and(|after| entry.path.as_str() <= after) {
                continue;
            }
            heap.push(entry);
            if heap.len() > room {
                heap.pop();
                is_cut = true;
            }
        }
        Ok(Batch { entries: heap.into_sorted_vec(), is_cut })
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        let path = entry.path.as_str();
        let may_match =
            path.starts_with(self.prefix) || (entry.is_directory() && self.prefix.starts_with(path));
        // A directory whose path begins `start_after` may hold keys on both sides of it.
        let may_follow = self
            .start_after
            .is_none_or(|start| path > start || (entry.is_directory() && start.starts_with(path)));
        may_match && may_follow
    }
}

/// An entry that may be an object or hold some. Links, dot files and names no key can have are passed
/// over: nothing can be read through them either.
fn entry(directory: &OwnedFd, path: &str, found: &DirEntry) -> rustix::io::Result<Option<Entry>> {
    let Ok(name) = found.file_name().to_str() else { return Ok(None) };
    if name.parse::<Key>().is_err() {
        return Ok(None);
    }
    let kind = match found.file_type() {
        FileType::Unknown => match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno),
        },
        known => known,
    };
    Ok(match kind {
        FileType::RegularFile => Some(Entry { path: format!("{path}{name}") }),
        FileType::Directory => Some(Entry { path: format!("{path}{name}/") }),
        _ => None,
    })
}

/// The object of one entry, unless it is gone by now.
fn look(directory: &OwnedFd, name: &str, path: &str) -> Result<Option<ObjectMeta>> {
    let Ok(key) = path.parse::<Key>() else { return Ok(None) };
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(Some(meta(&key, &stat)))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(of_write(errno, Some(&key))),
    }
}
