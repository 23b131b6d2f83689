//! Who is alive: each open driver holds a lock file, and its temporary files carry its name.
//!
//! What a dead one left is told from what a living one is writing by trying its lock, so a second
//! process may be started on the same directory at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat};
use rustix::io::{Errno, Result};

use crate::file::random_name;

const PREFIX: &str = "instance-";

/// Our name, ours as long as this value lives.
#[derive(Debug)]
pub(crate) struct Instance {
    name: String,
    /// How many temporary files it has named.
    serial: AtomicU64,
    _lock: OwnedFd,
}

impl Instance {
    /// Takes a fresh name in `locks`.
    pub(crate) fn register(locks: &OwnedFd) -> Result<Self> {
        loop {
            let name = random_name();
            let file = format!("{PREFIX}{name}");
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let lock = openat(locks, &file, flags, Mode::from_raw_mode(0o644))?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                // Somebody sweeps at this moment and took our file for a dead one's.
                Err(Errno::AGAIN) => continue,
                Err(errno) => return Err(errno),
            }
            if is_named(locks, &file, &lock)? {
                return Ok(Self { name, serial: AtomicU64::new(0), _lock: lock });
            }
        }
    }

    /// A name for a temporary file of ours, never answered twice.
    pub(crate) fn temporary_name(&self) -> String {
        format!("{}-{:x}", self.name, self.serial.fetch_add(1, Ordering::Relaxed))
    }
}

/// Removes what dead instances left in `tmp`, and their lock files. Answers how many files.
pub(crate) fn sweep(locks: &OwnedFd, tmp: &OwnedFd) -> Result<usize> {
    let mut swept = 0;
    for name in names(tmp)? {
        let owner = name.split('-').next().unwrap_or_default();
        if is_dead(locks, owner)? {
            unlinkat(tmp, &name, AtFlags::empty()).or_else(gone_is_fine)?;
            swept += 1;
        }
    }
    for name in names(locks)? {
        if let Some(owner) = name.strip_prefix(PREFIX)
            && is_dead(locks, owner)?
        {
            unlinkat(locks, &name, AtFlags::empty()).or_else(gone_is_fine)?;
        }
    }
    Ok(swept)
}

fn is_dead(locks: &OwnedFd, owner: &str) -> Result<bool> {
    match openat(locks, format!("{PREFIX}{owner}"), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(errno),
        Ok(lock) => match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(errno) => Err(errno),
        },
    }
}

fn is_named(locks: &OwnedFd, name: &str, file: &OwnedFd) -> Result<bool> {
    match statat(locks, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(stat.st_ino == fstat(file)?.st_ino),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn gone_is_fine(errno: Errno) -> Result<()> {
    if errno == Errno::NOENT { Ok(()) } else { Err(errno) }
}

/// The names in a directory of ours.
pub(crate) fn names(directory: &OwnedFd) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str()
            && !name.starts_with('.')
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
