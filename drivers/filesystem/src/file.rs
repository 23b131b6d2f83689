//! What a file's own record says: its version, its time, whether it is an object at all.

use std::time::{Duration, SystemTime};

use entrepot_storage::{Key, ObjectMeta, Version};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::{Errno, Result};

/// The object's metadata as its file tells it.
pub(crate) fn meta(key: &Key, stat: &Stat) -> ObjectMeta {
    ObjectMeta { key: key.clone(), size: size(stat), version: Some(version(stat)), modified: modified(stat) }
}

/// Inode, time and size. The time's nanoseconds are random (see [`stamp`]), so that neither a coarse
/// clock nor an inode used again can bring a version back.
pub(crate) fn version(stat: &Stat) -> Version {
    Version(format!("{:x}-{:x}-{:x}-{:x}", stat.st_ino, stat.st_mtime, stat.st_mtime_nsec, stat.st_size))
}

pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

pub(crate) fn modified(stat: &Stat) -> Option<SystemTime> {
    let seconds = u64::try_from(stat.st_mtime).ok()?;
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

/// Whether this is an object: `Ok(false)` for a directory, which is no object; an error for whatever
/// else somebody may have laid here.
pub(crate) fn is_object(stat: &Stat) -> Result<bool> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(true),
        FileType::Directory => Ok(false),
        FileType::Symlink => Err(Errno::LOOP),
        _ => Err(Errno::PERM),
    }
}

/// Gives a file that has no name in the store yet the time that makes its version unique: the present
/// second and random nanoseconds. Answers the record as it will be seen.
pub(crate) fn stamp(file: &OwnedFd) -> Result<Stat> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(random_u32() % 1_000_000_000),
        },
    };
    rustix::fs::futimens(file, &times)?;
    rustix::fs::fstat(file)
}

fn random_u32() -> u32 {
    u32::from_le_bytes(random_bytes())
}

/// 128 random bits in hexadecimal.
pub(crate) fn random_name() -> String {
    format!("{:032x}", u128::from_le_bytes(random_bytes()))
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}
