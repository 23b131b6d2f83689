//! The driver: each call goes to its own module, most of them on a thread that may wait.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use entrepot_storage::{
    Capabilities, Error, Finding, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

use crate::client::Client;
use crate::{Config, NAME, OpenError, delete, drafts, inspect, list, read, staging, upload, write};

const MIB: u64 = 1024 * 1024;

const CAPABILITIES: Capabilities = Capabilities {
    min_part: 1,
    preferred_part: MIB,
    max_part: 5 * 1024 * MIB,
    max_parts: u32::MAX,
    uniform_parts: false,
    // Parts are appended: two at once would lie in the order in which they came.
    parallel_parts: 1,
    conditional_put: true,
    conditional_delete: true,
    presign: false,
    presigned_suffixes: false,
    longest_url: Duration::ZERO,
    delete_batch: 1000,
};

/// Objects as files below one directory. Clones share it.
///
/// Its calls need a tokio runtime, for the threads that may wait for the disk.
#[derive(Clone)]
pub struct FilesystemDriver {
    client: Arc<Client>,
    root: PathBuf,
}

impl FilesystemDriver {
    /// Opens the directory, which is made if it is missing, and removes what a killed process left.
    /// Waits for the disk: call it at start, not on a runtime's thread.
    ///
    /// Fails where the directory cannot be used, or its filesystem lacks what safety rests on:
    /// exclusive renames or links, locks on files, times in nanoseconds.
    pub fn open(config: &Config) -> std::result::Result<Self, OpenError> {
        let client = Arc::new(Client::open(config)?);
        Ok(Self { client, root: config.root_directory.clone() })
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the directory lies on, and what to do about it.
    pub async fn inspect(&self) -> Vec<Finding> {
        self.client.run(inspect::inspect).await.unwrap_or_else(|error| {
            let remedy = "look at the directory and the disk below it";
            vec![Finding::fault("directory", error.to_string(), remedy)]
        })
    }
}

impl fmt::Debug for FilesystemDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesystemDriver").field("root", &self.root).finish_non_exhaustive()
    }
}

impl fmt::Display for FilesystemDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.root.display())
    }
}

#[async_trait]
impl StorageDriver for FilesystemDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        read::stat(&self.client, key).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        read::get(&self.client, key, range).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let path = key.clone();
        let written = self.client.run(move |client| write::put(client, &path, &body, &mode)).await;
        self.client.hot.forget(key);
        written
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        drafts::prepare(&self.client, key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let (path, version) = (key.clone(), version.cloned());
        let deleted = self.client.run(move |client| delete::delete(client, &path, version.as_ref())).await;
        self.client.hot.forget(key);
        deleted
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let paths = keys.to_vec();
        let deleted = self.client.run(move |client| Ok(delete::delete_many(client, &paths))).await;
        keys.iter().for_each(|key| self.client.hot.forget(key));
        deleted
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        list::list(&self.client, prefix, start_after, limit).await
    }

    async fn presign_get(&self, _key: &Key, _options: &PresignOptions) -> Result<Option<SignedUrl>> {
        Ok(None)
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        let key = key.clone();
        self.client.run(move |client| staging::begin(client, &key)).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let upload = upload.clone();
        self.client.run(move |client| upload::part(client, &upload, number, &body)).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        let upload = upload.clone();
        self.client.run(move |client| upload::flush(client, &upload)).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let (upload, parts) = (upload.clone(), parts.to_vec());
        self.client.run(move |client| upload::complete(client, &upload, &parts)).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        let upload = upload.clone();
        self.client.run(move |client| upload::abort(client, &upload)).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        let (prefix, start_after) = (prefix.to_owned(), start_after.map(str::to_owned));
        self.client.run(move |client| upload::list(client, &prefix, start_after.as_deref(), limit)).await
    }
}
