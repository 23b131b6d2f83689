//! From the configuration to the parts it describes. Nothing else knows all of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use entrepot_cache::MemoryCache;
use entrepot_domain::config::{IndexPlatforms, ManifestRules, ReadOnly, UrlPattern};
use entrepot_domain::ports::{Cache, System};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::{Registry, maintenance};
use entrepot_frontend as frontend;
use entrepot_storage::SharedDriver;
use entrepot_storage::decorate::{limit, metrics, retry, timeout};
use entrepot_telemetry::{Format, LogConfig, Metrics};

use crate::config::{self, Config};
use crate::observe::StoreCalls;
use crate::stores;

/// Why the configured parts could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The store cannot be used.
    #[error("storage: {0}")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is in the store cannot be used.
    #[error("storage: {0}")]
    Layout(#[from] entrepot_domain::Error),
    /// A setting that only turned out wrong when it was used.
    #[error("{key}: {reason}")]
    Setting {
        /// The key of the configuration.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// What the log is set up with.
pub fn log(config: &config::Log) -> LogConfig {
    use tracing::level_filters::LevelFilter;
    LogConfig {
        level: match config.level {
            config::Level::Error => LevelFilter::ERROR,
            config::Level::Warn => LevelFilter::WARN,
            config::Level::Info => LevelFilter::INFO,
            config::Level::Debug => LevelFilter::DEBUG,
        },
        format: match config.formatter {
            config::Formatter::Text => Format::Text,
            config::Formatter::Json => Format::Json,
            config::Formatter::Logstash => Format::Logstash,
        },
        fields: config.fields.clone(),
        access_log: !config.accesslog.disabled,
        report_caller: config.reportcaller,
    }
}

/// Opens the configured store and puts the decorators around it.
pub async fn store(config: &config::Storage, counted: &Arc<Metrics>) -> Result<SharedDriver, AssemblyError> {
    Ok(decorate(stores::open(&config.backend, &config::Process).await?.driver, counted))
}

/// Puts the decorators around a driver: counted at the very outside, so that what is counted is what the
/// registry asked for; retries within the deadline of no single attempt.
pub fn decorate(driver: SharedDriver, counted: &Arc<Metrics>) -> SharedDriver {
    let recorder = Arc::new(StoreCalls { metrics: Arc::clone(counted), driver: driver.name() });
    Arc::new(metrics::Metrics::new(steadied(driver), recorder))
}

/// A driver whose calls are bounded, have deadlines, and are retried.
pub(crate) fn steadied(driver: SharedDriver) -> SharedDriver {
    let bounded = Arc::new(limit::Limit::new(driver, limit::Limits::default()));
    let timed = Arc::new(timeout::Timeout::new(bounded, timeout::Timeouts::default()));
    Arc::new(retry::Retry::new(timed, retry::RetryPolicy::default()))
}

/// Makes the registry over `store`. Writes the layout record of an empty store and refuses one that a
/// newer Entrepot wrote.
pub async fn registry(config: &Config, store: SharedDriver) -> Result<Registry, AssemblyError> {
    maintenance::ensure_layout(&store).await?;
    let tokens = match config.http.secrets.is_empty() {
        true => maintenance::shared_token_keys(&store, &System).await?,
        false => {
            let keys = config.http.secrets.iter().map(|secret| secret.expose().clone().into_bytes());
            TokenKeys::new(keys.collect()).ok_or(AssemblyError::Setting {
                key: "http.secret",
                reason: "an empty secret signs nothing".into(),
            })?
        }
    };
    let redirects = crate::redirects::assemble(config, &store, &config::Process).await?;
    let settings = entrepot_domain::Config { redirects, ..domain(config)? };
    Ok(Registry::new(Parts {
        store,
        cache: cache(&config.storage.cache),
        clock: Arc::new(System),
        entropy: Arc::new(System),
        tokens,
        config: settings,
    }))
}

/// A descriptor's share of the cache, with its key and bookkeeping, in bytes.
const BYTES_PER_DESCRIPTOR: u64 = 512;

fn cache(config: &config::Cache) -> Arc<dyn Cache> {
    let config::CacheKind::Inmemory = config.kind;
    let least = config.least_descriptors.saturating_mul(BYTES_PER_DESCRIPTOR);
    let capacity_bytes = config.max_memory.max(least);
    Arc::new(MemoryCache::new(entrepot_cache::Config { capacity_bytes, ..entrepot_cache::Config::default() }))
}

fn domain(config: &Config) -> Result<entrepot_domain::Config, AssemblyError> {
    let Config { storage, uploads, limits, .. } = config;
    let defaults = entrepot_domain::Config::default();
    Ok(entrepot_domain::Config {
        max_manifest_bytes: limits.max_manifest_size,
        max_blob_bytes: limits.max_blob_size,
        max_tags_per_push: limits.max_tags_per_push,
        delete_enabled: storage.delete.enabled,
        read_only: read_only(storage),
        upload_memory_bytes: uploads.max_memory,
        part_bytes: uploads.part_size,
        session_lifetime: uploads.token_lifetime,
        session_retention: uploads.replay_window.max(uploads.token_lifetime),
        tag_lookups_in_flight: match storage.tag.concurrency_limit {
            0 => defaults.tag_lookups_in_flight,
            limit => limit,
        },
        manifests: manifest_rules(config)?,
        ..defaults
    })
}

/// Which repositories take no writes.
pub fn read_only(storage: &config::Storage) -> ReadOnly {
    let readonly = &storage.maintenance.readonly;
    ReadOnly { everything: readonly.enabled, repositories: readonly.repositories.clone() }
}

fn manifest_rules(config: &Config) -> Result<ManifestRules, AssemblyError> {
    let validation = &config.validation;
    let (urls_allow, urls_deny) = match validation.urls() {
        Some(rules) => (
            patterns("validation.manifests.urls.allow", &rules.allow)?,
            patterns("validation.manifests.urls.deny", &rules.deny)?,
        ),
        // Switched off: any url is as good as another.
        None => (vec![UrlPattern(Arc::new(|_| true))], Vec::new()),
    };
    let index_platforms = match validation.platforms() {
        config::Platforms::All => IndexPlatforms::All,
        config::Platforms::None => IndexPlatforms::None,
        config::Platforms::List => {
            let listed = validation.manifests.indexes.platform_list.iter();
            IndexPlatforms::List(
                listed.map(|wanted| (wanted.os.clone(), wanted.architecture.clone())).collect(),
            )
        }
    };
    Ok(ManifestRules {
        index_platforms,
        urls_allow,
        urls_deny,
        allow_sparse_images: validation.manifests.references == config::References::Ignore,
        ignore_sizes: !validation.checks_sizes(),
        store_unknown_types: config.manifests.unknown_types == config::UnknownTypes::Store,
        max_index_depth: 0,
    })
}

fn patterns(key: &'static str, expressions: &[String]) -> Result<Vec<UrlPattern>, AssemblyError> {
    let compile = |expression: &String| {
        let compiled = regex::Regex::new(expression)
            .map_err(|error| AssemblyError::Setting { key, reason: error.to_string() })?;
        Ok(UrlPattern(Arc::new(move |url| compiled.is_match(url))))
    };
    expressions.iter().map(compile).collect()
}

/// The front end's settings.
pub fn front_end(config: &Config) -> Result<frontend::Config, AssemblyError> {
    let http = &config.http;
    let defaults = frontend::Config::default();
    let workers = if http.workers == 0 { None } else { Some(http.workers) };
    let threads = workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let headers = http
        .headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value.clone())));
    Ok(frontend::Config {
        listeners: listeners(http)?,
        prefix: http.path_prefix().to_owned(),
        host: http.absolute_host().map(str::to_owned),
        relative_urls: http.relative_urls,
        headers: headers.collect(),
        trusted_proxies: networks(&http.trusted_proxies)?,
        forwarded_headers: match http.forwarded_headers {
            config::ForwardedHeaders::XForwarded => frontend::ForwardedHeaders::XForwarded,
            config::ForwardedHeaders::Forwarded => frontend::ForwardedHeaders::Forwarded,
        },
        cors: match http.cors.allow_origins.is_empty() {
            true => None,
            false => Some(frontend::Cors { allow_origins: http.cors.allow_origins.clone() }),
        },
        http2: !http.http2.disabled,
        h2c: http.h2c.enabled,
        workers,
        limits: frontend::Limits {
            connections_per_worker: http.max_connections.div_ceil(threads).max(1),
            ..defaults.limits
        },
        timeouts: frontend::Timeouts {
            header: http.timeouts.header,
            idle: http.timeouts.idle,
            min_body_rate: http.timeouts.min_body_rate,
            drain: http.drain_timeout,
            ..defaults.timeouts
        },
        lists: frontend::Lists {
            max_tags: config.tags.max_tags,
            catalog_page: defaults.lists.catalog_page.min(config.catalog.max_entries),
            max_catalog: config.catalog.max_entries,
            ..defaults.lists
        },
        manifest_list_downgrade: config.compat.manifest_list_downgrade,
        min_chunk_bytes: config.uploads.min_chunk,
    })
}

