//! Writing whole objects.
//!
//! temporary file, bytes, time stamp, sync, name, sync of the directory: in this order, so that a crash
//! at any point leaves either the old state or the new one. Where nobody can ask for the name yet, it comes
//! before the first sync: a journal then takes both in one round instead of two.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, PutMode, Result, Version};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, Stat, fsync, linkat, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::{Errno, pwritev};

use crate::NAME;
use crate::client::Client;
use crate::error::of_write;
use crate::file::{meta, stamp};
use crate::place::{Place, check, current, open_place, with_place};

/// What one vectored write takes (`IOV_MAX`).
const MAX_SLICES: usize = 1024;

/// A file without a place in the store, removed again unless it gets one.
#[derive(Debug)]
pub(crate) struct Temporary {
    directory: Arc<OwnedFd>,
    name: String,
    pub(crate) file: OwnedFd,
    is_placed: bool,
}

impl Temporary {
    pub(crate) fn create(client: &Client) -> rustix::io::Result<Self> {
        let name = client.instance.temporary_name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&client.tmp, &name, flags, Mode::from_raw_mode(0o644))?;
        Ok(Self { directory: Arc::clone(&client.tmp), name, file, is_placed: false })
    }

    pub(crate) fn source(&self) -> (&OwnedFd, &str) {
        (&self.directory, &self.name)
    }

    /// It was renamed into the store: there is nothing to remove.
    pub(crate) fn placed(mut self) {
        self.is_placed = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_placed {
            return;
        }
        match unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => tracing::warn!(%errno, "a temporary file stays until the next start"),
        }
    }
}

/// The bytes of an object without their name.
#[derive(Debug)]
pub(crate) struct Draft {
    temporary: Temporary,
    stat: Stat,
}

impl Draft {
    /// The bytes, on their way to the disk and not durable yet.
    pub(crate) fn begin(client: &Client, body: &Bytes) -> rustix::io::Result<Self> {
        let temporary = Temporary::create(client)?;
        write_all(&temporary.file, std::slice::from_ref(body), 0)?;
        let stat = stamp(&temporary.file)?;
        Ok(Self { temporary, stat })
    }

    /// Makes the bytes durable.
    pub(crate) fn sync(&self) -> rustix::io::Result<()> {
        fsync(&self.temporary.file)
    }

    /// The bytes are the object at `key`: makes its name at `place` durable.
    fn placed(self, place: &Place<'_>, key: &Key) -> Result<ObjectMeta> {
        self.temporary.placed();
        fsync(&place.directory).map_err(|errno| of_write(errno, Some(key)))?;
        Ok(meta(key, &self.stat))
    }
}

/// Writes `body` at `key` under `mode`. Returns when it is durable.
pub(crate) fn put(client: &Client, key: &Key, body: &Bytes, mode: &PutMode) -> Result<ObjectMeta> {
    if *mode == PutMode::Fresh {
        return put_fresh(client, key, body);
    }
    let failed = |errno| of_write(errno, Some(key));
    let (draft, at_hand) = match client.drafts.take(key, body) {
        Some(draft) => (draft, None),
        None => {
            let at_hand = refuse_early(client, key, mode)?;
            let draft = Draft::begin(client, body).map_err(failed)?;
            draft.sync().map_err(failed)?;
            (draft, at_hand)
        }
    };
    let temporary = &draft.temporary;
    let place = match mode {
        PutMode::IfAbsent | PutMode::Fresh => name_if_absent(client, temporary.source(), key, at_hand)?,
        PutMode::Overwrite => replace(client, temporary, key, at_hand, None)?,
        PutMode::IfMatch(version) => replace(client, temporary, key, at_hand, Some(version))?,
    };
    draft.placed(&place, key)
}

/// Names the object before it is durable. Where an earlier attempt did, and may not have come to its end,
/// this one takes the name from it once it is durable itself.
fn put_fresh(client: &Client, key: &Key, body: &Bytes) -> Result<ObjectMeta> {
    let failed = |errno| of_write(errno, Some(key));
    let draft = Draft::begin(client, body).map_err(failed)?;
    let place = match name_if_absent(client, draft.temporary.source(), key, None) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            draft.sync().map_err(failed)?;
            replace(client, &draft.temporary, key, None, None)?
        }
        named => {
            let place = named?;
            draft.sync().map_err(failed)?;
            place
        }
    };
    draft.placed(&place, key)
}

/// Saves the work of writing what will be refused. The real decision is made when the name is given.
/// Answers the directory if it was looked at and is there.
fn refuse_early<'a>(client: &Client, key: &'a Key, mode: &PutMode) -> Result<Option<Place<'a>>> {
    if *mode == PutMode::Overwrite {
        return Ok(None);
    }
    let place = open_place(client, key)?;
    let present = place.as_ref().map(|place| current(place, key)).transpose()?.flatten();
    check(present.as_ref(), mode, key)?;
    Ok(place)
}

/// Gives a finished file its name unless something has it. Needs no lock: whoever replaces or removes
/// an object holds one only while the object exists.
pub(crate) fn name_if_absent<'a>(
    client: &Client,
    source: (&OwnedFd, &str),
    key: &'a Key,
    at_hand: Option<Place<'a>>,
) -> Result<Place<'a>> {
    with_place(client, key, at_hand, |place| {
        if client.abilities.rename_noreplace {
            return renameat_with(source.0, source.1, &place.directory, place.name, RenameFlags::NOREPLACE);
        }
        linkat(source.0, source.1, &place.directory, place.name, AtFlags::empty())?;
        unlinkat(source.0, source.1, AtFlags::empty())
    })
    .map_err(|errno| match errno {
        Errno::EXIST => Error::new(NAME, ErrorKind::AlreadyExists).at(key),
        other => of_write(other, Some(key)),
    })
}

fn replace<'a>(
    client: &Client,
    temporary: &Temporary,
    key: &'a Key,
    at_hand: Option<Place<'a>>,
    expected: Option<&Version>,
) -> Result<Place<'a>> {
    let failed = |errno| of_write(errno, Some(key));
    // Directories are made and synced outside the lock.
    let place = with_place(client, key, at_hand, |_| Ok(())).map_err(failed)?;
    let guard = client.locks.lock(key.as_str()).map_err(failed)?;
    if let Some(version) = expected {
        check(current(&place, key)?.as_ref(), &PutMode::IfMatch(version.clone()), key)?;
    }
    let (from, name) = temporary.source();
    let named = match renameat(from, name, &place.directory, place.name) {
        // Somebody removed the directory by hand: make it again. What is stored there is gone with it.
        Err(Errno::NOENT) if expected.is_none() => {
            with_place(client, key, None, |place| renameat(from, name, &place.directory, place.name))
                .map_err(failed)?
        }
        outcome => outcome.map(|()| place).map_err(failed)?,
    };
    drop(guard);
    Ok(named)
}

/// Writes all pieces one after the other from `offset` on, without joining them in memory.
pub(crate) fn write_all(file: impl AsFd, pieces: &[Bytes], mut offset: u64) -> rustix::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> =
        pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let written = match pwritev(file.as_fd(), &rest[..rest.len().min(MAX_SLICES)], offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        offset += written as u64;
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}
