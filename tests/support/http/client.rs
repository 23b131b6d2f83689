//! Where requests go.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Connection, Request};

/// Sends each request on a connection of its own, to the next of its addresses in turn: several replicas
/// behind the plainest of balancers. Clones share the turn.
#[derive(Clone, Debug)]
pub struct Client {
    addresses: Vec<SocketAddr>,
    turn: Arc<AtomicUsize>,
}

impl Client {
    /// A client of one server.
    pub fn of(address: SocketAddr) -> Self {
        Self::of_all(vec![address])
    }

    /// A client of several servers, asked in turn.
    pub fn of_all(addresses: Vec<SocketAddr>) -> Self {
        assert!(!addresses.is_empty(), "a client needs somebody to ask");
        Self { addresses, turn: Arc::default() }
    }

    /// The server whose turn it is.
    pub fn next_address(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.addresses[turn % self.addresses.len()]
    }

    /// A connection to the server whose turn it is.
    pub fn connect(&self) -> Connection {
        Connection::open(self.next_address())
    }

    /// A request with any method; `target` is sent as it is.
    pub fn request(&self, method: &str, target: impl fmt::Display) -> Request<'_> {
        Request::new(self, method, target.to_string())
    }

    /// `GET`
    pub fn get(&self, target: impl fmt::Display) -> Request<'_> {
        self.request("GET", target)
    }

    /// `HEAD`
    pub fn head(&self, target: impl fmt::Display) -> Request<'_> {
        self.request("HEAD", target)
    }

    /// `POST`
    pub fn post(&self, target: impl fmt::Display) -> Request<'_> {
        self.request("POST", target)
    }

    /// `PATCH`
    pub fn patch(&self, target: impl fmt::Display) -> Request<'_> {
        self.request("PATCH", target)
    }

    /// `PUT`
    pub fn put(&self, target: impl fmt::Display) -> Request<'_> {
        self.request("PUT", target)
    }

    /// `DELETE`
    pub fn delete(&self, target: impl fmt::Display) -> Request<'_> {
        self.request("DELETE", target)
    }
}
