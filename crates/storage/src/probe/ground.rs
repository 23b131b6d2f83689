//! Where a probe works: a prefix of its own, and a list of what has to be removed from it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use super::{ClockOffset, Outcome};
use crate::{Error, ErrorKind, Key, ObjectMeta, PutMode, SharedDriver, StorageDriverExt, Upload, Version};

/// The most uploads looked up to be aborted: more than a probe begins.
const UPLOADS_LOOKED_UP: usize = 100;

/// How a check ended.
pub(super) type Tried = Result<(), Shortfall>;

/// Why a check did not end well.
pub(super) enum Shortfall {
    Broken(String),
    Undeclared,
    Unknown(String),
}

impl From<Error> for Shortfall {
    /// A call that should have succeeded: that tells nothing about the promise.
    fn from(error: Error) -> Self {
        Shortfall::Unknown(error.to_string())
    }
}

impl From<Tried> for Outcome {
    fn from(tried: Tried) -> Self {
        match tried {
            Ok(()) => Outcome::Holds,
            Err(Shortfall::Broken(what)) => Outcome::Broken(what),
            Err(Shortfall::Undeclared) => Outcome::Undeclared,
            Err(Shortfall::Unknown(why)) => Outcome::Unknown(why),
        }
    }
}

/// Ends a check: the promise was not kept, and this is what happened instead.
pub(super) fn broken<T>(what: impl Into<String>) -> Result<T, Shortfall> {
    Err(Shortfall::Broken(what.into()))
}

/// The version a write was answered with.
pub(super) fn version(written: ObjectMeta) -> Result<Version, Shortfall> {
    written.version.map_or_else(|| broken("a write is answered without a version"), Ok)
}

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Quick,
    Thorough,
}

impl Depth {
    /// How often what is rarely wrong is repeated.
    pub(super) const fn rounds(self) -> usize {
        match self {
            Depth::Quick => 1,
            Depth::Thorough => 10,
        }
    }

    /// How many writers and listers are at work side by side, and how many rounds each makes.
    pub(super) const fn listings(self) -> (usize, usize) {
        match self {
            Depth::Quick => (1, 1),
            Depth::Thorough => (4, 50),
        }
    }

    /// How many count at the same time, and how far each does. Nobody does at start: that takes as many requests
    /// as it is worth.
    pub(super) const fn increments(self) -> (u8, u8) {
        match self {
            Depth::Quick => (0, 0),
            Depth::Thorough => (16, 25),
        }
    }

    /// How many writers race for one object.
    pub(super) const fn racers(self) -> usize {
        match self {
            Depth::Quick => 6,
            Depth::Thorough => 32,
        }
    }
}

/// A store, the prefix to work below, and what was made there.
pub(super) struct Ground<'a> {
    /// The handle for whatever needs no second one.
    pub(super) store: &'a SharedDriver,
    /// Another handle on the same store, or the same where there is one only.
    second: &'a SharedDriver,
    pub(super) prefix: &'a str,
    pub(super) now: fn() -> SystemTime,
    pub(super) depth: Depth,
    /// From here on no further round begins.
    late: Instant,
    is_cut_short: AtomicBool,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    keys: Vec<Key>,
    uploads: Vec<Upload>,
    clock: Option<ClockOffset>,
}

impl<'a> Ground<'a> {
    /// A third of `deadline` is left to the round that is on its way when the others are up.
    pub(super) fn new(
        [store, second]: [&'a SharedDriver; 2],
        prefix: &'a str,
        now: fn() -> SystemTime,
        depth: Depth,
        deadline: Duration,
    ) -> Self {
        let late = Instant::now() + deadline * 2 / 3;
        Self {
            store,
            second,
            prefix,
            now,
            depth,
            late,
            is_cut_short: AtomicBool::new(false),
            made: Mutex::default(),
        }
    }

    /// One of the two handles for each number, in turn.
    pub(super) const fn handle(&self, number: usize) -> &'a SharedDriver {
        if number.is_multiple_of(2) { self.store } else { self.second }
    }

