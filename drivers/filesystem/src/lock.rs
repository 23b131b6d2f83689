//! Locks between threads and between processes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::{Errno, Result};

/// Keys share so many locks. What is done under one takes microseconds.
const SHARDS: usize = 64;
/// Whoever holds a lock longer than this is stuck; the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// One lock per shard of the key space: a mutex between our threads and a file lock against other
/// processes. Only writes that replace or remove an object take one.
#[derive(Debug)]
pub(crate) struct KeyLocks {
    directory: OwnedFd,
    /// The lock files, each opened when it is first needed, and never removed.
    shards: Vec<Mutex<Option<OwnedFd>>>,
}

/// Holds one shard.
pub(crate) struct KeyGuard<'a> {
    file: MutexGuard<'a, Option<OwnedFd>>,
}

impl KeyLocks {
    /// Locks whose files lie in `directory`.
    pub(crate) fn new(directory: OwnedFd) -> Self {
        Self { directory, shards: (0..SHARDS).map(|_| Mutex::new(None)).collect() }
    }

    /// Waits for the shard of `key`; `AGAIN` where it stays held.
    pub(crate) fn lock(&self, key: &str) -> Result<KeyGuard<'_>> {
        let shard = shard_of(key);
        // A panic under the lock leaves nothing half done: all it guards is one rename or unlink.
        let mut file = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match file.take() {
            Some(opened) => opened,
            None => self.open(shard)?,
        };
        lock_exclusively(file.insert(opened), PATIENCE)?;
        Ok(KeyGuard { file })
    }

    fn open(&self, shard: usize) -> Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(&self.directory, format!("keys-{shard:02}"), flags, Mode::from_raw_mode(0o644))
    }
}

impl Drop for KeyGuard<'_> {
    fn drop(&mut self) {
        let Some(file) = self.file.as_ref() else { return };
        if let Err(errno) = flock(file, FlockOperation::Unlock) {
            tracing::error!(%errno, "a lock on a key could not be given back");
            // Closing the file does give it back.
            *self.file = None;
        }
    }
}

/// FNV-1a with its bits mixed once more: all processes must agree, so the standard library's seeded hasher will not do.
fn shard_of(key: &str) -> usize {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % SHARDS
}

/// Takes the lock on an open file, waiting at most `patience`; then `AGAIN`.
///
/// Polled, because a blocking `flock` behind a stopped process would hold a thread for ever.
pub(crate) fn lock_exclusively(file: impl AsFd, patience: Duration) -> Result<()> {
    let mut pause = Duration::from_micros(20);
    let mut begun = None;
    loop {
        match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return outcome,
        }
        if begun.get_or_insert_with(Instant::now).elapsed() >= patience {
            return Err(Errno::AGAIN);
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_not_given_twice_and_is_given_again_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
            rustix::fs::open(directory.path().join("lock"), flags, Mode::from_raw_mode(0o644)).unwrap()
        };
        let (ours, theirs) = (open(), open());
        lock_exclusively(&ours, Duration::ZERO).unwrap();

        assert_eq!(lock_exclusively(&theirs, Duration::from_millis(1)).unwrap_err(), Errno::AGAIN);
        drop(ours);
        assert!(lock_exclusively(&theirs, Duration::ZERO).is_ok());
    }

    #[test]
    fn shards_are_the_same_for_every_process() {
        assert_eq!(shard_of("tags/library!alpine/latest"), shard_of("tags/library!alpine/latest"));
        let used: std::collections::BTreeSet<_> = (0..1000).map(|n| shard_of(&format!("key-{n}"))).collect();
        assert_eq!(used.len(), SHARDS, "keys spread over all shards");
    }
}
