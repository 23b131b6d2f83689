//! Where a server listens.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A TCP address or a unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp(Endpoint),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Whether clients of other machines may reach it.
    ///
    /// A unix socket is guarded by its file permissions. A host name other than `localhost` counts as
    /// reachable, whatever it resolves to today.
    pub fn is_reachable_from_outside(&self) -> bool {
        match self {
            Listen::Tcp(endpoint) => !endpoint.is_loopback(),
            Listen::Unix(_) => false,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(endpoint) => endpoint.fmt(f),
            Listen::Unix(path) => path.display().fmt(f),
        }
    }
}

/// As `http.net` and `http.addr`, so that it can be flattened into `http`.
impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let net = match self {
            Listen::Tcp(_) => "tcp",
            Listen::Unix(_) => "unix",
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("net", net)?;
        map.serialize_entry("addr", &self.to_string())?;
        map.end()
    }
}

/// A TCP host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: Option<String>,
    port: u16,
}

impl Endpoint {
    /// The host name or address without brackets; `None` means every address of the machine, to be
    /// bound as `[::]` with IPv4 mapped in, or as `0.0.0.0` where there is no IPv6.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port; 0 lets the system choose one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match self.host() {
            None => false,
            Some("localhost") => true,
            Some(host) => IpAddr::from_str(host).is_ok_and(|address| address.to_canonical().is_loopback()),
        }
    }

    /// The addresses to bind, resolving a host name. Every address of the machine is `[::]`, which takes
    /// IPv4 along, or `0.0.0.0` where there is no IPv6. Blocks for as long as name resolution takes.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self.host() {
            Some(host) => (host, self.port).to_socket_addrs().map(Iterator::collect),
            None if TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() => {
                Ok(vec![(Ipv6Addr::UNSPECIFIED, self.port).into()])
            }
            None => Ok(vec![(Ipv4Addr::UNSPECIFIED, self.port).into()]),
        }
    }

    /// Reads `HOST:PORT`, `[IPV6]:PORT` or `:PORT`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no HOST:PORT; write for example 127.0.0.1:5000, [::1]:5000 or :5000");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bracketed {
            Some(inside) if inside.parse::<Ipv6Addr>().is_ok() => Some(inside),
            Some(_) => return Err(wrong()),
            None if host.is_empty() => None,
            None if is_host_name(host) => Some(host),
            None => return Err(wrong()),
        };
        Ok(Self { host: host.map(str::to_owned), port })
    }

    /// A port of the loopback address.
    pub(super) fn on_loopback(port: u16) -> Self {
        Self { host: Some("127.0.0.1".to_owned()), port }
    }
}

fn is_host_name(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            host => write!(f, "{}:{}", host.unwrap_or_default(), self.port),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for text in ["127.0.0.1:5000", "[::1]:5000", ":5000", "registry.example.com:443", "localhost:0"] {
            assert_eq!(Endpoint::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_examples() {
        for text in ["", "5000", "localhost", "a:b:5000", "host:99999", "[host]:1", "http://x:1", "::1:5000"]
        {
            let message = Endpoint::parse(text).expect_err(text);
            assert!(message.contains("[::1]:5000"), "{message}");
        }
    }

    #[test]
    fn endpoints_resolve_to_addresses_to_bind() {
        let resolve = |text| Endpoint::parse(text).expect("valid").resolve().expect("resolves");

        assert_eq!(resolve("[::1]:5000"), ["[::1]:5000".parse().expect("an address")]);
        assert!(
            resolve(":5000").iter().all(|address| address.ip().is_unspecified() && address.port() == 5000)
        );
        assert!(resolve("localhost:7").iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn only_loopback_and_sockets_are_out_of_reach() {
        let outside = |text| Listen::Tcp(Endpoint::parse(text).expect("valid")).is_reachable_from_outside();

        for text in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!outside(text), "{text}");
        }
        for text in [":1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "registry:1", "localhost.example.com:1"] {
            assert!(outside(text), "{text}");
        }
        assert!(!Listen::Unix("/run/entrepot.sock".into()).is_reachable_from_outside());
    }
}
