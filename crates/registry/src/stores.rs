//! From the configured store to its driver.

use std::pin::Pin;
use std::sync::Arc;

use entrepot_driver_azure as azure;
use entrepot_driver_azure::AzureDriver;
use entrepot_driver_filesystem::FilesystemDriver;
use entrepot_driver_gcs as gcs;
use entrepot_driver_gcs::GcsDriver;
use entrepot_driver_memory::MemoryDriver;
use entrepot_driver_s3 as s3;
use entrepot_driver_s3::S3Driver;
use entrepot_storage::{Finding, Inspection, SharedDriver};

use crate::assemble::AssemblyError;
use crate::config::{self, AzureAccess, AzureCredentials, Backend, GcsAccess, Secret, Surroundings};

/// A store as its driver opened it, without decorators.
pub struct Opened {
    /// The driver.
    pub driver: SharedDriver,
    /// What the driver finds out about its store: places, permissions, rules.
    pub inspect: Inspect,
}

/// Inspects a store as far as it is allowed to.
pub type Inspect = Box<dyn FnOnce(Inspection) -> Pin<Box<dyn Future<Output = Vec<Finding>> + Send>> + Send>;

/// Opens the configured store. Asks none of the cloud stores anything: whether they can be reached shows
/// with the first request.
pub async fn open(backend: &Backend, surroundings: &dyn Surroundings) -> Result<Opened, AssemblyError> {
    match backend {
        Backend::Filesystem(settings) => {
            let settings = entrepot_driver_filesystem::Config {
                root_directory: settings.root_directory.clone(),
                max_threads: settings.max_threads,
            };
            let driver = FilesystemDriver::open(&settings).map_err(refused)?;
            let inspected = driver.clone();
            let inspect: Inspect = Box::new(move |allowed| {
                Box::pin(async move { if allowed.writes { inspected.inspect().await } else { Vec::new() } })
            });
            Ok(Opened { driver: Arc::new(driver), inspect })
        }
        Backend::Inmemory(_) => {
            Ok(Opened { driver: Arc::new(memory()), inspect: Box::new(|_| Box::pin(async { Vec::new() })) })
        }
        Backend::S3(settings) => {
            let driver = Arc::new(S3Driver::open(s3_settings(settings)).await.map_err(refused)?);
            let inspected = Arc::clone(&driver);
            let inspect: Inspect =
                Box::new(move |allowed| Box::pin(async move { inspected.inspect(allowed).await }));
            Ok(Opened { driver, inspect })
        }
        Backend::Azure(settings) => {
            let settings = azure_settings(settings, surroundings);
            let driver = Arc::new(AzureDriver::open(&settings).map_err(refused)?);
            let inspected = Arc::clone(&driver);
            let inspect: Inspect =
                Box::new(move |allowed| Box::pin(async move { inspected.inspect(allowed).await }));
            Ok(Opened { driver, inspect })
        }
        Backend::Gcs(settings) => {
            let driver = Arc::new(GcsDriver::open(gcs_settings(settings)).await.map_err(refused)?);
            let inspected = Arc::clone(&driver);
            let inspect: Inspect =
                Box::new(move |allowed| Box::pin(async move { inspected.inspect(allowed).await }));
            Ok(Opened { driver, inspect })
        }
    }
}

/// What the store is called in the log: its place, and never a credential.
pub fn place(backend: &Backend) -> String {
    let below = |root: &str| match root.trim_matches('/') {
        "" => String::new(),
        root => format!("/{root}"),
    };
    match backend {
        Backend::Filesystem(settings) => {
            let directory = &settings.root_directory;
            let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
            absolute.display().to_string()
        }
        Backend::Inmemory(_) => "memory: everything is lost when the process ends".to_owned(),
        Backend::S3(settings) => {
            let at = settings.endpoint.as_deref().unwrap_or(&settings.region);
            format!("s3://{}{} at {at}", settings.bucket, below(&settings.root_directory))
        }
        Backend::Azure(settings) => {
            let account = settings.account_name.as_deref().unwrap_or("the connection string's account");
            let at = settings.service_url.as_deref().unwrap_or(account);
            format!("azure container {}{} at {at}", settings.container, below(&settings.root_directory))
        }
        Backend::Gcs(settings) => {
            let at = settings.endpoint.as_deref().map(|endpoint| format!(" at {endpoint}"));
            format!("gs://{}{}{}", settings.bucket, below(&settings.root_directory), at.unwrap_or_default())
        }
    }
}

/// Without the addresses the driver makes up for tests: no client could follow them out of this process.
fn memory() -> MemoryDriver {
    let mut settings = entrepot_driver_memory::Config::default();
    settings.capabilities.presign = false;
    MemoryDriver::with(settings)
}

fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AssemblyError {
    AssemblyError::Storage(error.into())
}

