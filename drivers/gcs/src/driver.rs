//! The driver: the contract's methods, each in the module of its subject.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use entrepot_storage::{
    Capabilities, Error, Finding, Inspection, Key, ListPage, Object, ObjectMeta, Part, PreparedPut,
    PresignOptions, PutMode, ReadRange, Result, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

use crate::client::Client;
use crate::config::{MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES};
use crate::credentials::Signing;
use crate::presign::Presigner;
use crate::{Config, NAME, OpenError};

/// Deletes handed to the store at once, as a unit of retrying: each is a request of its own.
const DELETE_BATCH: usize = 100;

/// Objects in one bucket of Google Cloud Storage. Clones share connections, tokens and signed URLs.
#[derive(Clone, Debug)]
pub struct GcsDriver {
    pub(crate) client: Arc<Client>,
    pub(crate) presigner: Arc<Presigner>,
    pub(crate) max_concurrency: usize,
    capabilities: Capabilities,
}

impl GcsDriver {
    /// Opens a bucket without asking it anything. Has to be called on the runtime the driver will be used
    /// on, because the client library renews its tokens there.
    ///
    /// Fails where a setting makes no sense or the credentials cannot be read.
    pub async fn open(config: Config) -> std::result::Result<Self, OpenError> {
        config.check().map_err(OpenError::Config)?;
        let client = Client::open(&config).await?;
        let capabilities = Capabilities {
            min_part: MIN_PART_BYTES,
            preferred_part: config.part_bytes,
            max_part: MAX_PART_BYTES,
            max_parts: MAX_PARTS,
            uniform_parts: false,
            parallel_parts: config.parallel_parts,
            conditional_put: true,
            conditional_delete: true,
            presign: !matches!(client.identity.signing, Signing::Never(_)),
            presigned_suffixes: true,
            longest_url: crate::presign::longest(&client.identity.signing),
            delete_batch: DELETE_BATCH,
        };
        let presigner = Arc::new(Presigner::new(&config)?);
        let max_concurrency = config.max_concurrency;
        Ok(Self { client: Arc::new(client), presigner, max_concurrency, capabilities })
    }

    /// Looks at the bucket for the person who runs the registry: whether every operation is allowed, and
    /// which settings of it would harm what is stored.
    pub async fn inspect(&self, allowed: Inspection) -> Vec<Finding> {
        crate::inspect::inspect(self, allowed).await
    }
}

impl fmt::Display for GcsDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gcs({}/{})", self.client.bucket, self.client.root)
    }
}

#[async_trait]
impl StorageDriver for GcsDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
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

    fn prepare_put(&self, _key: &Key, _body: &Bytes) -> PreparedPut {
        PreparedPut::nothing()
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.client.delete(key, version).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.client.delete_many(keys, self.max_concurrency).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.client.list(prefix, start_after, limit).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.presigner.sign(&self.client, key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.client.upload_begin(key).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        self.client.upload_part(upload, number, body).await
    }

    async fn upload_flush(&self, _upload: &Upload) -> Result<()> {
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
