//! The driver: each call of the contract handed to the module that knows it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::Url;
use bytes::Bytes;
use entrepot_storage::{
    Capabilities, Error, Finding, Inspection, Key, ListPage, Object, ObjectMeta, Part, PreparedPut,
    PresignOptions, PutMode, ReadRange, Result, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

use crate::client::{Store, Verification, clients};
use crate::config::{Config, MAX_BLOCK_BYTES};
use crate::credentials::{Account, Identity};
use crate::error::NAME;
use crate::list::LeftOff;
use crate::sas::delegation::{self, Delegations};
use crate::sas::{SignedBy, Signer};
use crate::{OpenError, error, inspect, list, read, upload, write};

/// A container of Azure Blob Storage. Clones share its clients.
#[derive(Clone, Debug)]
pub struct AzureDriver {
    store: Arc<Store>,
}

impl AzureDriver {
    /// Sets everything up and asks nobody: a container that cannot be reached is told by
    /// [`inspect`](Self::inspect) and by the first call.
    ///
    /// Fails where a setting cannot be meant.
    pub fn open(config: &Config) -> std::result::Result<Self, OpenError> {
        Self::with(config, Account::of(config)?)
    }

    /// As [`open`](Self::open), as somebody only the caller knows how to be.
    pub fn open_as(
        config: &Config,
        credential: Arc<dyn TokenCredential>,
    ) -> std::result::Result<Self, OpenError> {
        Self::with(config, Account::named(config, Identity::Token(credential))?)
    }

    fn with(config: &Config, account: Account) -> std::result::Result<Self, OpenError> {
        let service_url = base(&account.service_url, "serviceurl")?;
        let endpoint = match &config.redirect_endpoint {
            Some(endpoint) => base(endpoint, "redirectendpoint")?,
            None => service_url.clone(),
        };
        if config.container.is_empty() || !config.container.bytes().all(is_container_byte) {
            return Err(OpenError::new("container: lower case letters, digits and dashes are allowed"));
        }
        if config.block_size == 0 || config.block_size > MAX_BLOCK_BYTES {
            return Err(OpenError::new("block size: 1 byte to 4000 MiB"));
        }
        let verification = if config.skip_verify { Verification::None } else { Verification::Full };
        let (service, container) = clients(&service_url, &config.container, &account.identity, verification)?;
        let (by, longest_url) = match account.identity {
            Identity::SharedKey(policy) => (SignedBy::Account(policy), Duration::MAX),
            Identity::Token(_) => {
                (SignedBy::Delegation(Arc::new(Delegations::new(service))), delegation::LONGEST)
            }
        };
        let store = Store {
            signer: Signer {
                account: account.name.clone(),
                container: config.container.clone(),
                endpoint: endpoint.as_str().trim_end_matches('/').to_owned(),
                by,
            },
            container,
            root: root(&config.root_directory)?,
            capabilities: capabilities(config, longest_url),
            ignores_start: AtomicBool::new(false),
            left_off: LeftOff::default(),
            place: format!("{}/{}", account.name, config.container),
        };
        Ok(Self { store: Arc::new(store) })
    }

    #[cfg(test)]
    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// The same with URLs signed by keys of this lender's.
    #[cfg(test)]
    pub(crate) fn signing_by(mut self, lender: Arc<Delegations>) -> Self {
        let store = Arc::get_mut(&mut self.store).expect("nobody else has it yet");
        store.signer.by = SignedBy::Delegation(lender);
        self
    }

    /// Creates the container where it is missing. For set-ups and tests: a registry's own identity should
    /// not be allowed to.
    pub async fn create_container(&self) -> Result<()> {
        match self.store.container.create(None).await {
            Ok(_) => Ok(()),
            Err(error) if error::code(&error) == Some("ContainerAlreadyExists") => Ok(()),
            Err(error) => Err(error::meaning(&error)),
        }
    }

    /// Tries what the registry needs, where it may write on a blob of its own, which it deletes again, and tells
    /// what it found. Takes about a dozen requests.
    pub async fn inspect(&self, allowed: Inspection) -> Vec<Finding> {
        inspect::inspect(self, &self.store, allowed).await
    }
}

fn capabilities(config: &Config, longest_url: Duration) -> Capabilities {
    Capabilities {
        min_part: 1,
        preferred_part: config.block_size,
        max_part: MAX_BLOCK_BYTES,
        max_parts: upload::MAX_PARTS,
        uniform_parts: false,
        parallel_parts: config.parallel.max(1),
        conditional_put: true,
        conditional_delete: true,
        presign: true,
        // Only `bytes=first-` and `bytes=first-last` are known there.
        presigned_suffixes: false,
        longest_url,
        delete_batch: 256,
    }
}

fn base(text: &str, setting: &str) -> std::result::Result<Url, OpenError> {
    let url: Option<Url> = text.parse().ok();
    let is_base = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    url.filter(is_base).ok_or_else(|| OpenError::new(format!("{setting}: not an absolute http or https URL")))
}

fn is_container_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'$'
}

/// The directory with a slash at its end, or nothing.
fn root(directory: &str) -> std::result::Result<String, OpenError> {
    let directory = directory.trim_matches('/');
    if directory.is_empty() {
        return Ok(String::new());
    }
    match directory.parse::<Key>() {
        Ok(_) => Ok(format!("{directory}/")),
        Err(error) => Err(OpenError::new(format!("rootdirectory: {}", error.reason))),
    }
}

impl fmt::Display for AzureDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

#[async_trait]
impl StorageDriver for AzureDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.store.capabilities
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        read::stat(&self.store, key).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        read::get(&self.store, key, range).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        write::put(&self.store, key, body, mode).await
    }

    fn prepare_put(&self, _: &Key, _: &Bytes) -> PreparedPut {
        PreparedPut::nothing()
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        write::delete(&self.store, key, version).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        Ok(write::delete_many(&self.store, keys).await)
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        list::list(&self.store, prefix, start_after, limit).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.store.signer.sign(&self.store.name_of(key), options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        upload::begin(key)
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        upload::part(&self.store, upload, number, body).await
    }

    async fn upload_flush(&self, _: &Upload) -> Result<()> {
        Ok(())
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        upload::complete(&self.store, upload, parts).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        upload::abort(&self.store, upload).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        list::list_uploads(&self.store, prefix, start_after, limit).await
    }
}
