//! Listing objects in byte order of their keys.
//!
//! Where an [index](crate::index) knows all that goes into the page, it is answered on the calling
//! thread. Elsewhere only directories that can hold something wanted are read, only what goes into the
//! page is looked at, and memory is bounded by the page: of each directory just as many of the smallest
//! entries are kept as the page has room for.

use std::sync::Arc;

use entrepot_storage::{Key, ListPage, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;

use crate::client::Client;
use crate::entries::{Batch, Entry, Kind, Look, Seen, Wanted, smallest};
use crate::error::of_write;
use crate::index::Here;
use crate::resolve::{DIRECTORY, GLANCE};

/// Lists one page.
pub(crate) async fn list(
    client: &Arc<Client>,
    prefix: &str,
    start_after: Option<&str>,
    limit: usize,
) -> Result<ListPage> {
    if let Some(page) = at_hand(client, prefix, start_after, limit) {
        return Ok(page);
    }
    let (prefix, start_after) = (prefix.to_owned(), start_after.map(str::to_owned));
    client.run(move |client| walk(client, &prefix, start_after.as_deref(), limit)).await
}

/// The page where nothing has to be read for it, looked at or waited for.
pub(crate) fn at_hand(
    client: &Client,
    prefix: &str,
    start_after: Option<&str>,
    limit: usize,
) -> Option<ListPage> {
    let parent = parent_of(prefix)?;
    let wanted = Wanted::of(parent, prefix, start_after)?;
    let path = parent.strip_suffix('/')?;
    let directory = client.resolver.open_cached(&client.root, path, GLANCE | DIRECTORY).ok()?;
    let page = client.index.page(Here::of(&directory, parent).ok()?, &wanted, limit)?;
    client.check_alive().ok()?;
    Some(page)
}

/// The directory that a prefix names, with its slash. `None` where no key can lie there.
fn parent_of(prefix: &str) -> Option<&str> {
    let Some(slash) = prefix.rfind('/') else { return Some("") };
    prefix[..slash].parse::<Key>().is_ok().then_some(&prefix[..=slash])
}

/// The page, with whatever has to be read for it.
pub(crate) fn walk(
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

impl Walk<'_> {
    /// Goes straight to the directory that the prefix names.
    fn begin(&mut self) -> Result<()> {
        let Some(parent) = parent_of(self.prefix) else { return Ok(()) };
        match self.client.directories().open(parent.strip_suffix('/').unwrap_or(parent)) {
            Ok(directory) => self.directory(&directory, parent),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(of_write(errno, None)),
        }
    }

    /// Adds what `directory` holds; all its keys begin with `path`.
    fn directory(&mut self, directory: &OwnedFd, path: &str) -> Result<()> {
        let failed = |errno| of_write(errno, None);
        let Some(all) = Wanted::of(path, self.prefix, self.start_after) else { return Ok(()) };
        let here = Here::of(directory, path).map_err(failed)?;
        let mut last: Option<String> = None;
        loop {
            let wanted = last.as_deref().map_or(all, |last| all.after(last));
            let batch = self.batch(directory, here, &wanted).map_err(failed)?;
            let mut looks = Vec::new();
            for entry in &batch.entries {
                self.entry(directory, here, entry, &mut looks)?;
                if self.page.more {
                    break;
                }
            }
            self.client.index.learn(here, looks);
            if self.page.more {
                return Ok(());
            }
            // What was left out is needed after all where directories turned out to be empty.
            match batch.entries.into_iter().next_back() {
                Some(entry) if batch.is_cut => last = Some(entry.name),
                _ => return Ok(()),
            }
        }
    }

    /// The next entries: one more than the page has room for.
    fn batch(&self, directory: &OwnedFd, here: Here<'_>, wanted: &Wanted<'_>) -> rustix::io::Result<Batch> {
        let room = self.limit.saturating_sub(self.page.objects.len()).saturating_add(1);
        let known = || self.client.index.batch(here, wanted, room);
        if let Some(batch) = known() {
            return Ok(batch);
        }
        if self.is_worth_an_index(here.path) {
            self.client.index.admit(directory, here);
            if let Some(batch) = known() {
                return Ok(batch);
            }
        }
        smallest(directory, wanted, room)
    }

    /// A directory in which a listing begins will be listed again, and one in which a listing is continued
    /// holds more than a page. A walk through many small ones must not drive those out.
    fn is_worth_an_index(&self, path: &str) -> bool {
        parent_of(self.prefix) == Some(path) || self.start_after.is_some_and(|start| start.starts_with(path))
    }

    fn entry(
        &mut self,
        directory: &OwnedFd,
        here: Here<'_>,
        entry: &Entry,
        looks: &mut Vec<Look>,
    ) -> Result<()> {
        let seen = match &entry.kind {
            Kind::Directory => return self.below(directory, here, &entry.name),
            Kind::Seen(seen) => Some(seen.clone()),
            Kind::Unseen(since) => {
                let seen = look(directory, here, &entry.name)?;
                looks.push(Look { name: entry.name.clone(), since: *since, seen: seen.clone() });
                seen
            }
        };
        match seen {
            Some(_) if self.page.objects.len() == self.limit => self.page.more = true,
            Some(seen) => self.page.objects.push(seen.meta()),
            None => {}
        }
        Ok(())
    }

    fn below(&mut self, directory: &OwnedFd, here: Here<'_>, name: &str) -> Result<()> {
        match self.client.resolver.open(directory, name.trim_end_matches('/'), DIRECTORY) {
            Ok(below) => self.directory(&below, &here.path_of(name)),
            // Removed or replaced since it was read: then it holds nothing.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(errno) => Err(of_write(errno, None)),
        }
    }
}

/// Looks at a file, unless it is gone by now.
fn look(directory: &OwnedFd, here: Here<'_>, name: &str) -> Result<Option<Seen>> {
    let Ok(key) = here.path_of(name).parse::<Key>() else { return Ok(None) };
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(Some(Seen::of(key, &stat)))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(of_write(errno, Some(&key))),
    }
}