fn s3_settings(settings: &config::S3) -> s3::Config {
    let credentials = match &settings.keys {
        None => s3::CredentialSource::Chain,
        Some(keys) => s3::CredentialSource::Static(s3::StaticCredentials::new(
            keys.access_key.expose().clone(),
            keys.secret_key.expose().clone(),
            keys.session_token.as_ref().map(|token| token.expose().clone()),
        )),
    };
    let encryption = match (settings.encrypt, &settings.kms_key) {
        (false, _) => s3::Encryption::BucketDefault,
        (true, None) => s3::Encryption::Aes256,
        (true, Some(key)) => s3::Encryption::Kms { key_id: Some(key.clone()) },
    };
    s3::Config {
        endpoint: settings.endpoint.clone(),
        redirect_endpoint: settings.redirect_endpoint.clone(),
        force_path_style: settings.force_path_style,
        accelerate: settings.accelerate,
        dual_stack: settings.dual_stack,
        fips: settings.fips,
        root_directory: settings.root_directory.clone(),
        part_bytes: settings.part_bytes,
        encryption,
        storage_class: storage_class(&settings.storage_class),
        object_acl: settings.object_acl.clone(),
        user_agent: settings.user_agent.clone(),
        skip_verify: settings.skip_verify,
        secure: settings.secure,
        credentials,
        checksum: if settings.checksums { s3::Checksum::Crc32c } else { s3::Checksum::None },
        conditional_delete: settings.conditional_delete,
        bare_etags: settings.bare_etags,
        uniform_parts: settings.uniform_parts,
        ..s3::Config::new(settings.bucket.clone(), settings.region.clone())
    }
}

/// The class to name, where it is another than a bucket's own. `NONE` is how distribution says that none is to be
/// named, to stores that know no classes.
fn storage_class(written: &str) -> Option<String> {
    let class = written.to_ascii_uppercase();
    Some(class).filter(|class| !matches!(class.as_str(), "STANDARD" | "NONE" | ""))
}

fn azure_settings(settings: &config::Azure, surroundings: &dyn Surroundings) -> azure::Config {
    let hidden = |secret: &Secret<String>| azure::Secret::from(secret.expose().as_str());
    let variables = surroundings.variables();
    let find = |name: &str| {
        let found = variables.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let credentials = match &settings.access {
        AzureAccess::Key(key) => azure::Credentials::SharedKey(hidden(key)),
        AzureAccess::ConnectionString(text) => azure::Credentials::ConnectionString(hidden(text)),
        AzureAccess::Credentials(AzureCredentials::ClientSecret { client_id, tenant_id, secret }) => {
            azure::Credentials::ClientSecret {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
                secret: hidden(secret),
            }
        }
        AzureAccess::Credentials(AzureCredentials::DefaultCredentials { client_id }) => {
            azure::Credentials::Default(azure::Surroundings {
                tenant_id: find("AZURE_TENANT_ID"),
                client_id: client_id.clone().or_else(|| find("AZURE_CLIENT_ID")),
                client_secret: find("AZURE_CLIENT_SECRET").map(azure::Secret::from),
                token_file: find("AZURE_FEDERATED_TOKEN_FILE").map(Into::into),
            })
        }
    };
    let account = settings.account_name.clone().unwrap_or_default();
    azure::Config {
        service_url: settings.service_url.clone(),
        realm: Some(settings.realm.clone()),
        root_directory: settings.root_directory.clone(),
        skip_verify: settings.skip_verify,
        redirect_endpoint: settings.redirect_endpoint.clone(),
        block_size: settings.block_bytes,
        authority_host: find("AZURE_AUTHORITY_HOST"),
        ..azure::Config::new(account, settings.container.clone(), credentials)
    }
}

fn gcs_settings(settings: &config::Gcs) -> gcs::Config {
    let credentials = match &settings.access {
        GcsAccess::ApplicationDefault {} => gcs::CredentialSource::ApplicationDefault,
        GcsAccess::KeyFile { path } => gcs::CredentialSource::KeyFile(path.clone()),
        GcsAccess::Key { credentials } => {
            gcs::CredentialSource::Key(gcs::Secret::new(credentials.document().expose().clone()))
        }
        GcsAccess::Anonymous { .. } => gcs::CredentialSource::Anonymous,
    };
    let hmac_key = settings.hmac.as_ref().map(|hmac| gcs::HmacKey {
        access_id: hmac.access_id.clone(),
        secret: gcs::Secret::new(hmac.secret.expose().clone()),
    });
    gcs::Config {
        credentials,
        root_directory: settings.root_directory.clone(),
        part_bytes: settings.part_bytes,
        max_concurrency: settings.max_concurrency,
        user_agent: settings.user_agent.clone(),
        endpoint: settings.endpoint.clone(),
        redirect_endpoint: settings.redirect_endpoint.clone(),
        redirect_bucket_bound: settings.redirect_bucket_bound,
        kms_key_name: settings.kms_key.clone(),
        hmac_key,
        signing_account: settings.signing_account.clone(),
        ..gcs::Config::new(settings.bucket.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_named_where_it_is_another_than_the_buckets_own() {
        for none in ["STANDARD", "standard", "NONE", ""] {
            assert_eq!(storage_class(none), None, "{none}");
        }
        assert_eq!(storage_class("intelligent_tiering").as_deref(), Some("INTELLIGENT_TIERING"));
    }
}