fn networks(networks: &[config::Network]) -> Result<Vec<frontend::Network>, AssemblyError> {
    let parse = |network: &config::Network| {
        let read = network.to_string().parse();
        read.map_err(|reason| AssemblyError::Setting { key: "http.trusted_proxies", reason })
    };
    networks.iter().map(parse).collect()
}

fn listeners(http: &config::Http) -> Result<Vec<frontend::Listener>, AssemblyError> {
    let tls = http.tls.as_ref().map(tls).transpose()?;
    let endpoints = match &http.listen {
        config::Listen::Unix(path) => vec![frontend::Endpoint::Unix(path.clone())],
        config::Listen::Tcp(endpoint) => {
            let addresses = resolve("http.addr", endpoint)?;
            addresses.into_iter().map(frontend::Endpoint::Tcp).collect()
        }
    };
    Ok(endpoints.into_iter().map(|endpoint| frontend::Listener { endpoint, tls: tls.clone() }).collect())
}

/// The addresses to bind for an endpoint.
pub fn resolve(key: &'static str, endpoint: &config::Endpoint) -> Result<Vec<SocketAddr>, AssemblyError> {
    let refuse = |reason: String| AssemblyError::Setting { key, reason };
    let mut addresses = endpoint.resolve().map_err(|error| refuse(format!("{endpoint}: {error}")))?;
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(refuse(format!("{endpoint} has no address")));
    }
    // One name, one free port: several sockets could not share it.
    if endpoint.port() == 0 {
        addresses.truncate(1);
    }
    Ok(addresses)
}

