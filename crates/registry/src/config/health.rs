//! What must be true for the registry to call itself healthy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::listen::Endpoint;
use super::secret::Secret;
use super::settle::Settling;

/// `health` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    storagedriver: StorageCheck,
    file: Vec<FileCheck>,
    http: Vec<HttpCheck>,
    tcp: Vec<WrittenTcp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTcp {
    addr: String,
    #[serde(deserialize_with = "duration::deserialize")]
    timeout: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    interval: Duration,
    threshold: u32,
}

/// Periodic checks.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// A look at the store.
    #[serde(rename = "storagedriver")]
    pub storage: StorageCheck,
    /// Files that must not exist.
    #[serde(rename = "file")]
    pub files: Vec<FileCheck>,
    /// URIs that must answer.
    pub http: Vec<HttpCheck>,
    /// Addresses that must accept a connection.
    pub tcp: Vec<TcpCheck>,
}

/// A look at the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageCheck {
    /// Turns it on. Default: false.
    pub enabled: bool,
    /// The pause between two looks, at least 1 s. Default: 10 s.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    /// Failures in a row that count; never 0. Default: 1.
    pub threshold: u32,
}

/// A file that makes the registry unhealthy by existing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCheck {
    /// The file.
    pub file: PathBuf,
    /// The pause between two looks, at least 1 s. Default: 10 s.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    /// Sightings in a row that count; never 0. Default: 1.
    pub threshold: u32,
}

/// A URI that must answer a HEAD request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// The URI, http or https.
    pub uri: String,
    /// Headers sent along. They may hold credentials, so they are never printed.
    #[serde(default)]
    pub headers: BTreeMap<String, Vec<Secret<String>>>,
    /// The expected status. Default: 200.
    #[serde(rename = "statuscode")]
    pub status: u16,
    /// How long the answer may take, at least 1 ms. Default: 5 s.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    /// The pause between two requests, at least 1 s. Default: 10 s.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    /// Failures in a row that count; never 0. Default: 1.
    pub threshold: u32,
}

/// An address that must accept a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TcpCheck {
    /// The address.
    pub addr: Endpoint,
    /// How long connecting may take, at least 1 ms. Default: 5 s.
    #[serde(serialize_with = "duration::serialize")]
    pub timeout: Duration,
    /// The pause between two attempts, at least 1 s. Default: 10 s.
    #[serde(serialize_with = "duration::serialize")]
    pub interval: Duration,
    /// Failures in a row that count; never 0. Default: 1.
    pub threshold: u32,
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Health {
        for (index, check) in self.http.iter().enumerate() {
            if !check.uri.starts_with("http://") && !check.uri.starts_with("https://") {
                settling.refuse(
                    &format!("health.http[{index}].uri"),
                    format!("`{}` is no URI of http or https", check.uri),
                );
            }
        }
        let tcp = self.tcp.into_iter().enumerate().filter_map(|(index, check)| check.settle(index, settling));
        Health {
            tcp: tcp.collect(),
            storage: StorageCheck { threshold: self.storagedriver.threshold.max(1), ..self.storagedriver },
            files: self
                .file
                .into_iter()
                .map(|check| FileCheck { threshold: check.threshold.max(1), ..check })
                .collect(),
            http: self
                .http
                .into_iter()
                .map(|check| HttpCheck { threshold: check.threshold.max(1), ..check })
                .collect(),
        }
    }
}

impl WrittenTcp {
    fn settle(self, index: usize, settling: &mut Settling<'_>) -> Option<TcpCheck> {
        let addr = settling.accept(&format!("health.tcp[{index}].addr"), Endpoint::parse(&self.addr))?;
        Some(TcpCheck {
            addr,
            timeout: self.timeout,
            interval: self.interval,
            threshold: self.threshold.max(1),
        })
    }
}
