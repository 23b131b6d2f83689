//! The connection to the bucket: the SDK's client, the keys below the root directory, and the deadline
//! every call has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint, Params, ResolveEndpoint};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use entrepot_storage::decorate::Timeouts;
use entrepot_storage::{Capabilities, Key};

use crate::config::{Checksum, Config, Encryption, MAX_PART_BYTES, MIN_PART_BYTES, OpenError};
use crate::connections::{self, Verification};
use crate::credentials;
use crate::credentials::CachedCredentials;
use crate::error::Failure;
use crate::presign::Signer;
use crate::user_agent::UserAgent;

/// How long an answer that proves the bucket's existence is believed.
const BUCKET_PROOF: Duration = Duration::from_secs(60);

/// Everything the operations share.
pub(crate) struct Client {
    pub(crate) sdk: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    pub(crate) capabilities: Capabilities,
    pub(crate) timeouts: Timeouts,
    pub(crate) writing: Writing,
    pub(crate) signer: Signer,
    credentials: Arc<CachedCredentials>,
    /// The root directory with a slash at its end, or nothing.
    root: String,
    opened: Instant,
    /// When the bucket was last known to be there, in milliseconds since `opened`, plus one; 0 for never.
    bucket_proven: AtomicU64,
}

/// What goes with everything that is written.
pub(crate) struct Writing {
    /// Conditions name an ETag without its quotes.
    pub(crate) bare_etags: bool,
    pub(crate) encryption: Encryption,
    pub(crate) storage_class: Option<String>,
    pub(crate) object_acl: Option<String>,
    pub(crate) checksum: Checksum,
}

impl Client {
    pub(crate) async fn open(config: Config) -> Result<Self, OpenError> {
        config.check()?;
        let endpoint = endpoint(&config).await?;
        let verification = if config.skip_verify { Verification::None } else { Verification::Full };
        let http = connections::http_client(verification)?;
        let credentials = credentials::source(&config, &http).await;
        let credentials = Arc::new(CachedCredentials::new(credentials, config.timeouts.call));
        let redirect = match &config.redirect_endpoint {
            Some(text) => Some(with_scheme(text, config.secure)),
            None => endpoint.clone(),
        };
        let base = resolve(&config, redirect, Some(&config.bucket)).await?;
        Ok(Self {
            sdk: sdk(&config, endpoint.as_deref(), http, Arc::clone(&credentials)),
            signer: Signer::new(&base, &config.region, Arc::clone(&credentials))?,
            credentials,
            capabilities: capabilities(&config),
            timeouts: config.timeouts,
            root: if config.root().is_empty() { String::new() } else { format!("{}/", config.root()) },
            writing: Writing {
                bare_etags: config.bare_etags,
                encryption: config.encryption,
                storage_class: config.storage_class,
                object_acl: config.object_acl,
                checksum: config.checksum,
            },
            bucket: config.bucket,
            opened: Instant::now(),
            bucket_proven: AtomicU64::new(0),
        })
    }

    /// The key as the store knows it.
    pub(crate) fn path(&self, key: &Key) -> String {
        self.prefixed(key.as_str())
    }

    /// Any text as it stands below the root directory.
    pub(crate) fn prefixed(&self, text: &str) -> String {
        format!("{}{text}", self.root)
    }

    /// The root directory with its slash, or nothing.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The key of what the store calls `path`; `None` for what is not ours.
    pub(crate) fn key(&self, path: &str) -> Option<Key> {
        path.strip_prefix(&self.root)?.parse().ok()
    }

    /// Waits for an answer, for `limit` at the longest. The SDK's own deadlines are not used: they would be
    /// the same for a record and for a part of 16 MiB.
    pub(crate) async fn call<T, E>(
        &self,
        limit: Duration,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // On the heap: the SDK's futures are many KiB, and every caller's would be larger by as much.
        match tokio::time::timeout(limit, Box::pin(request)).await {
            Ok(Ok(answer)) => {
                self.prove_bucket();
                Ok(answer)
            }
            Ok(Err(error)) => {
                let failure = Failure::of(&error);
                match failure.code() {
                    Some("NoSuchKey") => self.prove_bucket(),
                    Some("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => {
                        self.credentials.forget();
                    }
                    _ => {}
                }
                Err(failure)
            }
            Err(_) => Err(Failure::late(limit)),
        }
    }

