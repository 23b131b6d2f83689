//! Tells a recorder about every call: which, on what, how long, how much, how it ended.
//!
//! Nothing here knows where the numbers go; [`Counters`] keeps them for tests that count requests.

mod counters;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;

use super::{Class, Operation};
use crate::{
    Around, Body, Capabilities, Chunk, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part,
    PreparedPut, PresignOptions, PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload,
    UploadEntry, Version,
};

pub use counters::{Counters, Counts};

/// Takes notes. Called on the caller's thread, once per call: it must not wait.
pub trait Recorder: fmt::Debug + Send + Sync + 'static {
    /// Takes note of one call that ended.
    fn record(&self, observation: &Observation<'_>);
}

/// One call that ended.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Which call.
    pub operation: Operation,
    /// The key or prefix it was about; empty for a `delete_many` of nothing.
    pub subject: &'a str,
    /// From the call to its answer; for [`Operation::GetBody`] from there to the last byte.
    pub duration: Duration,
    /// Bytes of content that were moved.
    pub bytes: u64,
    /// How it failed, if it did.
    pub error: Option<ErrorKind>,
}

impl Observation<'_> {
    /// What the call cost.
    pub const fn class(&self) -> Class {
        self.operation.class()
    }
}

/// Records every call of the driver within.
#[derive(Debug)]
pub struct Metrics {
    inner: SharedDriver,
    recorder: Arc<dyn Recorder>,
}

impl Metrics {
    /// Tells `recorder` about every call of `inner`.
    pub fn new(inner: SharedDriver, recorder: Arc<dyn Recorder>) -> Self {
        Self { inner, recorder }
    }

    async fn observe<T>(
        &self,
        operation: Operation,
        subject: &str,
        bytes: impl Fn(&T) -> u64,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        let outcome = call.await;
        self.recorder.record(&Observation {
            operation,
            subject,
            duration: begun.elapsed(),
            bytes: outcome.as_ref().map_or(0, bytes),
            error: outcome.as_ref().err().map(Error::kind),
        });
        outcome
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metrics({})", self.inner)
    }
}

fn none<T>(_: &T) -> u64 {
    0
}

fn whole_bytes(object: &Object) -> u64 {
    match &object.body {
        Body::Whole(bytes) => bytes.len() as u64,
        Body::Stream(_) | Body::Local(_) => 0,
    }
}

#[async_trait]
impl StorageDriver for Metrics {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.observe(Operation::Stat, key.as_str(), none, self.inner.stat(key)).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let call = self.inner.get(key, range);
        let mut object = self.observe(Operation::Get, key.as_str(), whole_bytes, call).await?;
        object.body = object.body.within(Counted { key: key.clone(), recorder: Arc::clone(&self.recorder) });
        Ok(object)
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let size = body.len() as u64;
        self.observe(Operation::Put, key.as_str(), |_| size, self.inner.put(key, body, mode)).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.observe(Operation::Delete, key.as_str(), none, self.inner.delete(key, version)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let first = keys.first().map_or("", Key::as_str);
        self.observe(Operation::DeleteMany, first, none, self.inner.delete_many(keys)).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.observe(Operation::List, prefix, none, self.inner.list(prefix, start_after, limit)).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.observe(Operation::PresignGet, key.as_str(), none, self.inner.presign_get(key, options)).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.observe(Operation::UploadBegin, key.as_str(), none, self.inner.upload_begin(key)).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let call = self.inner.upload_part(upload, number, body);
        self.observe(Operation::UploadPart, upload.key.as_str(), |part: &Part| part.size, call).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.observe(Operation::UploadFlush, upload.key.as_str(), none, self.inner.upload_flush(upload)).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let call = self.inner.upload_complete(upload, parts);
        self.observe(Operation::UploadComplete, upload.key.as_str(), none, call).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.observe(Operation::UploadAbort, upload.key.as_str(), none, self.inner.upload_abort(upload)).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        let call = self.inner.list_uploads(prefix, start_after, limit);
        self.observe(Operation::ListUploads, prefix, none, call).await
    }
}

/// Has a body recorded when it ends, whether at its last byte, by an error, or because the reader went
/// away.
struct Counted {
    key: Key,
    recorder: Arc<dyn Recorder>,
}

impl Around for Counted {
    fn around<C: Chunk>(self, inner: BoxStream<'static, Result<C>>) -> BoxStream<'static, Result<C>> {
        Box::pin(Counting { inner, layer: self, begun: Instant::now(), bytes: 0, error: None })
    }
}

struct Counting<C> {
    inner: BoxStream<'static, Result<C>>,
    layer: Counted,
    begun: Instant,
    bytes: u64,
    error: Option<ErrorKind>,
}

impl<C: Chunk> Stream for Counting<C> {
    type Item = Result<C>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.inner.as_mut().poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => self.bytes += chunk.length() as u64,
            Poll::Ready(Some(Err(error))) => self.error = Some(error.kind()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}

impl<C> Drop for Counting<C> {
    fn drop(&mut self) {
        self.layer.recorder.record(&Observation {
            operation: Operation::GetBody,
            subject: self.layer.key.as_str(),
            duration: self.begun.elapsed(),
            bytes: self.bytes,
            error: self.error,
        });
    }
}
