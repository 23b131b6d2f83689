//! Where parts lie until their upload is completed: one file per upload in `.entrepot/uploads`.
//!
//! The file is named by the upload's id. Beside it a symbolic link, `<id>.key`, has the key as its
//! target: it is made in one step, needs no room, and nobody follows it. Parts are appended under a lock
//! on the file, so bytes once acknowledged are never written over, whoever else appends.

use std::time::{Duration, SystemTime};

use entrepot_storage::{Error, ErrorKind, Key, Result, Upload};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, openat, readlinkat, statat, symlinkat, unlinkat};
use rustix::io::Errno;

use crate::NAME;
use crate::client::Client;
use crate::error::of_write;
use crate::file::random_name;
use crate::instance::names;
use crate::lock::lock_exclusively;

const KEY_SUFFIX: &str = ".key";
/// A key without its file is the trace of a crash; so long a process may take between making the two.
const HALF_MADE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a part or a completion waits for another one of the same upload.
const PATIENCE: Duration = Duration::from_secs(30);

/// A staging file, locked: its length and its name hold still.
pub(crate) struct Staging {
    pub(crate) file: OwnedFd,
    pub(crate) stat: Stat,
}

/// Makes the staging file of a new upload.
pub(crate) fn begin(client: &Client, key: &Key) -> Result<Upload> {
    let id = random_name();
    let failed = |errno| of_write(errno, Some(key));
    symlinkat(key.as_str(), &client.uploads, key_name(&id)).map_err(failed)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    if let Err(errno) = openat(&client.uploads, &id, flags, Mode::from_raw_mode(0o644)) {
        // Best effort: what stays is swept.
        let _ = unlinkat(&client.uploads, key_name(&id), AtFlags::empty());
        return Err(failed(errno));
    }
    Ok(Upload { key: key.clone(), id })
}

impl Staging {
    /// Opens and locks the staging file; `UploadGone` where it has become an object or was given up,
    /// `Throttled` where somebody else holds it for long.
    pub(crate) fn lock(client: &Client, upload: &Upload) -> Result<Self> {
        let failed = |errno| failure(client, upload, errno);
        let file = open(client, upload)?;
        lock_exclusively(&file, PATIENCE).map_err(failed)?;
        // It may have become the object, or been removed, while we waited; ids are never used again.
        statat(&client.uploads, &upload.id, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        // Read after the name, so that a second one (see `is_named_elsewhere`) is not missed.
        let stat = fstat(&file).map_err(failed)?;
        Ok(Self { file, stat })
    }

    /// Whether the object has been named already: a completion was cut off between naming it and removing
    /// the staging name.
    pub(crate) fn is_named_elsewhere(&self) -> bool {
        self.stat.st_nlink > 1
    }
}

/// Opens the staging file without locking it.
pub(crate) fn open(client: &Client, upload: &Upload) -> Result<OwnedFd> {
    if !is_id(&upload.id) {
        return Err(gone(upload));
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(&client.uploads, &upload.id, flags, Mode::empty()).map_err(|errno| failure(client, upload, errno))
}

/// Removes an upload's names; what is missing already is fine.
pub(crate) fn remove(client: &Client, upload: &Upload) -> Result<()> {
    if !is_id(&upload.id) {
        return Ok(());
    }
    // The key goes last: as long as anything is left, the upload can be listed and removed.
    for name in [upload.id.clone(), key_name(&upload.id)] {
        match unlinkat(&client.uploads, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(of_write(errno, Some(&upload.key))),
        }
    }
    client.check_alive()
}

/// The uploads in progress whose names say so: id, key, and when they were begun.
pub(crate) fn in_progress(client: &Client) -> Result<Vec<(Upload, Option<SystemTime>)>> {
    let failed = |errno| of_write(errno, None);
    let mut found = Vec::new();
    for name in names(&client.uploads).map_err(failed)? {
        let Some(id) = name.strip_suffix(KEY_SUFFIX).filter(|id| is_id(id)) else { continue };
        match key_of(&client.uploads, id) {
            Ok(Some((key, begun))) => found.push((Upload { key, id: id.to_owned() }, begun)),
            Ok(None) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    client.check_alive()?;
    Ok(found)
}

fn key_of(uploads: &OwnedFd, id: &str) -> rustix::io::Result<Option<(Key, Option<SystemTime>)>> {
    let target = readlinkat(uploads, key_name(id), Vec::new())?;
    let Some(key) = target.to_str().ok().and_then(|text| text.parse().ok()) else { return Ok(None) };
    let stat = statat(uploads, key_name(id), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Some((key, begun(&stat))))
}

fn begun(stat: &Stat) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(stat.st_mtime).ok()?))
}

/// Removes keys whose file is gone: what a crash between two removals leaves. Answers how many.
pub(crate) fn sweep(uploads: &OwnedFd) -> rustix::io::Result<usize> {
    let mut swept = 0;
    for name in names(uploads)? {
        let Some(id) = name.strip_suffix(KEY_SUFFIX).filter(|id| is_id(id)) else { continue };
        let Err(Errno::NOENT) = statat(uploads, id, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let age = statat(uploads, &name, AtFlags::SYMLINK_NOFOLLOW)
            .ok()
            .and_then(|stat| SystemTime::now().duration_since(begun(&stat)?).ok());
        if age.is_some_and(|age| age > HALF_MADE) {
            unlinkat(uploads, &name, AtFlags::empty())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn key_name(id: &str) -> String {
    format!("{id}{KEY_SUFFIX}")
}

/// Ids come back from stored sessions: nothing but our own names may reach the filesystem.
fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(crate) fn gone(upload: &Upload) -> Error {
    Error::new(NAME, ErrorKind::UploadGone).at(&upload.key)
}

fn failure(client: &Client, upload: &Upload, errno: Errno) -> Error {
    match errno {
        Errno::NOENT => client.check_alive().err().unwrap_or_else(|| gone(upload)),
        Errno::AGAIN => Error::new(NAME, ErrorKind::Throttled { retry_after: None })
            .at(&upload.key)
            .because("another request holds this upload"),
        other => of_write(other, Some(&upload.key)),
    }
}
