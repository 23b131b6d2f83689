//! The driver: every call of the contract, handed to its file.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use entrepot_storage::{
    Capabilities, Error, Finding, Inspection, Key, ListPage, Object, ObjectMeta, Part, PreparedPut,
    PresignOptions, PutMode, ReadRange, Result, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

use crate::client::Client;
use crate::config::{Config, OpenError};
use crate::{NAME, inspect};

/// Objects in a bucket. Clones share connections and credentials.
#[derive(Clone)]
pub struct S3Driver {
    client: Arc<Client>,
}

impl S3Driver {
    /// A driver for the bucket `config` names. Needs no network: whether the bucket is there and may be used
    /// is told by [`inspect`](Self::inspect) or the first call.
    ///
    /// Fails where settings contradict each other.
    pub async fn open(config: Config) -> std::result::Result<Self, OpenError> {
        Ok(Self { client: Arc::new(Client::open(config).await?) })
    }

    /// Finds out what would go wrong with this bucket: permissions that are missing, settings that would
    /// lose data. Where it may write it writes, reads and deletes an object `probe/…` below the root directory.
    pub async fn inspect(&self, allowed: Inspection) -> Vec<Finding> {
        inspect::inspect(&self.client, allowed).await
    }
}

impl fmt::Debug for S3Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("S3Driver");
        text.field("bucket", &self.client.bucket).field("root", &self.client.root()).finish_non_exhaustive()
    }
}

impl fmt::Display for S3Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

#[async_trait]
impl StorageDriver for S3Driver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.client.capabilities
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.client.stat(key).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.client.get(key, range).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        self.client.put(key, body, mode).await
    }

    fn prepare_put(&self, _: &Key, _: &Bytes) -> PreparedPut {
        PreparedPut::nothing()
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.client.delete(key, version).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.client.delete_many(keys).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.client.list(prefix, start_after, limit).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.client.presign_get(key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.client.upload_begin(key).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        self.client.upload_part(upload, number, body).await
    }

    /// A part is durable once it is acknowledged.
    async fn upload_flush(&self, _: &Upload) -> Result<()> {
        Ok(())
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        self.client.upload_complete(upload, parts).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.client.upload_abort(upload).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        self.client.list_uploads(prefix, start_after, limit).await
    }
}
