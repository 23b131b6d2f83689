//! Whether the filesystem can do what the driver's safety rests on, tried once at start.

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, RenameFlags, flock, linkat, openat, renameat_with, statat,
    unlinkat,
};
use rustix::io::{Errno, Result};

use crate::file::{stamp, version};
use crate::instance::Instance;

/// What the filesystem offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    /// `renameat2` knows `RENAME_NOREPLACE`; a hard link takes its place where it does not.
    pub(crate) rename_noreplace: bool,
}

/// What the filesystem lacks, as the end of a sentence, or why it could not be told.
pub(crate) enum Refusal {
    Lacks(&'static str),
    Failed(&'static str, Errno),
}

/// Tries everything with two files in `tmp`.
pub(crate) fn probe(tmp: &OwnedFd, instance: &Instance) -> std::result::Result<Abilities, Refusal> {
    let (one, other) = (instance.temporary_name(), instance.temporary_name());
    let outcome = try_everything(tmp, &one, &other);
    for name in [&one, &other] {
        // Whatever is left carries our instance's name and goes with the next sweep.
        let _ = unlinkat(tmp, name, AtFlags::empty());
    }
    outcome
}

fn try_everything(tmp: &OwnedFd, one: &str, other: &str) -> std::result::Result<Abilities, Refusal> {
    let failed = |doing| move |errno| Refusal::Failed(doing, errno);
    let file = create(tmp, one).map_err(failed("creating a file"))?;
    create(tmp, other).map_err(failed("creating a file"))?;
    if !keeps_nanoseconds(tmp, one, &file).map_err(failed("setting a file's time"))? {
        return Err(Refusal::Lacks(
            "does not keep nanoseconds in modification times, which tell versions apart",
        ));
    }
    if !locks_exclude(tmp, one, &file).map_err(failed("locking a file"))? {
        return Err(Refusal::Lacks("does not honour flock between two openings of a file"));
    }
    let rename_noreplace = refuses_to_replace(tmp, one, other).map_err(failed("renaming a file"))?;
    if !rename_noreplace && !link_refuses_to_replace(tmp, one, other).map_err(failed("linking a file"))? {
        return Err(Refusal::Lacks("can create a name only by replacing what has it"));
    }
    rustix::fs::fsync(tmp).map_err(failed("syncing a directory"))?;
    Ok(Abilities { rename_noreplace })
}

fn create(tmp: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    openat(tmp, name, flags, Mode::from_raw_mode(0o644))
}

fn keeps_nanoseconds(tmp: &OwnedFd, name: &str, file: &OwnedFd) -> Result<bool> {
    let (first, second) = (stamp(file)?, stamp(file)?);
    let seen = statat(tmp, name, AtFlags::SYMLINK_NOFOLLOW)?;
    // Two random values below a billion are equal once in a billion starts.
    Ok(version(&first) != version(&second) && version(&second) == version(&seen))
}

fn locks_exclude(tmp: &OwnedFd, name: &str, file: &OwnedFd) -> Result<bool> {
    let again = openat(tmp, name, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(flock(&again, FlockOperation::NonBlockingLockExclusive) == Err(Errno::AGAIN))
}

fn refuses_to_replace(tmp: &OwnedFd, one: &str, other: &str) -> Result<bool> {
    match renameat_with(tmp, one, tmp, other, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Ok(()) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn link_refuses_to_replace(tmp: &OwnedFd, one: &str, other: &str) -> Result<bool> {
    match linkat(tmp, one, tmp, other, AtFlags::empty()) {
        Err(Errno::EXIST) => Ok(true),
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => Ok(false),
        Ok(()) => Ok(false),
        Err(errno) => Err(errno),
    }
}