fn tls(tls: &config::Tls) -> Result<frontend::Tls, AssemblyError> {
    let parse = |suite: &config::CipherSuite| {
        let read = suite.name().parse();
        read.map_err(|reason| AssemblyError::Setting { key: "http.tls.ciphersuites", reason })
    };
    let (client_auth, client_authorities) = match tls.client_authentication() {
        None => (frontend::ClientAuth::None, Vec::new()),
        Some((mode, authorities)) => (client_auth(mode), authorities.to_vec()),
    };
    Ok(frontend::Tls {
        minimum: match tls.minimum {
            config::TlsVersion::Tls12 => frontend::TlsVersion::Tls12,
            config::TlsVersion::Tls13 => frontend::TlsVersion::Tls13,
        },
        cipher_suites: tls.cipher_suites.iter().map(parse).collect::<Result<_, _>>()?,
        client_authorities,
        client_auth,
        ..frontend::Tls::new(&tls.certificate, &tls.key)
    })
}

const fn client_auth(mode: config::ClientAuth) -> frontend::ClientAuth {
    match mode {
        config::ClientAuth::RequestClientCert => frontend::ClientAuth::Request,
        config::ClientAuth::RequireAnyClientCert => frontend::ClientAuth::RequireAny,
        config::ClientAuth::VerifyClientCertIfGiven => frontend::ClientAuth::VerifyIfGiven,
        config::ClientAuth::RequireAndVerifyClientCert => frontend::ClientAuth::RequireAndVerify,
    }
}

/// When sessions and orphans are ended: never before a token that could still name them has died.
pub fn expiry(config: &Config) -> entrepot_domain::uploads::Expiry {
    let purging = &config.storage.maintenance.upload_purging;
    let age = purging.age.max(config.uploads.token_lifetime).max(config.uploads.replay_window);
    entrepot_domain::uploads::Expiry {
        sessions: age,
        orphans: age + Duration::from_secs(3600),
        dry_run: purging.dry_run,
    }
}
