//! The driver: one lock around the store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use entrepot_storage::{
    Body, Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut,
    PresignOptions, PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry,
    Version,
};
use futures_util::stream;

use crate::Config;
use crate::store::Store;

pub(crate) const NAME: &str = "memory";

/// Objects in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryDriver {
    config: Config,
    store: Arc<Mutex<Store>>,
}

impl MemoryDriver {
    /// An empty store that can do everything.
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    /// An empty store of the given abilities.
    pub fn with(config: Config) -> Self {
        Self { config, store: Arc::default() }
    }

    /// This handle as the rest of the program holds drivers.
    pub fn shared(&self) -> SharedDriver {
        Arc::new(self.clone())
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<Key> {
        self.store().objects.keys().cloned().collect()
    }

    /// All objects as they are at this instant, in order of their keys. The bytes are shared.
    pub fn snapshot(&self) -> Vec<(Key, Bytes)> {
        self.store().objects.iter().map(|(key, stored)| (key.clone(), stored.content.clone())).collect()
    }

    /// One object's bytes, past all the formalities.
    pub fn peek(&self, key: &Key) -> Option<Bytes> {
        self.store().objects.get(key).map(|stored| stored.content.clone())
    }

    /// Writes an object past all the formalities, for instance to damage it.
    pub fn plant(&self, key: &Key, content: impl Into<Bytes>) {
        self.store().write(key, content.into());
    }

    /// How many uploads are in progress.
    pub fn uploads_in_progress(&self) -> usize {
        self.store().uploads.len()
    }

    /// A store of its own that begins with the present content of this one, uploads included.
    pub fn fork(&self) -> Self {
        let mut copy = Store::default();
        {
            let store = self.store();
            copy.objects = store.objects.clone();
            copy.uploads = store.uploads.clone();
            copy.continue_names_of(&store);
        }
        Self { config: self.config.clone(), store: Arc::new(Mutex::new(copy)) }
    }

    /// No call leaves the store half changed, so a panic elsewhere does not spoil it.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn body(&self, content: Bytes) -> Body {
        let chunk = self.config.stream_chunk_bytes.max(1);
        if content.len() <= chunk {
            return Body::Whole(content);
        }
        let chunks = stream::unfold(content, move |mut rest| async move {
            let next = rest.split_to(chunk.min(rest.len()));
            (!next.is_empty()).then_some((Ok(next), rest))
        });
        Body::Stream(Box::pin(chunks))
    }
}

impl Default for MemoryDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store();
        f.debug_struct("MemoryDriver")
            .field("objects", &store.objects.len())
            .field("uploads", &store.uploads.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for MemoryDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

#[async_trait]
impl StorageDriver for MemoryDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.config.capabilities
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        Ok(self.store().find(key)?.meta(key))
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let (meta, content) = {
            let store = self.store();
            let stored = store.find(key)?;
            (stored.meta(key), stored.content.clone())
        };
        let unsatisfiable = ErrorKind::RangeNotSatisfiable { size: meta.size };
        let range = range.resolve(meta.size).ok_or_else(|| Error::new(NAME, unsatisfiable).at(key))?;
        let body = self.body(content.slice(range.start as usize..range.end as usize));
        Ok(Object { meta, range, body })
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        if mode != PutMode::Overwrite && !self.config.capabilities.conditional_put {
            return Err(Error::new(NAME, ErrorKind::Unsupported).at(key));
        }
        self.store().put(key, body, &mode)
    }

    fn prepare_put(&self, _: &Key, _: &Bytes) -> PreparedPut {
        PreparedPut::nothing()
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        if version.is_some() && !self.config.capabilities.conditional_delete {
            return Err(Error::new(NAME, ErrorKind::Unsupported).at(key));
        }
        self.store().delete(key, version)
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let mut store = self.store();
        Ok(keys.iter().filter_map(|key| store.delete(key, None).err()).collect())
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        Ok(self.store().list(prefix, start_after, limit))
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        if !self.config.capabilities.presign {
            return Ok(None);
        }
        let expires_at = options.signed_at + options.expires_in;
        let seconds = expires_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(Some(SignedUrl { url: format!("memory://store/{key}?expires={seconds}"), expires_at }))
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        Ok(self.store().begin(key))
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let size: usize = body.iter().map(Bytes::len).sum();
        let mut whole = BytesMut::with_capacity(size);
        body.iter().for_each(|piece| whole.extend_from_slice(piece));
        self.store().add_part(upload, number, whole.freeze())
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.store().pending(upload).map(|_| ())
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        self.store().complete(upload, parts, &self.config.capabilities)
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        let mut store = self.store();
        if store.pending(upload).is_ok() {
            store.uploads.remove(&upload.id);
        }
        Ok(())
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        Ok(self.store().list_uploads(prefix, start_after, limit))
    }
}