    /// Whether the bucket is there, as far as an answer of the last minute or a question now tells. A HEAD
    /// that says 404 does not say what is missing.
    pub(crate) async fn bucket_exists(&self) -> Result<(), Failure> {
        let proven = self.bucket_proven.load(Ordering::Relaxed);
        if proven > 0 && self.uptime_millis().saturating_sub(proven) < BUCKET_PROOF.as_millis() as u64 {
            return Ok(());
        }
        let request = self.sdk.head_bucket().bucket(&self.bucket).send();
        self.call(self.timeouts.call, request).await.map(|_| ())
    }

    fn prove_bucket(&self) {
        self.bucket_proven.store(self.uptime_millis() + 1, Ordering::Relaxed);
    }

    fn uptime_millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn capabilities(config: &Config) -> Capabilities {
    Capabilities {
        min_part: MIN_PART_BYTES,
        preferred_part: config.part_bytes,
        max_part: MAX_PART_BYTES,
        max_parts: 10_000,
        uniform_parts: config.uniform_parts,
        parallel_parts: config.parallel_parts,
        conditional_put: config.conditional_put.unwrap_or(true),
        conditional_delete: config.conditional_delete.unwrap_or(config.endpoint.is_none()),
        // A directory bucket is read with a session of its own, which no URL can carry for long.
        presign: !config.bucket.ends_with("--x-s3"),
        presigned_suffixes: true,
        longest_url: crate::presign::LONGEST,
        delete_batch: 1000,
    }
}

fn sdk(
    config: &Config,
    endpoint: Option<&str>,
    http: SharedHttpClient,
    credentials: Arc<CachedCredentials>,
) -> aws_sdk_s3::Client {
    let mut builder = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(config.region.clone()))
        .force_path_style(config.force_path_style)
        .credentials_provider(credentials::Shared(credentials))
        // Credentials are cached by us, since presigning needs them without waiting.
        .identity_cache(IdentityCache::no_cache())
        // Checksums of parts are ours: the SDK's would turn a body in pieces into an encoding of its own
        // (aws-chunked with a trailer) that Garage refuses and others store as content.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::standard().with_max_attempts(config.attempts))
        .timeout_config(TimeoutConfig::builder().connect_timeout(config.connect_timeout).build())
        // Each chunk of a body has a deadline in `read`, each upload one in `call`.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    match endpoint {
        Some(endpoint) => builder = builder.endpoint_url(endpoint),
        None => {
            builder =
                builder.accelerate(config.accelerate).use_dual_stack(config.dual_stack).use_fips(config.fips);
        }
    }
    if let Some(words) = &config.user_agent {
        builder = builder.interceptor(UserAgent::new(words));
    }
    aws_sdk_s3::Client::from_conf(builder.build())
}

/// The endpoint to set, or `None` where the SDK knows it.
async fn endpoint(config: &Config) -> Result<Option<String>, OpenError> {
    if let Some(endpoint) = &config.endpoint {
        return Ok(Some(with_scheme(endpoint, config.secure)));
    }
    if config.secure {
        return Ok(None);
    }
    let aws = resolve(config, None, None).await?;
    Ok(Some(aws.url().replacen("https://", "http://", 1)))
}

fn with_scheme(endpoint: &str, secure: bool) -> String {
    match (endpoint.contains("://"), secure) {
        (true, _) => endpoint.to_owned(),
        (false, true) => format!("https://{endpoint}"),
        (false, false) => format!("http://{endpoint}"),
    }
}

/// The URL of a bucket, by the SDK's own rules.
async fn resolve(
    config: &Config,
    endpoint: Option<String>,
    bucket: Option<&str>,
) -> Result<Endpoint, OpenError> {
    let is_aws = endpoint.is_none();
    let params = Params::builder()
        .region(config.region.clone())
        .set_bucket(bucket.map(str::to_owned))
        .set_endpoint(endpoint)
        .force_path_style(config.force_path_style)
        .use_fips(is_aws && config.fips)
        .use_dual_stack(is_aws && config.dual_stack)
        .accelerate(is_aws && config.accelerate && bucket.is_some())
        .build()
        .map_err(|error| OpenError::Endpoint(error.to_string()))?;
    let resolved = DefaultResolver::new().resolve_endpoint(&params).await;
    resolved.map_err(|error| OpenError::Endpoint(error.to_string()))
}
