//! Bounds how many calls are at the store at once, how many wait, and how long.
//!
//! A call that finds the queue full, or waits too long in it, is answered
//! [`Throttled`](crate::ErrorKind::Throttled) without having reached the store. A body counts until
//! the store has answered, not until its last byte: a slow reader would hold a place for as long as it
//! pleases.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

/// How much a store is asked to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at the store at once; at least 1.
    pub concurrent: usize,
    /// Calls that may wait for a place.
    pub queue: usize,
    /// How long each may wait.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrent: 256, queue: 4096, wait: Duration::from_secs(10) }
    }
}

/// Lets a bounded number of calls through.
#[derive(Debug)]
pub struct Limit {
    inner: SharedDriver,
    limits: Limits,
    places: Semaphore,
    waiting: AtomicUsize,
}

/// One call in the queue, also when it is dropped there.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limit {
    /// Bounds the calls of `inner`.
    pub fn new(inner: SharedDriver, limits: Limits) -> Self {
        Self { inner, limits, places: Semaphore::new(limits.concurrent.max(1)), waiting: AtomicUsize::new(0) }
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.limits.queue {
            return Err(self.throttled("too many calls wait for the store"));
        }
        let place = tokio::time::timeout(self.limits.wait, self.places.acquire()).await;
        drop(waiting);
        match place {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(self.throttled("no place at the store became free in time")),
        }
    }

    fn throttled(&self, reason: &'static str) -> Error {
        Error::new(self.inner.name(), ErrorKind::Throttled { retry_after: Some(self.limits.wait) })
            .because(reason)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit({})", self.inner)
    }
}

#[async_trait]
impl StorageDriver for Limit {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        let _place = self.place().await.map_err(|error| error.at(key))?;
        self.inner.stat(key).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let _place = self.place().await.map_err(|error| error.at(key))?;
        self.inner.get(key, range).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let _place = self.place().await.map_err(|error| error.at(key))?;
        self.inner.put(key, body, mode).await
    }

    /// Takes no place: nothing waits for it, and the put takes its own.
    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let _place = self.place().await.map_err(|error| error.at(key))?;
        self.inner.delete(key, version).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let _place = self.place().await?;
        self.inner.delete_many(keys).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        let _place = self.place().await?;
        self.inner.list(prefix, start_after, limit).await
    }

    /// Takes no place: nothing is sent to the store.
    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.inner.presign_get(key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        let _place = self.place().await.map_err(|error| error.at(key))?;
        self.inner.upload_begin(key).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let _place = self.place().await.map_err(|error| error.at(&upload.key))?;
        self.inner.upload_part(upload, number, body).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        let _place = self.place().await.map_err(|error| error.at(&upload.key))?;
        self.inner.upload_flush(upload).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let _place = self.place().await.map_err(|error| error.at(&upload.key))?;
        self.inner.upload_complete(upload, parts).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        let _place = self.place().await.map_err(|error| error.at(&upload.key))?;
        self.inner.upload_abort(upload).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        let _place = self.place().await?;
        self.inner.list_uploads(prefix, start_after, limit).await
    }
}
