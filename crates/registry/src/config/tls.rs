//! HTTPS: which files, which versions, which cipher suites.
//!
//! Nothing is read here. The server loads the files and may load them again when they change.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::settle::Settling;

/// `http.tls` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    clientcas: Vec<PathBuf>,
    clientauth: ClientAuth,
    minimumtls: String,
    #[serde(default)]
    ciphersuites: Vec<String>,
}

/// HTTPS.
#[derive(Debug, Clone, Serialize)]
pub struct Tls {
    /// The certificate with its chain, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, as PEM; client certificates play no role when it is empty.
    #[serde(rename = "clientcas")]
    pub client_authorities: Vec<PathBuf>,
    /// What is asked of client certificates, see [`Tls::client_authentication`].
    #[serde(rename = "clientauth")]
    pub client_auth: ClientAuth,
    /// The oldest version that is spoken. Default: TLS 1.2.
    #[serde(rename = "minimumtls")]
    pub minimum: TlsVersion,
    /// The accepted suites, in order of preference. Default: all nine.
    #[serde(rename = "ciphersuites")]
    pub cipher_suites: Vec<CipherSuite>,
}

impl Tls {
    /// What is asked of client certificates and who may have signed them; `None` asks nothing.
    pub fn client_authentication(&self) -> Option<(ClientAuth, &[PathBuf])> {
        (!self.client_authorities.is_empty()).then_some((self.client_auth, &self.client_authorities))
    }

    /// Every file whose change should be noticed.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let own = [&self.certificate, &self.key];
        own.into_iter().chain(&self.client_authorities).map(PathBuf::as_path)
    }
}

/// What is asked of client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// Asked for, neither required nor verified.
    RequestClientCert,
    /// Required, not verified.
    RequireAnyClientCert,
    /// Verified when there is one.
    VerifyClientCertIfGiven,
    /// Required and verified.
    RequireAndVerifyClientCert,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "tls1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "tls1.3")]
    Tls13,
}

/// A cipher suite that is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(non_camel_case_types, reason = "these are the names of the IANA registry")]
#[expect(missing_docs, reason = "the names say everything there is to say")]
pub enum CipherSuite {
    TLS_AES_256_GCM_SHA384,
    TLS_AES_128_GCM_SHA256,
    TLS_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

impl CipherSuite {
    /// All suites, in order of preference.
    pub const ALL: [CipherSuite; 9] = [
        CipherSuite::TLS_AES_256_GCM_SHA384,
        CipherSuite::TLS_AES_128_GCM_SHA256,
        CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];

    /// The name of the IANA registry.
    pub fn name(self) -> &'static str {
        match self {
            CipherSuite::TLS_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
            CipherSuite::TLS_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
            CipherSuite::TLS_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
            }
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
            }
        }
    }

    /// The version of TLS it belongs to.
    pub fn version(self) -> TlsVersion {
        if self.name().contains("_WITH_") { TlsVersion::Tls12 } else { TlsVersion::Tls13 }
    }

    fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|suite| suite.name() == name);
        found.ok_or_else(|| refused_suite(name))
    }
}

/// Suites distribution still knows are named as what they are; others get the nearest name.
fn refused_suite(name: &str) -> String {
    let legacy = ["_CBC_", "_RC4_", "_3DES_"].iter().any(|weak| name.contains(weak));
    if legacy || name.starts_with("TLS_RSA_WITH_") {
        return format!("`{name}` is too weak to be offered; remove it (the good ones are the default)");
    }
    let near =
        CipherSuite::ALL.into_iter().min_by_key(|suite| strsim::damerau_levenshtein(suite.name(), name));
    let near = near.map_or("", CipherSuite::name);
    format!("`{name}` is no known cipher suite; the nearest is {near}")
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Option<Tls> {
        let certificate = self.certificate;
        let key = self.key;
        if certificate.is_none() {
            settling
                .refuse("http.tls.certificate", "TLS needs a certificate; write the path of its file here");
        }
        if key.is_none() {
            settling.refuse(
                "http.tls.key",
                "TLS needs the key of the certificate; write the path of its file here",
            );
        }
        if self.clientcas.is_empty() && self.clientauth != ClientAuth::RequireAndVerifyClientCert {
            let message =
                "without `http.tls.clientcas` no client certificate is asked for, so this does nothing";
            settling.warn("http.tls.clientauth", message);
        }
        let minimum =
            settling.accept("http.tls.minimumtls", version(&self.minimumtls)).unwrap_or(TlsVersion::Tls12);
        Some(Tls {
            certificate: certificate?,
            key: key?,
            client_authorities: self.clientcas,
            client_auth: self.clientauth,
            minimum,
            cipher_suites: suites(&self.ciphersuites, settling),
        })
    }
}

fn version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "tls1.2" => Ok(TlsVersion::Tls12),
        "tls1.3" => Ok(TlsVersion::Tls13),
        "tls1.0" | "tls1.1" => Err(format!("{text} is broken and no longer spoken; write tls1.2 or tls1.3")),
        _ => Err(format!("`{text}` is no version of TLS; write tls1.2 or tls1.3")),
    }
}

/// As in distribution, suites of TLS 1.3 stay when the list names none of them.
fn suites(names: &[String], settling: &mut Settling<'_>) -> Vec<CipherSuite> {
    let mut suites = settling.accept_all("http.tls.ciphersuites", names, CipherSuite::parse);
    if names.is_empty() {
        return CipherSuite::ALL.to_vec();
    }
    if !suites.iter().any(|suite| suite.version() == TlsVersion::Tls13) {
        let newest = CipherSuite::ALL.into_iter().filter(|suite| suite.version() == TlsVersion::Tls13);
        suites.splice(0..0, newest);
    }
    suites
}
