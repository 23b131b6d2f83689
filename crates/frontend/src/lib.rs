//! The HTTP front end: actix-web and nothing else.
//!
//! A request goes down through [`server`] (connections, TLS, limits), `middleware` (request id, access
//! log, metrics), `router` (one table of endpoints, read from `entrepot-api`), `access` (a grant or a
//! refusal) and `extract` (text becomes types) to a handler, which makes one domain call; the answer goes
//! up through `respond`. Failures of every layer cross into HTTP in `error`, and nowhere else.
//!
//! Absent here: the store, the cache, configuration files, and status numbers, which are `entrepot-api`'s.

mod access;
mod config;
mod context;
pub mod debug;
mod error;
mod extract;
mod handlers;
mod middleware;
mod respond;
mod router;
mod server;

pub use config::{
    BuildError, CipherSuite, ClientAuth, Config, Cors, Endpoint, ForwardedHeaders, Limits, Listener, Lists,
    Network, Timeouts, Tls, TlsVersion,
};
pub use middleware::observe::{NoObserver, Observer, RequestSummary};
pub use server::{Address, Handle, Server};
