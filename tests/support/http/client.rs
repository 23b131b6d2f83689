//! Where requests go.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Connection, Request, Response, tls};

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

    /// The answer to a `GET` of a whole URL, wherever it leads: what a redirected client asks for.
    pub fn fetch(url: &str) -> Response {
        Self::fetching(url, &[])
    }

    /// The same with headers.
    pub fn fetching(url: &str, headers: &[(&str, &str)]) -> Response {
        let Some(rest) = url.strip_prefix("http://") else { return tls::fetch(url, headers) };
        let (host, target) = rest.split_once('/').expect("a URL has a path");
        let mut addresses = host.to_socket_addrs().expect("a URL has a host and a port");
        let address = addresses.next().expect("a host has an address");
        let client = Self::of(address);
        let request = client.get(format!("/{target}")).header("Host", host);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
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
