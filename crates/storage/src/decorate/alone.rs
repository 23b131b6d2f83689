//! Conditions for a store that has none, kept by the only process that writes to it.
//!
//! A store that ignores conditions cannot be shared: nobody but the store could decide between two
//! processes. Where one process alone writes, it can decide by itself: it looks before it writes, and
//! lets nobody else of its own write to the same key in between. This is as safe as the word "alone" is
//! true; a second process, or a write that was given up on and arrives late, is not noticed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, StorageDriverExt, Upload,
    UploadEntry, Version,
};

/// Two keys that share a lock only wait for each other, so a few hundred are plenty.
const LOCKS: usize = 512;

/// A store whose conditions this process keeps. Each conditional call costs one more look.
#[derive(Debug)]
pub struct Alone {
    inner: SharedDriver,
    capabilities: Capabilities,
    hasher: RandomState,
    locks: Vec<Mutex<()>>,
}

impl Alone {
    /// Keeps conditions over `inner`. All of the process must write through this one.
    pub fn new(inner: SharedDriver) -> Self {
        let declared = *inner.capabilities();
        Self {
            capabilities: Capabilities { conditional_put: true, conditional_delete: true, ..declared },
            inner,
            hasher: RandomState::new(),
            locks: std::iter::repeat_with(Mutex::default).take(LOCKS).collect(),
        }
    }

    async fn lock(&self, key: &Key) -> MutexGuard<'_, ()> {
        self.locks[self.hasher.hash_one(key) as usize % LOCKS].lock().await
    }

    /// Whether `version` is the one that stands at `key`.
    async fn stands(&self, key: &Key, version: &Version) -> Result<()> {
        match self.inner.stat_if_present(key).await? {
            Some(meta) if meta.version.as_ref() == Some(version) => Ok(()),
            _ => Err(Error::new(self.inner.name(), ErrorKind::Precondition).at(key)),
        }
    }
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alone({})", self.inner)
    }
}

#[async_trait]
impl StorageDriver for Alone {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.inner.stat(key).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.inner.get(key, range).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let _lock = self.lock(key).await;
        match &mode {
            PutMode::Overwrite => {}
            PutMode::IfMatch(version) => self.stands(key, version).await?,
            PutMode::IfAbsent | PutMode::Fresh => {
                if self.inner.stat_if_present(key).await?.is_some() {
                    return Err(Error::new(self.inner.name(), ErrorKind::AlreadyExists).at(key));
                }
            }
        }
        self.inner.put(key, body, PutMode::Overwrite).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let _lock = self.lock(key).await;
        if let Some(version) = version {
            self.stands(key, version).await?;
        }
        self.inner.delete(key, None).await
    }

    /// Takes no locks: a delete without a version asks for none, and comes before or after any other call.
    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.inner.delete_many(keys).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.inner.list(prefix, start_after, limit).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.inner.presign_get(key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.inner.upload_begin(key).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        self.inner.upload_part(upload, number, body).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.inner.upload_flush(upload).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        self.inner.upload_complete(upload, parts).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.inner.upload_abort(upload).await
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
