//! The front end's settings, as they are used: parsed, defaulted, and free of files except certificates.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Everything the front end can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. At least one.
    pub listeners: Vec<Listener>,
    /// Path below which the API lies: empty, or beginning with a slash.
    pub prefix: String,
    /// Scheme and authority of absolute addresses, `https://registry.example.com`. When set, every
    /// `Location` is absolute.
    pub host: Option<String>,
    /// Whether addresses are relative while `host` is unset. Default true; when false, they are built
    /// from the request's `Host`, or from forwarded headers of a trusted proxy.
    pub relative_urls: bool,
    /// Headers of every answer. Names and values are checked when the server is built.
    pub headers: Vec<(String, String)>,
    /// Proxies whose forwarded headers are believed. Default none.
    pub trusted_proxies: Vec<Network>,
    /// The headers they write. Default `X-Forwarded-*`.
    pub forwarded_headers: ForwardedHeaders,
    /// Cross-origin requests from browsers. Default: none are allowed.
    pub cors: Option<Cors>,
    /// Whether HTTP/2 is offered over TLS. Default true.
    pub http2: bool,
    /// Whether HTTP/2 is understood without TLS (prior knowledge). Default false.
    pub h2c: bool,
    /// Worker threads; `None` means one for each processor.
    pub workers: Option<usize>,
    /// Bounds against too much of anything.
    pub limits: Limits,
    /// Bounds against too slow.
    pub timeouts: Timeouts,
    /// Sizes of pages.
    pub lists: Lists,
    /// Answer a Docker manifest list asked for by tag with its linux/amd64 image where the client's
    /// `Accept` names no list: what distribution does for clients from before there were lists.
    /// Default false.
    pub manifest_list_downgrade: bool,
    /// Advertised smallest chunk of an upload in bytes (`OCI-Chunk-Min-Length`); `None` means any.
    pub min_chunk_bytes: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: vec![Listener::plain(SocketAddr::from(([127, 0, 0, 1], 5000)))],
            prefix: String::new(),
            host: None,
            relative_urls: true,
            headers: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded_headers: ForwardedHeaders::XForwarded,
            cors: None,
            http2: true,
            h2c: false,
            workers: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            lists: Lists::default(),
            manifest_list_downgrade: false,
            min_chunk_bytes: None,
        }
    }
}

/// The headers in which proxies tell of a client. Only one kind is read: a proxy passes on what a client
/// wrote into the headers it does not write itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `-Proto` and `-Host`: what nearly all proxies write.
    XForwarded,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// One place to listen.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where.
    pub endpoint: Endpoint,
    /// With TLS, or in the clear.
    pub tls: Option<Tls>,
}

impl Listener {
    /// In the clear on a TCP address. Port 0 takes a free one.
    pub fn plain(address: SocketAddr) -> Self {
        Self { endpoint: Endpoint::Tcp(address), tls: None }
    }
}

/// What a listener binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address; `[::]` also takes IPv4.
    Tcp(SocketAddr),
    /// A unix socket. A socket file left behind by a dead process is replaced, anything else is not.
    Unix(PathBuf),
}

/// How connections are encrypted.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificate chain in PEM, the server's own first. Read again when the file changes.
    pub certificate: PathBuf,
    /// Private key in PEM. Read again when the file changes.
    pub key: PathBuf,
    /// Oldest accepted version. Default 1.2.
    pub minimum: TlsVersion,
    /// Accepted cipher suites, in order of preference; empty means all that are good.
    pub cipher_suites: Vec<CipherSuite>,
    /// Authorities of client certificates in PEM.
    pub client_authorities: Vec<PathBuf>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
}

impl Tls {
    /// A server certificate with its key, everything else as it is by default.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            minimum: TlsVersion::Tls12,
            cipher_suites: Vec::new(),
            client_authorities: Vec::new(),
            client_auth: ClientAuth::None,
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2
    #[default]
    Tls12,
    /// TLS 1.3
    Tls13,
}

/// A cipher suite this build offers, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CipherSuite(pub(crate) rustls::SupportedCipherSuite);

impl CipherSuite {
    /// The registered names of all suites, the preferred first.
    pub fn names() -> impl Iterator<Item = String> {
        rustls::crypto::ring::ALL_CIPHER_SUITES.iter().map(|suite| registered_name(*suite))
    }
}

/// rustls writes `TLS13_AES_...` where the registry of names has `TLS_AES_...`.
fn registered_name(suite: rustls::SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}

impl FromStr for CipherSuite {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let suites = rustls::crypto::ring::ALL_CIPHER_SUITES;
        let found = suites.iter().find(|suite| registered_name(**suite) == name);
        found.copied().map(CipherSuite).ok_or_else(|| {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            format!("{name} is not supported; supported are {known}")
        })
    }
}

