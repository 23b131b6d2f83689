//! Rows of `http`.

use std::time::Duration;

use super::{Fate, Key, Kind, Milestone, SECOND, duration};

const ZERO: Duration = Duration::ZERO;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The four modes, as distribution names them.
pub(crate) const CLIENT_AUTH: &[&str] = &[
    "request-client-cert",
    "require-any-client-cert",
    "verify-client-cert-if-given",
    "require-and-verify-client-cert",
];

pub(super) const KEYS: &[Key] = &[
    Key::new("http", Kind::Section, "The server: where it listens, what it answers."),
    Key::new("http.addr", Kind::Text, "HOST:PORT to listen on, or the path of the socket when `http.net` is unix. `:5000` listens on every address of the machine, IPv4 and IPv6.")
        .default("127.0.0.1:5000")
        .example("localhost:5001"),
    Key::new("http.net", Kind::OneOf(&["tcp", "unix"]), "The network of `http.addr`.")
        .default("tcp")
        .example("unix"),
    Key::new("http.host", Kind::Text, "The address under which clients reach the registry, such as https://registry.example.com. When it is set, Location headers are absolute and start with it.")
        .example("https://registry.example.com"),
    Key::new("http.prefix", Kind::Text, "The path under which the registry is served; it starts and ends with a slash.")
        .example("/my/nested/registry/"),
    Key::new("http.secret", Kind::Secrets, "Signs the state that clients carry through an upload. A list rotates: the first signs, all are accepted. Without it the first replica writes a random one into the store and all share it.")
        .example("asecretforlocaldevelopment"),
    Key::new("http.secret_file", Kind::SecretFile("http.secret"), "A file with the value of `http.secret`, one secret in each line.")
        .example("/run/secrets/http")
        .ours(),
    Key::new("http.relativeurls", Kind::Flag, "Makes Location headers relative, which works behind every proxy. The default is true unless `http.host` is set; distribution's default is false.")
        .example("false"),
    Key::new("http.draintimeout", duration(ZERO, DAY), "How long running requests may take to end once the process was asked to stop. distribution's default is not to wait.")
        .default("60s")
        .example("30s"),
    Key::new("http.trusted_proxies", Kind::Texts, "Addresses or networks of proxies whose forwarded headers are believed.")
        .example("[10.0.0.0/8, 127.0.0.1]")
        .ours(),
    Key::new("http.forwarded_headers", Kind::OneOf(&["x-forwarded", "forwarded"]), "The headers the trusted proxies write: X-Forwarded-For, -Proto and -Host, or Forwarded of RFC 7239. Only those are read: a proxy passes on what a client wrote into the other ones.")
        .default("x-forwarded")
        .example("forwarded")
        .ours(),
    Key::new("http.workers", Kind::Count(0, 1024), "Threads that serve requests; 0 means one per processor.")
        .default("0")
        .example("4")
        .ours(),
    Key::new("http.max_connections", Kind::Count(1, 1_000_000), "The most open client connections; more wait to be accepted.")
        .default("25000")
        .example("1000")
        .ours(),
    Key::new("http.timeouts", Kind::Section, "How patient the server is with slow clients. There is never a limit on the whole of a transfer.").ours(),
    Key::new("http.timeouts.header", duration(SECOND, DAY), "How long the headers of a request may take.")
        .default("10s")
        .example("5s")
        .ours(),
    Key::new("http.timeouts.idle", duration(SECOND, DAY), "How long a connection may rest between two requests.")
        .default("120s")
        .example("75s")
        .ours(),
    Key::new("http.timeouts.min_body_rate", Kind::Size(0, 1 << 30), "The slowest body that is still waited for, in bytes per second; 0 waits for ever.")
        .default("4KiB")
        .example("512")
        .ours(),
    Key::new("http.cors", Kind::Section, "Web pages of other origins that may call the registry.").ours(),
    Key::new("http.cors.allow_origins", Kind::Texts, "The origins, such as https://ui.example.com, or `*` for all of them. None is allowed unless written.")
        .example("[https://ui.example.com]")
        .ours(),
    Key::new("http.headers", Kind::Headers, "Headers added to every answer.")
        .example("{X-Content-Type-Options: [nosniff]}"),
    Key::new("http.http2", Kind::Section, "HTTP/2 over TLS."),
    Key::new("http.http2.disabled", Kind::Flag, "Offers HTTP/1.1 only.").default("false").example("true"),
    Key::new("http.h2c", Kind::Section, "HTTP/2 without TLS."),
    Key::new("http.h2c.enabled", Kind::Flag, "Accepts HTTP/2 without TLS, by upgrade and by prior knowledge.")
        .default("false")
        .example("true"),
    Key::new("http.tls", Kind::Optional, "HTTPS. Certificate, key and client authorities are read again when their files change."),
    Key::new("http.tls.certificate", Kind::Path, "The certificate with its chain, as PEM.").example("/path/to/x509/public"),
    Key::new("http.tls.key", Kind::Path, "The private key of the certificate, as PEM.").example("/path/to/x509/private"),
    Key::new("http.tls.clientcas", Kind::Texts, "Files with the authorities of client certificates, as PEM.").example("[/path/to/ca.pem]"),
    Key::new("http.tls.clientauth", Kind::OneOf(CLIENT_AUTH), "What is asked of client certificates once `http.tls.clientcas` is written.")
        .default("require-and-verify-client-cert")
        .example("verify-client-cert-if-given"),
    Key::new("http.tls.minimumtls", Kind::Text, "The oldest TLS version that is spoken: tls1.2 or tls1.3.").default("tls1.2").example("tls1.3"),
    Key::new("http.tls.ciphersuites", Kind::Texts, "The accepted cipher suites, by their IANA names. Without any of TLS 1.3, all suites of TLS 1.3 stay.")
        .example("[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"),
    Key::new("http.tls.letsencrypt", Kind::Optional, "Certificates from an ACME authority.")
        .fate(Fate::NotYet(Milestone::Fleet, "until then let an ACME client write the files named by `http.tls.certificate` and `http.tls.key`; they are read again when they change"))
        .example("{cachefile: /path/to/cache-file, email: emailused@letsencrypt.com}"),
    Key::new("http.tls.letsencrypt.cachefile", Kind::Path, "Where certificates are kept.").example("/path/to/cache-file"),
    Key::new("http.tls.letsencrypt.email", Kind::Text, "The address of the account.").example("emailused@letsencrypt.com"),
    Key::new("http.tls.letsencrypt.hosts", Kind::Texts, "The names certificates are asked for.").example("[myregistryaddress.org]"),
    Key::new("http.tls.letsencrypt.directoryurl", Kind::Text, "The authority.").example("https://acme-v02.api.letsencrypt.org/directory"),
    Key::new("http.debug", Kind::Optional, "A second server for health and metrics. It answers everybody who can reach it."),
    Key::new("http.debug.addr", Kind::Text, "HOST:PORT of the debug server, or a bare port on loopback.")
        .default("127.0.0.1:5001")
        .example("localhost:5002"),
    Key::new("http.debug.prometheus", Kind::Section, "Metrics for Prometheus."),
    Key::new("http.debug.prometheus.enabled", Kind::Flag, "Serves metrics at the debug server.").default("false").example("true"),
    Key::new("http.debug.prometheus.path", Kind::Text, "The path of the metrics.").default("/metrics").example("/prometheus"),
];
