//! Where an object has its name: a directory, open, and a name in it.

use entrepot_storage::{Error, ErrorKind, Key, PutMode, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Stat, statat};
use rustix::io::Errno;

use crate::NAME;
use crate::client::Client;
use crate::error::of_write;
use crate::file::{is_object, version};

/// How often something is done again because its directory vanished.
const ATTEMPTS: usize = 8;

/// A name in a directory, open.
pub(crate) struct Place<'a> {
    pub(crate) directory: OwnedFd,
    pub(crate) name: &'a str,
}

/// The directory of a key and its name there.
pub(crate) fn split(key: &Key) -> (&str, &str) {
    key.as_str().rsplit_once('/').unwrap_or(("", key.as_str()))
}

/// The directory of `key`, if there is one.
pub(crate) fn open_place<'a>(client: &Client, key: &'a Key) -> Result<Option<Place<'a>>> {
    let (path, name) = split(key);
    match client.directories().open(path) {
        Ok(directory) => Ok(Some(Place { directory, name })),
        Err(Errno::NOENT | Errno::NOTDIR) => client.check_alive().map(|()| None),
        Err(errno) => Err(of_write(errno, Some(key))),
    }
}

/// Does something in the directory of `key`, which is made if need be, and again if it vanishes. One that
/// was opened before in the same call is `at_hand`.
pub(crate) fn with_place<'a>(
    client: &Client,
    key: &'a Key,
    at_hand: Option<Place<'a>>,
    act: impl Fn(&Place<'_>) -> rustix::io::Result<()>,
) -> rustix::io::Result<Place<'a>> {
    let (path, name) = split(key);
    if let Some(place) = at_hand {
        client.directories().settle(path)?;
        match act(&place) {
            Err(Errno::NOENT) => {}
            outcome => return outcome.map(|()| place),
        }
    }
    for _ in 0..ATTEMPTS {
        let place = Place { directory: client.directories().ensure(path)?, name };
        match act(&place) {
            Err(Errno::NOENT) => {}
            outcome => return outcome.map(|()| place),
        }
    }
    Err(Errno::NOENT)
}

/// The object at a place, if one is there.
pub(crate) fn current(place: &Place<'_>, key: &Key) -> Result<Option<Stat>> {
    let failed = |errno| of_write(errno, Some(key));
    match statat(&place.directory, place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(is_object(&stat).map_err(failed)?.then_some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(failed(errno)),
    }
}

/// Whether what is `present` meets the condition of `mode`.
pub(crate) fn check(present: Option<&Stat>, mode: &PutMode, key: &Key) -> Result<()> {
    let refused = match mode {
        PutMode::Overwrite => None,
        PutMode::IfAbsent | PutMode::Fresh => present.map(|_| ErrorKind::AlreadyExists),
        PutMode::IfMatch(expected) => {
            (present.map(version).as_ref() != Some(expected)).then_some(ErrorKind::Precondition)
        }
    };
    refused.map_or(Ok(()), |kind| Err(Error::new(NAME, kind).at(key)))
}