    /// Whether there is time for another round. Fewer rounds than were meant tell less, and more than none at all.
    pub(super) fn has_time(&self) -> bool {
        let is_late = Instant::now() >= self.late;
        if is_late {
            self.is_cut_short.store(true, Ordering::Relaxed);
        }
        !is_late
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.is_cut_short.load(Ordering::Relaxed)
    }

    /// What a listing of everything below `name` begins with.
    pub(super) fn directory(&self, name: &str) -> String {
        format!("{}{name}/", self.prefix)
    }

    /// A key below the prefix, remembered so that whatever gets there is removed.
    pub(super) fn key(&self, name: &str) -> Result<Key, Shortfall> {
        let key: Key = format!("{}{name}", self.prefix)
            .parse()
            .map_err(|error: crate::key::InvalidKey| Shortfall::Unknown(error.to_string()))?;
        self.made().keys.push(key.clone());
        Ok(key)
    }

    pub(super) async fn write(&self, key: &Key, content: impl Into<Bytes>) -> Result<ObjectMeta, Shortfall> {
        Ok(self.store.put(key, content.into(), PutMode::Overwrite).await?)
    }

    /// Writes and answers the version that got.
    pub(super) async fn version_of(
        &self,
        key: &Key,
        content: &'static str,
        mode: PutMode,
    ) -> Result<Version, Shortfall> {
        version(self.store.put(key, Bytes::from_static(content.as_bytes()), mode).await?)
    }

    /// Fails unless the object at `key` is `content`.
    pub(super) async fn expect(&self, key: &Key, content: &[u8], after: &str) -> Tried {
        Self::expect_by(self.store, key, content, after).await
    }

    /// As [`expect`](Self::expect), as `handle` sees it.
    pub(super) async fn expect_by(handle: &SharedDriver, key: &Key, content: &[u8], after: &str) -> Tried {
        match handle.read(key).await? {
            Some((found, _)) if found == content => Ok(()),
            Some(_) => broken(format!("a read shows another content after {after}")),
            None => broken(format!("a read shows nothing after {after}")),
        }
    }

    pub(super) async fn begin(&self, name: &str) -> Result<Upload, Shortfall> {
        let upload = self.store.upload_begin(&self.key(name)?).await?;
        self.made().uploads.push(upload.clone());
        Ok(upload)
    }

    pub(super) fn found_clock(&self, offset: ClockOffset) {
        self.made().clock = Some(offset);
    }

    pub(super) fn clock(&self) -> Option<ClockOffset> {
        self.made().clock
    }

    /// Removes everything that was made, and every upload below the prefix.
    pub(super) async fn clean_up(&self) -> Tried {
        let (keys, uploads) = {
            let mut made = self.made();
            (std::mem::take(&mut made.keys), std::mem::take(&mut made.uploads))
        };
        let mut failures = self.delete_all(&keys).await;
        failures.extend(self.abort_all(uploads).await);
        if self.depth == Depth::Thorough {
            // An upload whose beginning was not answered in time has a name only the store knows.
            match self.store.list_uploads(self.prefix, None, UPLOADS_LOOKED_UP).await {
                Ok(entries) => {
                    failures.extend(self.abort_all(entries.into_iter().map(|entry| entry.upload)).await);
                }
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                Err(error) => failures.push(error),
            }
        }
        match failures.first() {
            None => Ok(()),
            Some(first) => Err(Shortfall::Unknown(format!("below {} something stays: {first}", self.prefix))),
        }
    }

    async fn delete_all(&self, keys: &[Key]) -> Vec<Error> {
        let mut failures = Vec::new();
        for keys in keys.chunks(self.store.capabilities().delete_batch.max(1)) {
            match self.store.delete_many(keys).await {
                Ok(failed) => failures.extend(failed),
                Err(error) => failures.push(error),
            }
        }
        failures
    }

    async fn abort_all(&self, uploads: impl IntoIterator<Item = Upload>) -> Vec<Error> {
        let mut failures = Vec::new();
        for upload in uploads {
            failures.extend(self.store.upload_abort(&upload).await.err());
        }
        failures
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
