//! What one directory holds, in order, in memory.

use std::collections::BTreeMap;
use std::ops::Bound::Unbounded;

use entrepot_storage::ListPage;
use rustix::fd::OwnedFd;
use rustix::io::Result;

use crate::entries::{Batch, Entry, Kind, Look, Moment, Wanted, each, is_segment, kind_of};
use crate::index::watches::Change;

/// What an entry takes beside its name: its place in the map, two allocations.
const ENTRY_BYTES: usize = 128;

/// Entries by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    entries: BTreeMap<Box<str>, Kind>,
    bytes: usize,
}

impl Names {
    /// Reads a directory. `None` where what it holds takes more than `bytes`.
    pub(crate) fn read(directory: &OwnedFd, moment: Moment, bytes: usize) -> Result<Option<Self>> {
        let (mut found, mut taken) = (Vec::new(), 0);
        each(directory, |name| {
            if taken <= bytes && is_segment(name) {
                taken += cost(name);
                found.push((Box::from(name), kind_of(name, moment)));
            }
        })?;
        Ok((taken <= bytes).then(|| Self { entries: found.into_iter().collect(), bytes: taken }))
    }

    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn apply(&mut self, change: Change, moment: Moment) {
        match change {
            Change::There(name) if is_segment(&name) => {
                let (kind, added) = (kind_of(&name, moment), cost(&name));
                if self.entries.insert(name, kind).is_none() {
                    self.bytes += added;
                }
            }
            Change::There(_) => {}
            Change::Gone(name) => self.remove(&name),
        }
    }

    /// Takes what a look has found, unless the entry has changed since.
    pub(crate) fn learn(&mut self, look: Look) {
        let Look { name, since, seen } = look;
        let found = self.entries.get_mut(name.as_str());
        let Some(kind) = found.filter(|kind| **kind == Kind::Unseen(since)) else { return };
        match seen {
            Some(seen) => *kind = Kind::Seen(seen),
            None => self.remove(&name),
        }
    }

    fn remove(&mut self, name: &str) {
        if self.entries.remove(name).is_some() {
            self.bytes -= cost(name);
        }
    }

    /// The smallest wanted entries, at most `room`.
    pub(crate) fn batch(&self, wanted: &Wanted<'_>, room: usize) -> Batch {
        let mut wanted = self.wanted(wanted);
        let entry = |(name, kind): (&str, &Kind)| Entry { name: name.to_owned(), kind: kind.clone() };
        let entries = wanted.by_ref().take(room).map(entry).collect();
        Batch { entries, is_cut: wanted.next().is_some() }
    }

    /// The same as objects, at most `limit`, where all of them were seen.
    pub(crate) fn page(&self, wanted: &Wanted<'_>, limit: usize) -> Option<ListPage> {
        let mut kinds = self.wanted(wanted).map(|(_, kind)| match kind {
            Kind::Seen(seen) => Some(seen),
            Kind::Directory | Kind::Unseen(_) => None,
        });
        let objects = kinds.by_ref().take(limit).map(|seen| Some(seen?.clone().meta()));
        let objects = objects.collect::<Option<_>>()?;
        let more = kinds.next().map_or(Some(false), |next| next.map(|_| true))?;
        Some(ListPage { objects, more })
    }

    fn wanted<'a>(&'a self, wanted: &'a Wanted<'_>) -> impl Iterator<Item = (&'a str, &'a Kind)> {
        let following = self.entries.range::<str, _>((wanted.lower(), Unbounded));
        following.map(|(name, kind)| (&**name, kind)).take_while(|(name, _)| wanted.begins(name))
    }
}

fn cost(name: &str) -> usize {
    // Once as the name, once in the key.
    ENTRY_BYTES + 2 * name.len()
}
