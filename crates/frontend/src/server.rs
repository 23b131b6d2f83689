//! Listening, and everything below HTTP: sockets, TLS, protocol versions, limits, and a graceful end.

mod accept;
mod alarm;
mod certificates;
pub(crate) mod connection;
mod expect;
mod frames;
mod framing;
mod listen;
pub(crate) mod outbound;
mod tls;
mod transport;

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request};
use actix_server::{GracefulShutdownSignal, ServerBuilder, ServerHandle};
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, ServiceRequest};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, rt};
use entrepot_auth::Gate;
use entrepot_domain::Registry;

use crate::config::{BuildError, Config, Listener};
use crate::context::Shared;
use crate::middleware::observe::Observer;
use crate::{respond, router};
use accept::Accept;
use connection::{Conn, Connection};
use listen::Bound;

/// A server that listens already and serves from the moment it is run.
pub struct Server {
    server: actix_server::Server,
    addresses: Vec<Address>,
    handle: ServerHandle,
    sockets: Vec<listen::SocketFile>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On TCP; `secure` with TLS.
    Tcp {
        /// The address, with the port that was really taken.
        address: SocketAddr,
        /// Whether it speaks TLS.
        secure: bool,
    },
    /// On a unix socket.
    Unix(PathBuf),
}

/// Stops a running server, from anywhere. Clones stop the same server.
#[derive(Clone, Debug)]
pub struct Handle(ServerHandle);

impl Handle {
    /// Stops accepting at once, lets requests in flight finish for as long as `Timeouts::drain` says,
    /// closes idle connections, and returns when everything is over.
    pub async fn stop(&self) {
        self.0.stop(true).await;
    }

