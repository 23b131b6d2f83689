//! The server: where it listens, what it believes, what it adds to its answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::listen::{Endpoint, Listen};
use super::network::Network;
use super::secret::Secret;
use super::settle::Settling;
use super::tls::{self, Tls};
use super::{duration, size};

/// `http` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    addr: String,
    net: Net,
    host: Option<String>,
    prefix: Option<String>,
    #[serde(default)]
    secret: Vec<Secret<String>>,
    relativeurls: Option<bool>,
    #[serde(deserialize_with = "duration::deserialize")]
    draintimeout: Duration,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    forwarded_headers: ForwardedHeaders,
    workers: usize,
    max_connections: usize,
    timeouts: Timeouts,
    cors: WrittenCors,
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
    http2: Http2,
    h2c: H2c,
    tls: Option<tls::Written>,
    debug: Option<WrittenDebug>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Net {
    Tcp,
    Unix,
}

/// The headers in which proxies tell of a client. Those they do not write are the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    XForwarded,
    /// `Forwarded` of RFC 7239.
    Forwarded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCors {
    #[serde(default)]
    allow_origins: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDebug {
    addr: String,
    prometheus: Prometheus,
}

/// The server.
#[derive(Debug, Clone, Serialize)]
pub struct Http {
    /// Where it listens. Default: 127.0.0.1:5000.
    #[serde(flatten)]
    pub listen: Listen,
    /// The origin clients know the registry by (`https://host:port`, no slash at the end). When it is
    /// set and `relative_urls` is not, Location headers start with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path before `/v2/`; starts and ends with a slash. Default: `/`.
    pub prefix: String,
    /// Signs what clients carry through an upload: the first signs, all verify. Empty means that the
    /// replicas share a random one through the store.
    #[serde(rename = "secret", skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret<String>>,
    /// Whether Location headers are relative. Default: true unless `host` is set.
    #[serde(rename = "relativeurls")]
    pub relative_urls: bool,
    /// How long running requests may take to end after SIGTERM; zero means not at all. Default: 60 s.
    #[serde(rename = "draintimeout", serialize_with = "duration::serialize")]
    pub drain_timeout: Duration,
    /// Whose forwarded headers are believed. Default: nobody's.
    pub trusted_proxies: Vec<Network>,
    /// Which of them. Default: `X-Forwarded-*`.
    pub forwarded_headers: ForwardedHeaders,
    /// Threads that serve requests; 0 means one per processor. Default: 0.
    pub workers: usize,
    /// The most open client connections. Default: 25000.
    pub max_connections: usize,
    /// How patient the server is.
    pub timeouts: Timeouts,
    /// Web pages of other origins.
    pub cors: Cors,
    /// Headers added to every answer: valid names, values without line breaks, none that the
    /// registry sets itself.
    pub headers: BTreeMap<String, Vec<String>>,
    /// HTTP/2 over TLS.
    pub http2: Http2,
    /// HTTP/2 without TLS.
    pub h2c: H2c,
    /// HTTPS, if written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The debug server, if written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<Debug>,
}

/// How patient the server is. There is never a limit on the whole of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For the headers of a request. Default: 10 s.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub header: Duration,
    /// Between two requests of a connection. Default: 120 s.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub idle: Duration,
    /// The slowest body still waited for, in bytes per second; 0 waits for ever. Default: 4096.
    #[serde(serialize_with = "size::serialize", deserialize_with = "size::deserialize")]
    pub min_body_rate: u64,
}

/// Web pages of other origins that may call the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cors {
    /// Exact origins, or the single entry `*`. Default: none.
    pub allow_origins: Vec<String>,
}

/// HTTP/2 over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http2 {
    /// Offers HTTP/1.1 only. Default: false.
    pub disabled: bool,
}

/// HTTP/2 without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct H2c {
    /// Accepts it. Default: false.
    pub enabled: bool,
}

/// A second server for health and metrics.
#[derive(Debug, Clone, Serialize)]
pub struct Debug {
    /// Where it listens. Default: 127.0.0.1:5001.
    pub addr: Endpoint,
    /// Metrics.
    pub prometheus: Prometheus,
}

/// Metrics for Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// Serves them. Default: false.
    pub enabled: bool,
    /// Their path; starts with a slash. Default: `/metrics`.
    pub path: String,
}

impl Http {
    /// `prefix` without its slash at the end: empty, or beginning with a slash.
    pub fn path_prefix(&self) -> &str {
        self.prefix.strip_suffix('/').unwrap_or(&self.prefix)
    }

