//! Where data lies, how it is cached and what is done to it in the background.

mod azure;
mod gcs;
mod redirect;
mod s3;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::keys::Milestone;
use super::settle::Settling;
use super::size;

pub use azure::{Azure, AzureAccess, AzureCredentials};
pub use gcs::{Gcs, GcsAccess, GcsHmac, GcsKey};
pub use redirect::{
    Cloudfront, FilterBy, GoogleCdn, Middleware, NetworkFilter, Redirect, RedirectAction, RedirectRule,
    StorageMiddleware,
};
pub(super) use redirect::{WrittenMiddleware, check_rules};
pub use s3::{S3, S3Keys};

/// The directory used when nothing was written about storage.
const DEFAULT_DIRECTORY: &str = "./entrepot-data";
/// As in distribution.
const FEWEST_THREADS: usize = 25;
/// What "without limit" means: every queue and cache is bounded.
const MOST_DESCRIPTORS: u64 = 1_000_000;

/// `storage` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    filesystem: Option<Filesystem>,
    inmemory: Option<Inmemory>,
    s3: Option<s3::Written>,
    azure: Option<azure::Written>,
    gcs: Option<gcs::Written>,
    conditionalwrites: ConditionalWrites,
    delete: Delete,
    redirect: redirect::Written,
    cache: WrittenCache,
    tag: Tag,
    maintenance: Maintenance,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCache {
    blobdescriptor: String,
    blobdescriptorsize: u64,
    #[serde(deserialize_with = "size::deserialize")]
    max_memory: u64,
}

/// Where data lies and how it is treated.
#[derive(Debug, Clone, Serialize)]
pub struct Storage {
    /// The store.
    #[serde(flatten)]
    pub backend: Backend,
    /// What a store that ignores conditions means.
    #[serde(rename = "conditionalwrites")]
    pub conditional_writes: ConditionalWrites,
    /// Deletion through the API.
    pub delete: Delete,
    /// Pulls that clients fetch from the store directly.
    pub redirect: Redirect,
    /// The cache of descriptors.
    pub cache: Cache,
    /// Looking up tags.
    pub tag: Tag,
    /// Work in the background.
    pub maintenance: Maintenance,
}

/// The store.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A directory.
    Filesystem(Filesystem),
    /// Memory, for tests.
    Inmemory(Inmemory),
    /// Amazon S3, or a store that speaks its protocol.
    S3(Box<S3>),
    /// Azure Blob Storage.
    Azure(Box<Azure>),
    /// Google Cloud Storage.
    Gcs(Box<Gcs>),
}

impl Backend {
    /// The same store where clients reach it at `endpoint`; nothing where they cannot be sent to it.
    #[must_use]
    pub fn reached_at(&self, endpoint: &str) -> Option<Backend> {
        let mut backend = self.clone();
        let redirected = match &mut backend {
            Backend::Filesystem(_) | Backend::Inmemory(_) => return None,
            Backend::S3(settings) => &mut settings.redirect_endpoint,
            Backend::Azure(settings) => &mut settings.redirect_endpoint,
            Backend::Gcs(settings) => &mut settings.redirect_endpoint,
        };
        *redirected = Some(endpoint.to_owned());
        Some(backend)
    }
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filesystem {
    /// The directory; may not exist yet. Default: `./entrepot-data` without any `storage`, else
    /// `/var/lib/registry` as in distribution.
    #[serde(rename = "rootdirectory")]
    pub root_directory: PathBuf,
    /// The most file operations at the same time, at least 25. Default: 100.
    #[serde(rename = "maxthreads")]
    pub max_threads: usize,
}

/// Memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inmemory {}

/// What follows when the store turns out at start to ignore the conditions of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionalWrites {
    /// The registry does not serve.
    Required,
    /// It keeps conditions itself, as the only process that writes to the store.
    AssumeSingleReplica,
}

/// Deletion through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Whether clients may delete. Default: true.
    pub enabled: bool,
}

/// The cache of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// Where it lies.
    #[serde(rename = "blobdescriptor")]
    pub kind: CacheKind,
    /// So many descriptors have room, whatever `max_memory` says; never 0. Default: 10000.
    #[serde(rename = "blobdescriptorsize")]
    pub least_descriptors: u64,
    /// What it holds in memory, manifests included, in bytes. Default: 64 MiB.
    #[serde(serialize_with = "size::serialize")]
    pub max_memory: u64,
}

/// Where the cache lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheKind {
    /// In the process.
    Inmemory,
}

/// Looking up tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// The most tags looked up at the same time; 0 means 32. Default: 0.
    #[serde(rename = "concurrencylimit")]
    pub concurrency_limit: usize,
}

/// Work in the background, and its opposite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Removal of uploads that nobody finished.
    #[serde(rename = "uploadpurging")]
    pub upload_purging: UploadPurging,
    /// Read-only mode.
    pub readonly: Readonly,
}

/// Removal of uploads that nobody finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadPurging {
    /// Removes them. Default: true.
    pub enabled: bool,
    /// How long an upload may rest. Default: 168 h.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub age: Duration,
    /// How often to look. Default: 24 h.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    /// Only log what would be removed. Default: false.
    #[serde(rename = "dryrun")]
    pub dry_run: bool,
}

/// Read-only mode. Read again on SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readonly {
    /// Refuses pushes and deletes everywhere. Default: false.
    pub enabled: bool,
    /// Refuses them in these repositories and below them. Default: none.
    #[serde(default)]
    pub repositories: Vec<String>,
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Storage {
        let by_default = || Filesystem { root_directory: DEFAULT_DIRECTORY.into(), max_threads: 100 };
        // That at most one is written was checked with the table.
        let backend = if let Some(s3) = self.s3 {
            Backend::S3(Box::new(s3.settle(settling)))
        } else if let Some(azure) = self.azure {
            Backend::Azure(Box::new(azure.settle(settling)))
        } else if let Some(gcs) = self.gcs {
            Backend::Gcs(Box::new(gcs.settle(settling)))
        } else if let Some(inmemory) = self.inmemory {
            Backend::Inmemory(inmemory)
        } else {
            Backend::Filesystem(self.filesystem.map_or_else(by_default, |written| written.settle(settling)))
        };
        Storage {
            backend,
            conditional_writes: self.conditionalwrites,
            delete: self.delete,
            redirect: self.redirect.settle(settling),
            cache: self.cache.settle(settling),
            tag: self.tag,
            maintenance: self.maintenance,
        }
    }
}

impl Filesystem {
    fn settle(self, settling: &mut Settling<'_>) -> Filesystem {
        if self.max_threads < FEWEST_THREADS {
            settling.warn("storage.filesystem.maxthreads", format!("raised to {FEWEST_THREADS}"));
        }
        Filesystem { max_threads: self.max_threads.max(FEWEST_THREADS), ..self }
    }
}

impl WrittenCache {
    fn settle(self, settling: &mut Settling<'_>) -> Cache {
        if self.blobdescriptor == "redis" {
            let message = format!(
                "`redis` does not work yet, it arrives with the {} milestone; until then write inmemory",
                Milestone::Fleet
            );
            settling.refuse("storage.cache.blobdescriptor", message);
        }
        if self.blobdescriptorsize == 0 {
            settling.warn(
                "storage.cache.blobdescriptorsize",
                format!("a cache without limit is limited to {MOST_DESCRIPTORS} descriptors"),
            );
        }
        let least_descriptors =
            if self.blobdescriptorsize == 0 { MOST_DESCRIPTORS } else { self.blobdescriptorsize };
        Cache { kind: CacheKind::Inmemory, least_descriptors, max_memory: self.max_memory }
    }
}
