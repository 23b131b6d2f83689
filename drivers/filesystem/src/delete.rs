//! Deleting objects: the name goes, and the directory is synced. Directories stay.

use std::collections::BTreeMap;

use entrepot_storage::{Error, Key, PutMode, Result, Version};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Stat, fsync, unlinkat};
use rustix::io::Errno;

use crate::client::Client;
use crate::error::of_write;
use crate::place::{Place, check, current, open_place, split};

/// Deletes the object at `key`, in that version if one is given. Returns when it is durable.
pub(crate) fn delete(client: &Client, key: &Key, version: Option<&Version>) -> Result<()> {
    match unlink(client, key, version)? {
        Some(place) => fsync(&place.directory).map_err(|errno| of_write(errno, Some(key))),
        None => Ok(()),
    }
}

/// Takes the name away; answers where, if there was one.
fn unlink<'a>(client: &Client, key: &'a Key, expected: Option<&Version>) -> Result<Option<Place<'a>>> {
    let failed = |errno| of_write(errno, Some(key));
    let matches = |present: Option<&Stat>| match expected {
        Some(version) => check(present, &PutMode::IfMatch(version.clone()), key),
        None => Ok(()),
    };
    let Some(place) = open_place(client, key)? else { return matches(None).map(|()| None) };
    let guard = client.locks.lock(key.as_str()).map_err(failed)?;
    let present = current(&place, key)?;
    matches(present.as_ref())?;
    if present.is_none() {
        return client.check_alive().map(|()| None);
    }
    match unlinkat(&place.directory, place.name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed(errno)),
    }
    drop(guard);
    Ok(Some(place))
}

/// Deletes many objects with one sync per directory. Answers the failures.
pub(crate) fn delete_many(client: &Client, keys: &[Key]) -> Vec<Error> {
    let mut by_directory: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for key in keys {
        by_directory.entry(split(key).0).or_default().push(key);
    }
    by_directory.into_values().flat_map(|keys| delete_together(client, &keys)).collect()
}

fn delete_together(client: &Client, keys: &[&Key]) -> Vec<Error> {
    let mut failures = Vec::new();
    let mut unlinked = Vec::new();
    let mut directory: Option<OwnedFd> = None;
    for key in keys {
        match unlink(client, key, None) {
            Ok(Some(place)) => {
                directory = Some(place.directory);
                unlinked.push(*key);
            }
            Ok(None) => {}
            Err(error) => failures.push(error),
        }
    }
    if let Some(Err(errno)) = directory.map(fsync) {
        failures.extend(unlinked.into_iter().map(|key| of_write(errno, Some(key))));
    }
    failures
}