    /// Stops without waiting for anybody.
    pub async fn kill(&self) {
        self.0.stop(false).await;
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Server {
    /// Checks the settings, reads the certificates and binds every listener. Clients can connect from
    /// here on, and wait until the server is run.
    pub fn build(
        config: Config,
        registry: Registry,
        gate: Gate,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, BuildError> {
        check(&config)?;
        let bound = config.listeners.iter().map(listen::bind).collect::<Result<Vec<_>, _>>()?;
        let fixed_headers = fixed_headers(&config)?;
        let listeners = config.listeners.clone();
        let shared = Arc::new(Shared { registry, gate, observer, config, fixed_headers });

        let mut builder = builder(&shared.config);
        let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
        for (listener, bound) in listeners.iter().zip(bound) {
            let accept = accept(&shared.config, listener, builder.graceful_shutdown_signal())?;
            addresses.push(bound.address(listener.tls.is_some()));
            sockets.extend(bound.socket_file());
            builder = listen_on(builder, bound, Arc::new(accept), &shared)?;
        }
        let server = builder.run();
        let handle = server.handle();
        Ok(Self { server, addresses, handle, sockets })
    }

    /// Where it listens, in the order of the settings.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What stops it.
    pub fn handle(&self) -> Handle {
        Handle(self.handle.clone())
    }

    /// Serves until it is stopped. Needs a tokio runtime with time and I/O; requests are served on
    /// worker threads of its own. Signals are the caller's business.
    pub async fn run(self) -> std::io::Result<()> {
        let outcome = self.server.await;
        drop(self.sockets);
        outcome
    }
}

fn check(config: &Config) -> Result<(), BuildError> {
    if config.listeners.is_empty() {
        return Err(BuildError::invalid("listeners", "there is none"));
    }
    if !config.prefix.is_empty() && !config.prefix.starts_with('/') {
        return Err(BuildError::invalid("prefix", "it begins with a slash"));
    }
    if !config.workers.is_none_or(|count| (1..=512).contains(&count)) {
        return Err(BuildError::invalid("workers", "there are 1 to 512"));
    }
    Ok(())
}

fn fixed_headers(config: &Config) -> Result<Vec<(HeaderName, Vec<HeaderValue>)>, BuildError> {
    let mut configured: Vec<(HeaderName, Vec<HeaderValue>)> = Vec::new();
    for (name, value) in &config.headers {
        let invalid = |what| BuildError::invalid("headers", format_args!("{name:?}: not a header {what}"));
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| invalid("name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| invalid("value"))?;
        match configured.iter_mut().find(|(name, _)| *name == parsed) {
            Some((_, values)) => values.push(value),
            None => configured.push((parsed, vec![value])),
        }
    }
    // Whoever configures one of ours means to replace it.
    let ours = respond::always().into_iter().map(|(name, value)| (name, vec![value]));
    let kept: Vec<_> = ours.filter(|(name, _)| configured.iter().all(|(theirs, _)| theirs != name)).collect();
    Ok(kept.into_iter().chain(configured).collect())
}

/// Threads for calls that wait, over all workers: names looked up, URLs signed. A store on disk has its own.
/// Idle ones are woken in turn, so that none ever ends while there is work, and each costs memory.
const BLOCKING_THREADS: usize = 64;

/// How many workers there will be.
fn workers(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    config.workers.unwrap_or_else(cores)
}

fn builder(config: &Config) -> ServerBuilder {
    let builder = ServerBuilder::new()
        .disable_signals()
        .shutdown_timeout(config.timeouts.drain.as_secs())
        .max_concurrent_connections(config.limits.connections_per_worker)
        .worker_max_blocking_threads(BLOCKING_THREADS.div_ceil(workers(config)).max(4));
    match config.workers {
        Some(count) => builder.workers(count),
        None => builder,
    }
}

fn accept(
    config: &Config,
    listener: &Listener,
    shutdown: GracefulShutdownSignal,
) -> Result<Accept, BuildError> {
    let tls = listener.tls.as_ref().map(|tls| tls::acceptor(tls, config.http2)).transpose()?;
    Ok(Accept { tls, h2c: config.h2c, timeouts: config.timeouts.clone(), shutdown })
}

fn listen_on(
    builder: ServerBuilder,
    bound: Bound,
    accept: Arc<Accept>,
    shared: &Arc<Shared>,
) -> Result<ServerBuilder, BuildError> {
    let shared = shared.clone();
    let place = bound.to_string();
    let listening = match bound {
        Bound::Tcp(listener, address) => builder.listen(place.clone(), listener, move || {
            let accepting = accept.clone();
            fn_service(move |io: rt::net::TcpStream| {
                let accept = accepting.clone();
                async move { accept.tcp(io).await }
            })
            .and_then(http(&shared, &accept, Some(address)))
        }),
        Bound::Unix(listener, _) => builder.listen_uds(place.clone(), listener, move || {
            let accepting = accept.clone();
            fn_service(move |io: rt::net::UnixStream| {
                let accept = accepting.clone();
                async move { accept.unix(io).await }
            })
            .and_then(http(&shared, &accept, None))
        }),
    };
    listening.map_err(|source| BuildError::Listen { place, source })
}

/// Bytes gathered before they are written to the socket.
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// Flow-control windows of HTTP/2: 1 Gbit/s at 50 ms needs 6 MiB under way.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// How long a connection may take to close, and how long a client may go on sending a body nobody reads
/// before it has to have seen the answer.
const DISCONNECT: std::time::Duration = std::time::Duration::from_secs(5);

/// HTTP on one connection, whichever version and transport.
fn http(
    shared: &Arc<Shared>,
    accept: &Accept,
    local: Option<SocketAddr>,
) -> impl ServiceFactory<
    (Conn, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<> {
    let (serving, expecting) = (shared.clone(), shared.clone());
    let app = App::new()
        .default_service(fn_service(move |request: ServiceRequest| router::serve(serving.clone(), request)));
    let shutdown = accept.shutdown.clone();
    let builder = HttpService::build()
        .keep_alive(accept.timeouts.idle)
        .client_request_timeout(accept.timeouts.header)
        .client_disconnect_timeout(DISCONNECT)
        .h1_write_buffer_size(WRITE_BUFFER_BYTES)
        .h2_initial_window_size(STREAM_WINDOW_BYTES)
        .h2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .graceful_shutdown_signal(move || {
            let signal = shutdown.clone();
            async move { signal.notified().await }
        })
        .expect(move |request: Request| expect::check(expecting.clone(), request))
        .on_connect_ext(|conn: &Conn, extensions| {
            extensions.insert::<Connection>(conn.connection());
        });
    let builder = match local {
        Some(address) => builder.local_addr(address),
        None => builder,
    };
    let app = actix_service::IntoServiceFactory::into_factory(app)
        .map_err(|error: actix_web::Error| error.error_response());
    builder.finish(map_config(app, |()| AppConfig::default()))
}
