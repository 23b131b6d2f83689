//! Writing whole objects.
//!
//! temporary file, bytes, time stamp, sync, name, sync of the directory: in this order, so that a crash
//! at any point leaves either the old state or the new one.

use std::io::IoSlice;

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, PutMode, Result, Version};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fsync, linkat, openat, renameat, renameat_with, unlinkat,
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
pub(crate) struct Temporary<'a> {
    directory: &'a OwnedFd,
    name: String,
    pub(crate) file: OwnedFd,
}

impl<'a> Temporary<'a> {
    pub(crate) fn create(client: &'a Client) -> rustix::io::Result<Self> {
        let name = client.instance.temporary_name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&client.tmp, &name, flags, Mode::from_raw_mode(0o644))?;
        Ok(Self { directory: &client.tmp, name, file })
    }

    pub(crate) fn source(&self) -> (&OwnedFd, &str) {
        (self.directory, &self.name)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Gone already where it was renamed into the store.
        match unlinkat(self.directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => tracing::warn!(%errno, "a temporary file stays until the next start"),
        }
    }
}

/// Writes `body` at `key` under `mode`. Returns when it is durable.
pub(crate) fn put(client: &Client, key: &Key, body: &Bytes, mode: &PutMode) -> Result<ObjectMeta> {
    refuse_early(client, key, mode)?;
    let failed = |errno| of_write(errno, Some(key));
    let temporary = Temporary::create(client).map_err(failed)?;
    write_all(&temporary.file, std::slice::from_ref(body), 0).map_err(failed)?;
    let stat = stamp(&temporary.file).map_err(failed)?;
    fsync(&temporary.file).map_err(failed)?;
    let place = match mode {
        PutMode::IfAbsent => name_if_absent(client, temporary.source(), key)?,
        PutMode::Overwrite => replace(client, &temporary, key, None)?,
        PutMode::IfMatch(version) => replace(client, &temporary, key, Some(version))?,
    };
    fsync(&place.directory).map_err(failed)?;
    Ok(meta(key, &stat))
}

/// Saves the work of writing what will be refused. The real decision is made when the name is given.
fn refuse_early(client: &Client, key: &Key, mode: &PutMode) -> Result<()> {
    if *mode == PutMode::Overwrite {
        return Ok(());
    }
    let present = open_place(client, key)?.map(|place| current(&place, key)).transpose()?.flatten();
    check(present.as_ref(), mode, key)
}

/// Gives a finished file its name unless something has it. Needs no lock: whoever replaces or removes
/// an object holds one only while the object exists.
pub(crate) fn name_if_absent<'a>(
    client: &Client,
    source: (&OwnedFd, &str),
    key: &'a Key,
) -> Result<Place<'a>> {
    with_place(client, key, |place| {
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
    temporary: &Temporary<'_>,
    key: &'a Key,
    expected: Option<&Version>,
) -> Result<Place<'a>> {
    let failed = |errno| of_write(errno, Some(key));
    // Directories are made and synced outside the lock.
    let place = with_place(client, key, |_| Ok(())).map_err(failed)?;
    let guard = client.locks.lock(key.as_str()).map_err(failed)?;
    if let Some(version) = expected {
        check(current(&place, key)?.as_ref(), &PutMode::IfMatch(version.clone()), key)?;
    }
    let (from, name) = temporary.source();
    let named = match renameat(from, name, &place.directory, place.name) {
        // Somebody removed the directory by hand: make it again. What is stored there is gone with it.
        Err(Errno::NOENT) if expected.is_none() => {
            with_place(client, key, |place| renameat(from, name, &place.directory, place.name))
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
