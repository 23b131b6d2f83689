//! Stores that break their word, for whoever has to notice it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use entrepot_storage::{
    Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

use crate::MemoryDriver;
use crate::driver::NAME;

/// How a store breaks its word. Each is the habit of some store, gateway or cache in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Conditional puts and deletes succeed whatever stands there.
    IgnoresConditions,
    /// `IfAbsent` is honoured and `IfMatch` is not.
    IgnoresIfMatch,
    /// `IfMatch` is refused whatever version it names.
    RefusesIfMatch,
    /// Conditions are looked at first and the write comes later, so that a race has many winners.
    ChecksThenWrites,
    /// An object that was once found absent stays absent to readers.
    RemembersAbsence,
    /// A listing shows what was there before the last write or delete.
    ListsLate,
    /// Listings are not in byte order.
    ListsBackwards,
    /// Completing takes the latest part of each number, whatever its tag.
    TakesLateParts,
    /// An upload that was completed is unknown afterwards.
    ForgetsCompletions,
    /// Aborting does nothing.
    IgnoresAborts,
    /// The clock is ahead by this.
    ClockAhead(Duration),
}

/// A memory store with one flaw. Its name is not the memory driver's, so nobody takes it for granted.
#[derive(Debug)]
pub struct Flawed {
    inner: MemoryDriver,
    flaw: Flaw,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    absent: HashSet<Key>,
    listed: Vec<ObjectMeta>,
    latest: HashMap<(String, u32), Part>,
    completed: HashSet<String>,
}

impl Flawed {
    /// `inner` with `flaw`.
    pub fn new(inner: MemoryDriver, flaw: Flaw) -> Self {
        Self { inner, flaw, memory: Mutex::default() }
    }

    /// A handle as the rest of the program holds drivers.
    pub fn shared(inner: MemoryDriver, flaw: Flaw) -> SharedDriver {
        Arc::new(Self::new(inner, flaw))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forgets(&self, mode: &PutMode) -> bool {
        match self.flaw {
            Flaw::IgnoresConditions => true,
            Flaw::IgnoresIfMatch => matches!(mode, PutMode::IfMatch(_)),
            _ => false,
        }
    }

    /// Keeps what a late listing will show.
    async fn before_a_change(&self) -> Result<()> {
        if self.flaw == Flaw::ListsLate {
            let listed = self.inner.list("", None, usize::MAX).await?.objects;
            self.memory().listed = listed;
        }
        Ok(())
    }

    fn overlook<T>(&self, key: &Key, answer: Result<T>) -> Result<T> {
        if self.flaw != Flaw::RemembersAbsence {
            return answer;
        }
        let mut memory = self.memory();
        if matches!(&answer, Err(error) if error.is_not_found()) {
            memory.absent.insert(key.clone());
        }
        match memory.absent.contains(key) {
            true => Err(Error::new(NAME, ErrorKind::NotFound).at(key)),
            false => answer,
        }
    }
}

/// Lets every other call of the same task go first, under any executor.
async fn pending_once() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flawed({}, {:?})", self.inner, self.flaw)
    }
}

#[async_trait]
impl StorageDriver for Flawed {
    fn name(&self) -> &'static str {
        "flawed"
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        let mut meta = self.overlook(key, self.inner.stat(key).await)?;
        if let Flaw::ClockAhead(offset) = self.flaw {
            meta.modified = meta.modified.map(|modified| modified + offset);
        }
        Ok(meta)
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.overlook(key, self.inner.get(key, range).await)
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        self.before_a_change().await?;
        if self.forgets(&mode) {
            return self.inner.put(key, body, PutMode::Overwrite).await;
        }
        if self.flaw == Flaw::RefusesIfMatch && matches!(mode, PutMode::IfMatch(_)) {
            return Err(Error::new(NAME, ErrorKind::Precondition).at(key));
        }
        if self.flaw == Flaw::ChecksThenWrites && mode != PutMode::Overwrite {
            let (scratch, probe) = (self.inner.fork(), body.clone());
            scratch.put(key, probe, mode).await?;
            pending_once().await;
            return self.inner.put(key, body, PutMode::Overwrite).await;
        }
        self.inner.put(key, body, mode).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.before_a_change().await?;
        let version = if self.flaw == Flaw::IgnoresConditions { None } else { version };
        self.inner.delete(key, version).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.inner.delete_many(keys).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        let mut page = self.inner.list(prefix, start_after, limit).await?;
        match self.flaw {
            Flaw::ListsLate => {
                let listed = self.memory().listed.clone();
                page.objects =
                    listed.into_iter().filter(|meta| meta.key.as_str().starts_with(prefix)).collect();
            }
            Flaw::ListsBackwards => page.objects.reverse(),
            _ => {}
        }
        Ok(page)
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.inner.presign_get(key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.inner.upload_begin(key).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let part = self.inner.upload_part(upload, number, body).await?;
        self.memory().latest.insert((upload.id.clone(), number), part.clone());
        Ok(part)
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.inner.upload_flush(upload).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let known = self.memory().completed.contains(&upload.id);
        if self.flaw == Flaw::ForgetsCompletions && known {
            return Err(Error::new(NAME, ErrorKind::UploadGone).at(&upload.key));
        }
        let mut parts = parts.to_vec();
        if self.flaw == Flaw::TakesLateParts {
            let memory = self.memory();
            for part in &mut parts {
                if let Some(latest) = memory.latest.get(&(upload.id.clone(), part.number)) {
                    *part = latest.clone();
                }
            }
        }
        let completed = self.inner.upload_complete(upload, &parts).await?;
        self.memory().completed.insert(upload.id.clone());
        Ok(completed)
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        match self.flaw {
            Flaw::IgnoresAborts => Ok(()),
            _ => self.inner.upload_abort(upload).await,
        }
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        self.inner.list_uploads(prefix, start_after, limit).await
    }
}