/// What is asked of a client besides a request; the words of distribution's `http.tls.clientauth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None,
    /// A certificate is asked for; none at all, or any, is fine. It proves nothing.
    Request,
    /// Some certificate is needed, whoever signed it. It proves possession of its key only.
    RequireAny,
    /// If a certificate is given, a configured authority must have signed it.
    VerifyIfGiven,
    /// A certificate that a configured authority signed is needed.
    RequireAndVerify,
}

/// Who may call from other origins.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// Origins, `https://ui.example.com`; `*` allows all of them, without credentials.
    pub allow_origins: Vec<String>,
}

/// Bounds against too much of anything.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections served by one worker at once; more wait in the socket's queue. Default 10,000.
    pub connections_per_worker: usize,
    /// Requests of one HTTP/2 connection served at once; more are answered 503. Default 250.
    pub requests_per_connection: usize,
    /// Longest path with query in bytes. Default 32 KiB; past 64 KiB the request is malformed.
    pub uri_bytes: usize,
    /// Ranges of one blob given in one answer; who asks for more gets the whole blob. Default 1024: podman
    /// asks for that many, and takes parts for all of them or the whole.
    pub ranges: usize,
    /// Bytes of all ranges of one such answer together; who asks for more gets the whole blob, from the
    /// store itself if it serves blobs. Default 64 MiB.
    pub ranges_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_worker: 10_000,
            requests_per_connection: 250,
            uri_bytes: 32 * 1024,
            ranges: 1024,
            ranges_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Bounds against too slow. No bound on the time a body takes as a whole: layers are large.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For a TLS handshake, and for the headers of each request once its first byte is there. Default 10 s.
    pub header: Duration,
    /// How long a connection may stay without a request, and an answer without the client reading any
    /// of it. Default 120 s.
    pub idle: Duration,
    /// Over this time a request body has to arrive with at least `min_body_rate`. Default 30 s.
    pub body_window: Duration,
    /// Bytes per second; slower bodies are cut off with 408. Zero allows any. Default 4 KiB/s. Time
    /// in which the registry itself is busy does not count.
    pub min_body_rate: u64,
    /// How long requests in flight may go on after the server was told to stop. Default 300 s.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            body_window: Duration::from_secs(30),
            min_body_rate: 4 * 1024,
            drain: Duration::from_secs(300),
        }
    }
}

/// Sizes of pages.
#[derive(Clone, Debug)]
pub struct Lists {
    /// Most tags in one answer, and the page without `n`. Default 1000.
    pub max_tags: usize,
    /// Page of the catalog without `n`. Default 100.
    pub catalog_page: usize,
    /// Largest `n` of the catalog. Default 1000.
    pub max_catalog: usize,
    /// Most referrers in one answer; the size of a manifest bounds it as well. Default 1000.
    pub max_referrers: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Self { max_tags: 1000, catalog_page: 100, max_catalog: 1000, max_referrers: 1000 }
    }
}

/// A range of addresses, `10.0.0.0/8` or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` lies within. An IPv4 address that came through a dual-stack socket is
    /// compared as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                shares_prefix(u32::from(ours).into(), u32::from(theirs).into(), 32, self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                shares_prefix(ours.into(), theirs.into(), 128, self.bits)
            }
            _ => false,
        }
    }
}

fn shares_prefix(ours: u128, theirs: u128, width: u8, bits: u8) -> bool {
    // A shift by the full width is undefined; a prefix of zero bits is shared by all.
    bits == 0 || (ours ^ theirs) >> (width - bits) == 0
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("{text:?} is not an address or network"))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= width)
                .ok_or_else(|| format!("{text:?}: the prefix length is a number from 0 to {width}"))?,
        };
        Ok(Self { address, bits })
    }
}

/// Why a server cannot be built from its settings. Names the setting.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting that cannot be used.
    #[error("{setting}: {reason}")]
    Invalid {
        /// Which one, as the field is called.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A place that cannot be listened on.
    #[error("cannot listen on {place}: {source}")]
    Listen {
        /// Address or path.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate, key or authority that cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl BuildError {
    pub(crate) fn invalid(setting: &'static str, reason: impl fmt::Display) -> Self {
        Self::Invalid { setting, reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_the_addresses_of_its_prefix() {
        assert!(network("10.0.0.0/8").contains("10.255.1.2".parse().unwrap()));
        assert!(!network("10.0.0.0/8").contains("11.0.0.1".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("1.2.3.4".parse().unwrap()));
        assert!(network("::1").contains("::1".parse().unwrap()));
        assert!(!network("fd00::/8").contains("10.0.0.1".parse().unwrap()));
        assert!(network("10.1.2.3").contains("::ffff:10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "example.com"] {
            assert!(text.parse::<Network>().is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn cipher_suites_go_by_their_registered_names() {
        assert!("TLS_AES_128_GCM_SHA256".parse::<CipherSuite>().is_ok());
        assert!("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384".parse::<CipherSuite>().is_ok());
        let refused = "TLS_RSA_WITH_RC4_128_SHA".parse::<CipherSuite>().unwrap_err();
        assert!(refused.contains("supported are"), "{refused}");
    }
}
