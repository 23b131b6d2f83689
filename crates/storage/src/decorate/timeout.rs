//! A deadline for every call, and for every chunk of a body.
//!
//! A call past its deadline is dropped and answered as a retryable failure of unknown outcome: the
//! store may still apply it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::Operation;
use crate::{
    Around, Capabilities, Chunk, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut,
    PresignOptions, PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry,
    Version,
};

/// How long each kind of call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a call that moves no content; for `get` until the store answers.
    pub call: Duration,
    /// For one that sends content: `put` and `upload_part`. What is small has twice the time of `call`, and what is
    /// very large more: see [`sending`](Self::sending).
    pub transfer: Duration,
    /// For one whose work grows with what is stored: completion, flush, `delete_many`.
    pub completion: Duration,
    /// Between two chunks of a body.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(15),
            transfer: Duration::from_secs(60),
            completion: Duration::from_secs(120),
            idle: Duration::from_secs(30),
        }
    }
}

/// Gives up on calls that take too long.
#[derive(Debug)]
pub struct Timeout {
    inner: SharedDriver,
    timeouts: Timeouts,
}

impl Timeout {
    /// Bounds the calls of `inner`.
    pub fn new(inner: SharedDriver, timeouts: Timeouts) -> Self {
        Self { inner, timeouts }
    }

    async fn within<T>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.before(self.timeouts.of(operation), operation, key, call).await
    }

    async fn before<T>(
        &self,
        limit: Duration,
        operation: Operation,
        key: Option<&Key>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(self.inner.name(), operation, key, limit)),
        }
    }
}

/// Below this an object is a record, and its way to the store takes no time worth speaking of.
const SMALL: u64 = 128 << 10;
/// The slowest way to a store that is worth waiting for, in bytes a second.
const SLOWEST: u64 = 1 << 20;

impl Timeouts {
    /// For sending so many bytes. A record that waited as long as a part would, for a connection that is dead,
    /// would hold its request up for minutes.
    pub fn sending(&self, bytes: u64) -> Duration {
        match bytes {
            0..SMALL => (self.call * 2).min(self.transfer),
            _ => self.transfer.max(Duration::from_secs(bytes / SLOWEST)),
        }
    }

    fn of(&self, operation: Operation) -> Duration {
        match operation {
            Operation::Put | Operation::UploadPart => self.transfer,
            Operation::UploadComplete | Operation::UploadFlush | Operation::DeleteMany => self.completion,
            Operation::GetBody => self.idle,
            Operation::Stat
            | Operation::Get
            | Operation::Delete
            | Operation::List
            | Operation::PresignGet
            | Operation::UploadBegin
            | Operation::UploadAbort
            | Operation::ListUploads => self.call,
        }
    }
}

fn late(driver: &'static str, operation: Operation, key: Option<&Key>, limit: Duration) -> Error {
    let error = Error::new(driver, ErrorKind::Backend { retryable: true })
        .because(format!("no answer to {operation} within {limit:?}"));
    match key {
        Some(key) => error.at(key),
        None => error,
    }
}

/// A deadline for each chunk of a body. The time the reader takes does not count.
struct Bounded {
    driver: &'static str,
    key: Key,
    limit: Duration,
}

impl Around for Bounded {
    fn around<C: Chunk>(self, inner: BoxStream<'static, Result<C>>) -> BoxStream<'static, Result<C>> {
        let Self { driver, key, limit } = self;
        Box::pin(stream::unfold(Some(inner), move |inner| {
            let key = key.clone();
            async move {
                let mut inner = inner?;
                match tokio::time::timeout(limit, inner.next()).await {
                    Ok(item) => item.map(|item| (item, Some(inner))),
                    Err(_) => Some((Err(late(driver, Operation::GetBody, Some(&key), limit)), None)),
                }
            }
        }))
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeout({})", self.inner)
    }
}

#[async_trait]
impl StorageDriver for Timeout {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.within(Operation::Stat, Some(key), self.inner.stat(key)).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let mut object = self.within(Operation::Get, Some(key), self.inner.get(key, range)).await?;
        let (driver, limit) = (self.inner.name(), self.timeouts.idle);
        object.body = object.body.within(Bounded { driver, key: key.clone(), limit });
        Ok(object)
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let limit = self.timeouts.sending(body.len() as u64);
        self.before(limit, Operation::Put, Some(key), self.inner.put(key, body, mode)).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.within(Operation::Delete, Some(key), self.inner.delete(key, version)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.within(Operation::DeleteMany, None, self.inner.delete_many(keys)).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.within(Operation::List, None, self.inner.list(prefix, start_after, limit)).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.within(Operation::PresignGet, Some(key), self.inner.presign_get(key, options)).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.within(Operation::UploadBegin, Some(key), self.inner.upload_begin(key)).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let limit = self.timeouts.sending(body.iter().map(|piece| piece.len() as u64).sum());
        let call = self.inner.upload_part(upload, number, body);
        self.before(limit, Operation::UploadPart, Some(&upload.key), call).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.within(Operation::UploadFlush, Some(&upload.key), self.inner.upload_flush(upload)).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let call = self.inner.upload_complete(upload, parts);
        self.within(Operation::UploadComplete, Some(&upload.key), call).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.within(Operation::UploadAbort, Some(&upload.key), self.inner.upload_abort(upload)).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        let call = self.inner.list_uploads(prefix, start_after, limit);
        self.within(Operation::ListUploads, None, call).await
    }
}