    /// What absolute Location headers start with; `None` when they are relative or follow the request.
    pub fn absolute_host(&self) -> Option<&str> {
        self.host.as_deref().filter(|_| !self.relative_urls)
    }
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Http {
        let listen = listen(self.net, &self.addr, settling);
        let host = self.host.and_then(|host| settling.accept("http.host", origin(&host)));
        let relative_urls = self.relativeurls.unwrap_or(host.is_none());
        check_headers(&self.headers, settling);
        check_secrets(&self.secret, settling);
        if self.h2c.enabled && self.tls.is_some() {
            settling
                .warn("http.h2c.enabled", "with `http.tls` every connection is HTTPS, so this does nothing");
        }
        Http {
            listen,
            relative_urls,
            host,
            prefix: self
                .prefix
                .map_or_else(|| "/".to_owned(), |prefix| path("http.prefix", prefix, settling)),
            secrets: self.secret,
            drain_timeout: self.draintimeout,
            trusted_proxies: settling.accept_all(
                "http.trusted_proxies",
                &self.trusted_proxies,
                Network::parse,
            ),
            forwarded_headers: self.forwarded_headers,
            workers: self.workers,
            max_connections: self.max_connections,
            timeouts: self.timeouts,
            cors: Cors {
                allow_origins: settling.accept_all(
                    "http.cors.allow_origins",
                    &self.cors.allow_origins,
                    allowed_origin,
                ),
            },
            headers: self.headers,
            http2: self.http2,
            h2c: self.h2c,
            tls: self.tls.and_then(|tls| tls.settle(settling)),
            debug: self.debug.map(|debug| debug.settle(settling)),
        }
    }
}

fn listen(net: Net, addr: &str, settling: &mut Settling<'_>) -> Listen {
    match net {
        Net::Unix => Listen::Unix(addr.into()),
        Net::Tcp => {
            let endpoint = settling.accept("http.addr", Endpoint::parse(addr));
            Listen::Tcp(endpoint.unwrap_or_else(|| Endpoint::on_loopback(0)))
        }
    }
}

impl WrittenDebug {
    fn settle(self, settling: &mut Settling<'_>) -> Debug {
        let addr = match self.addr.parse() {
            Ok(port) => Ok(Endpoint::on_loopback(port)),
            Err(_) => Endpoint::parse(&self.addr),
        };
        let addr = settling.accept("http.debug.addr", addr).unwrap_or_else(|| Endpoint::on_loopback(0));
        if !self.prometheus.path.starts_with('/') {
            settling.refuse("http.debug.prometheus.path", "a path starts with a slash, such as /metrics");
        }
        Debug { addr, prometheus: self.prometheus }
    }
}

/// An absolute http or https address without path, query or user.
fn origin(text: &str) -> Result<String, String> {
    let after_scheme = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    match after_scheme.map(|rest| rest.strip_suffix('/').unwrap_or(rest)) {
        Some(rest) if !rest.is_empty() && rest.bytes().all(allowed) => {
            Ok(text.strip_suffix('/').unwrap_or(text).to_owned())
        }
        Some(_) => Err(format!(
            "`{text}` is not just scheme, host and port; write for example https://registry.example.com \
             (a path belongs into `http.prefix`)"
        )),
        None => Err(format!("`{text}` has no scheme; write for example https://registry.example.com")),
    }
}

fn allowed_origin(text: &str) -> Result<String, String> {
    if text == "*" { Ok(text.to_owned()) } else { origin(text) }
}

/// A path with a slash at both ends.
fn path(key: &str, mut text: String, settling: &mut Settling<'_>) -> String {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if !text.starts_with('/') || text.contains("//") || !text.bytes().all(allowed) {
        settling.refuse(key, format!("`{text}` is no path of this form: /my/nested/registry/"));
    }
    if !text.ends_with('/') {
        text.push('/');
    }
    text
}

/// Headers that belong to the protocol: a fixed value would break clients.
const OWN_HEADERS: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "docker-content-digest",
    "etag",
    "location",
    "range",
    "transfer-encoding",
    "upgrade",
];

fn check_headers(headers: &BTreeMap<String, Vec<String>>, settling: &mut Settling<'_>) {
    for (name, values) in headers {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let visible = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            settling.refuse("http.headers", format!("`{name}` is no name of a header"));
        }
        if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            settling.refuse("http.headers", format!("`{name}` is set by the registry itself; remove it"));
        }
        if !values.iter().all(|value| value.bytes().all(visible)) {
            settling
                .refuse("http.headers", format!("a value of `{name}` holds bytes that no header may hold"));
        }
    }
}

fn check_secrets(secrets: &[Secret<String>], settling: &mut Settling<'_>) {
    if secrets.iter().any(|secret| secret.expose().len() < 16) {
        settling.warn(
            "http.secret",
            "fewer than 16 bytes are easily guessed; `openssl rand -base64 32` makes a good one",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(
            origin("https://registry.example.com:5000/").as_deref(),
            Ok("https://registry.example.com:5000")
        );
        assert_eq!(origin("http://[::1]:5000").as_deref(), Ok("http://[::1]:5000"));
    }

    #[test]
    fn an_address_without_scheme_or_with_a_path_is_refused() {
        for (text, hint) in [
            ("registry.example.com", "no scheme"),
            ("https://a/b", "http.prefix"),
            ("https://", "not just"),
            ("https://u@a", "not just"),
        ] {
            assert!(origin(text).expect_err(text).contains(hint), "{text}");
        }
    }
}
