//! Running the registry: build, tell where it is, serve, drain.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use entrepot_auth::Gate;
use entrepot_domain::Registry;
use entrepot_domain::ports::{Entropy as _, System};
use entrepot_domain::uploads::Expiry;
use entrepot_frontend as frontend;
use entrepot_frontend::debug::DebugServer;
use entrepot_storage::SharedDriver;
use entrepot_telemetry::{Metrics, logs};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::assemble::{self, AssemblyError};
use crate::config::{self, Config, Leniency, Loaded, Process};
use crate::health::Health;
use crate::observe::{Pages, Requests};
use crate::stores;
use crate::trial;

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log could not be set up.
    #[error(transparent)]
    Log(#[from] logs::AlreadySetUp),
    /// The parts could not be put together.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// The store is not fit to be served, or could not be reached.
    #[error(transparent)]
    Store(#[from] trial::Refusal),
    /// The server could not be started.
    #[error(transparent)]
    Build(#[from] frontend::BuildError),
    /// The server failed while it ran.
    #[error("the server failed: {0}")]
    Run(#[from] std::io::Error),
    /// The system lets the process not choose what a signal does.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] std::io::Error),
}

/// Serves until the process is told to stop, then drains.
pub fn run(loaded: Loaded) -> Result<(), ServeError> {
    let _log = logs::init(&assemble::log(&loaded.config.log))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    let system = actix_rt::System::new();
    let ended = system.block_on(serve(loaded))?;
    if ended == Ended::BeforeItServed {
        // A thread that asks for a name or opens a directory may hang for as long as it likes, and would be
        // waited for. Nothing was begun that it could finish.
        std::mem::forget(system);
    }
    Ok(())
}

/// How serving ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// While it waited for its store.
    BeforeItServed,
    /// When the requests in progress were over.
    InOrder,
}

/// Takes as many descriptors as the system allows: each connection needs one, and the limit shells start
/// with, 1,024, is for programs that use `select`.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(errno) = setrlimit(Resource::Nofile, raised)
    {
        tracing::debug!(%errno, current = ?limit.current, "the limit on open files stays as it is");
    }
}

async fn serve(loaded: Loaded) -> Result<Ended, ServeError> {
    let config = &loaded.config;
    // Before anything that takes time. One that comes too early is obeyed late: it would end the process, or
    // be lost where the process is the first of its container.
    let hangup = received(SignalKind::hangup())?;
    let mut stop = Stop::listen()?;
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let registry = tokio::select! {
        opened = open(config, &metrics) => opened?,
        () = stop.asked() => {
            tracing::info!("stopped while it waited for the store");
            return Ok(Ended::BeforeItServed);
        }
    };
    let health = Health::default();
    health.watch(&config.health, registry.store());

    let observer = Arc::new(Requests(Arc::clone(&metrics)));
    let settings = assemble::front_end(config)?;
    let server = frontend::Server::build(settings, registry.clone(), Gate::open(), observer)?;
    let debug = debug_server(config, &metrics, &health)?;
    announce(&loaded, server.addresses(), debug.as_ref());
    let untried = config.storage.maintenance.readonly.enabled;
    actix_rt::spawn(reload(hangup, registry.clone(), loaded.path.clone(), untried));
    let purging = &config.storage.maintenance.upload_purging;
    if purging.enabled {
        actix_rt::spawn(purge(registry, assemble::expiry(config), purging.interval));
    }

    let stopping = server.handle();
    actix_rt::spawn(async move {
        stop.asked().await;
        tracing::info!("stopping: no new connections, requests in progress may finish");
        health.drain();
        stopping.stop().await;
    });
    server.run().await?;
    if let Some(debug) = debug {
        debug.stop().await;
    }
    tracing::info!("stopped");
    Ok(Ended::InOrder)
}

/// The registry over its store, which was tried.
async fn open(config: &Config, metrics: &Arc<Metrics>) -> Result<Registry, ServeError> {
    let store = assemble::store(&config.storage, metrics).await?;
    let store = trial::admit(&config.storage, store).await?;
    Ok(assemble::registry(config, store).await?)
}

fn debug_server(
    config: &Config,
    metrics: &Arc<Metrics>,
    health: &Health,
) -> Result<Option<DebugServer>, ServeError> {
    let Some(debug) = &config.http.debug else { return Ok(None) };
    let addresses = assemble::resolve("http.debug.addr", &debug.addr)?;
    let listener = TcpListener::bind(addresses.as_slice())
        .map_err(|source| frontend::BuildError::Listen { place: debug.addr.to_string(), source })?;
    let path = debug.prometheus.enabled.then(|| debug.prometheus.path.clone());
    let pages = Arc::new(Pages { metrics: Arc::clone(metrics), health: health.clone() });
    Ok(Some(DebugServer::start(listener, path, pages)?))
}

fn received(kind: SignalKind) -> Result<Signal, ServeError> {
    signal(kind).map_err(ServeError::Signals)
}

/// The signals that ask a process to end: SIGTERM, and SIGINT from a terminal.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> Result<Self, ServeError> {
        Ok(Self {
            terminate: received(SignalKind::terminate())?,
            interrupt: received(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reads the configuration again on SIGHUP and applies what can change while running. A configuration
/// that must not be used changes nothing. A store that was `untried`, because nothing was to be written,
/// is tried before anything is.
async fn reload(mut hangup: Signal, registry: Registry, path: Option<PathBuf>, mut untried: bool) {
    while hangup.recv().await.is_some() {
        match config::load(path.as_deref(), Leniency::Lenient, &Process) {
            Ok(loaded) => {
                let read_only = assemble::read_only(&loaded.config.storage);
                if untried && !read_only.everything {
                    if !is_fit_as_it_is(&loaded.config.storage, registry.store()).await {
                        continue;
                    }
                    untried = false;
                }
                tracing::info!(
                    everything = read_only.everything,
                    repositories = ?read_only.repositories,
                    "configuration read again: applied storage.maintenance.readonly; the rest needs a restart"
                );
                registry.set_read_only(read_only);
            }
            Err(error) => tracing::error!(%error, "the configuration was not read again"),
        }
    }
}

/// Whether the store may be written to the way it is used now; says why not.
async fn is_fit_as_it_is(config: &config::Storage, store: &SharedDriver) -> bool {
    match trial::admit(config, Arc::clone(store)).await {
        Ok(admitted) if Arc::ptr_eq(&admitted, store) => true,
        Ok(_) => {
            tracing::error!("the registry stays read-only: to keep the conditions of writes, start it anew");
            false
        }
        Err(error) => {
            tracing::error!(%error, "the registry stays read-only");
            false
        }
    }
}

/// Ends old uploads, for as long as the process lives.
async fn purge(registry: Registry, expiry: Expiry, every: Duration) {
    // Not at once: replicas that restart together should not all come together.
    tokio::time::sleep(soon().min(every)).await;
    loop {
        match registry.purge(&expiry, every).await {
            Ok(None) => tracing::debug!(
                "old uploads were purged a while ago, or are not while everything is read-only"
            ),
            Ok(Some(done)) if done == Default::default() => tracing::debug!("no old uploads"),
            Ok(Some(done)) => tracing::info!(
                sessions = done.sessions,
                objects = done.objects,
                uploads = done.uploads,
                failures = done.failures,
                dry_run = expiry.dry_run,
                "old uploads purged"
            ),
            Err(error) => tracing::warn!(%error, "old uploads could not be purged; trying again later"),
        }
        tokio::time::sleep(every).await;
    }
}

/// One to ten minutes, by chance: in containers all replicas have the same process number.
fn soon() -> Duration {
    let mut random = [0; 8];
    System.fill(&mut random);
    Duration::from_secs(60 + u64::from_ne_bytes(random) % 540)
}

/// Says where the registry is and what to try.
fn announce(loaded: &Loaded, addresses: &[frontend::Address], debug: Option<&DebugServer>) {
    let config = &loaded.config;
    let source = match &loaded.path {
        Some(path) => path.display().to_string(),
        None => "none (defaults)".to_owned(),
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), configuration = source, "entrepot");
    tracing::info!("data in {}", stores::place(&config.storage.backend));
    for address in addresses {
        match address {
            frontend::Address::Tcp { address, secure: false } => {
                tracing::info!("listening on http://{address}")
            }
            frontend::Address::Tcp { address, secure: true } => {
                tracing::info!("listening on https://{address}")
            }
            frontend::Address::Unix(path) => tracing::info!("listening on unix socket {}", path.display()),
        }
    }
    for address in debug.iter().flat_map(|debug| &debug.addresses) {
        tracing::info!("metrics and health on http://{address}");
    }
    if matches!(config.auth, config::Auth::Unwritten)
        && let Some(frontend::Address::Tcp { address, .. }) = addresses.first()
    {
        let authority = format!("localhost:{}", address.port());
        tracing::info!("try:  docker pull alpine && docker tag alpine {authority}/alpine");
        tracing::info!("      docker push {authority}/alpine");
        tracing::info!("      curl http://{authority}/v2/_catalog");
    }
}
