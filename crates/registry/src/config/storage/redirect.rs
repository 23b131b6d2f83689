//! `storage.redirect` and `middleware.storage`: pulls that clients fetch elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::Backend;
use crate::config::duration;
use crate::config::network::Network;
use crate::config::settle::Settling;
use crate::config::size::{self, Size};

/// `storage.redirect` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    disable: bool,
    #[serde(deserialize_with = "duration::deserialize")]
    ttl: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    private_ttl: Duration,
    #[serde(deserialize_with = "size::deserialize")]
    min_size: u64,
    rules: Vec<WrittenRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    action: String,
    endpoint: Option<String>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    repositories: Vec<String>,
    user_agent: Option<String>,
    min_size: Option<Size>,
    max_size: Option<Size>,
}

/// Pulls that clients fetch from the store directly.
#[derive(Debug, Clone, Serialize)]
pub struct Redirect {
    /// Never redirect, even where the store could serve a client. Default: false.
    pub disable: bool,
    /// How long a new URL is good for. Default: 20 min.
    #[serde(serialize_with = "duration::serialize")]
    pub ttl: Duration,
    /// The same for clients who had to say who they are, where it is less. Default: 5 min.
    #[serde(serialize_with = "duration::serialize")]
    pub private_ttl: Duration,
    /// Smaller blobs come through the registry, in bytes. Default: 0.
    #[serde(serialize_with = "size::serialize")]
    pub min_size: u64,
    /// Which pulls go where; the first that fits decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RedirectRule>,
}

/// Which pulls go where. What is empty fits everything.
#[derive(Debug, Clone, Serialize)]
pub struct RedirectRule {
    /// Where they go.
    pub action: RedirectAction,
    /// The store's endpoint for these clients, instead of its `redirectendpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The client's networks.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_texts")]
    pub networks: Vec<Network>,
    /// Repositories, with `*` and `**`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// A regular expression for `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The smallest blob, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "size::serialize_optional")]
    pub min_size: Option<u64>,
    /// The largest blob, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "size::serialize_optional")]
    pub max_size: Option<u64>,
}

/// Where pulls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectAction {
    /// To the store.
    Presign,
    /// To the middleware of this name.
    Cdn(String),
    /// Nowhere: through the registry.
    Proxy,
}

impl Serialize for RedirectAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RedirectAction::Presign => serializer.serialize_str("presign"),
            RedirectAction::Cdn(name) => serializer.serialize_str(&format!("cdn:{name}")),
            RedirectAction::Proxy => serializer.serialize_str("proxy"),
        }
    }
}

fn as_texts<S: Serializer>(networks: &[Network], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(Network::to_string))
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Redirect {
        let rules = self.rules.into_iter().enumerate();
        Redirect {
            disable: self.disable,
            ttl: self.ttl,
            private_ttl: self.private_ttl,
            min_size: self.min_size,
            rules: rules.map(|(index, rule)| rule.settle(index, settling)).collect(),
        }
    }
}

impl WrittenRule {
    fn settle(self, index: usize, settling: &mut Settling<'_>) -> RedirectRule {
        let path = |key: &str| format!("storage.redirect.rules[{index}].{key}");
        let action = match (self.action.as_str(), self.action.strip_prefix("cdn:")) {
            ("presign", _) => RedirectAction::Presign,
            (_, Some(name)) => RedirectAction::Cdn(name.to_owned()),
            ("proxy", _) => RedirectAction::Proxy,
            _ => {
                let message = format!("`{}` is none of presign, proxy and cdn:<name>", self.action);
                settling.refuse(&path("action"), message);
                RedirectAction::Proxy
            }
        };
        if let Some(pattern) = &self.user_agent
            && let Err(error) = regex::Regex::new(pattern)
        {
            settling.refuse(&path("user_agent"), error.to_string());
        }
        if self.endpoint.is_some() && action != RedirectAction::Presign {
            settling.refuse(&path("endpoint"), "only `presign` sends clients to the store");
        }
        RedirectRule {
            action,
            endpoint: self.endpoint,
            networks: settling.accept_all(&path("networks"), &self.networks, Network::parse),
            repositories: self.repositories,
            user_agent: self.user_agent,
            min_size: self.min_size.map(|size| size.0),
            max_size: self.max_size.map(|size| size.0),
        }
    }
}

/// `middleware` as it was written; what is not about the store was refused before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct WrittenMiddleware {
    storage: Vec<WrittenEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    name: String,
    disabled: bool,
    options: Options,
}

/// What all middlewares may be told; each reads its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    baseurl: Option<String>,
    privatekey: Option<PathBuf>,
    keypairid: Option<String>,
    keyname: Option<String>,
    sourceip: bool,
    #[serde(default, deserialize_with = "duration_if_written")]
    duration: Option<Duration>,
    ipfilteredby: String,
    awsregion: Option<String>,
    #[serde(deserialize_with = "duration::deserialize")]
    updatefrequency: Duration,
    iprangesurl: Option<String>,
    scheme: Option<String>,
    host: Option<String>,
    trimpathprefix: Option<String>,
}

fn duration_if_written<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration::deserialize(deserializer).map(Some)
}

/// `middleware`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Middleware {
    /// Where redirected pulls may go instead of to the store.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<StorageMiddleware>,
}

impl Middleware {
    pub(in crate::config) fn is_empty(&self) -> bool {
        self.storage.is_empty()
    }
}

/// Where redirected pulls may go instead of to the store.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "options", rename_all = "lowercase")]
pub enum StorageMiddleware {
    /// Amazon CloudFront.
    Cloudfront(Cloudfront),
    /// Google Cloud CDN.
    Googlecdn(GoogleCdn),
    /// Another address.
    Redirect {
        /// The address.
        #[serde(rename = "baseurl")]
        base_url: String,
    },
    /// The store's URL, changed.
    Rewrite {
        /// The scheme to put in.
        #[serde(skip_serializing_if = "Option::is_none")]
        scheme: Option<String>,
        /// The host to put in.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// What is taken off the path.
        #[serde(rename = "trimpathprefix", skip_serializing_if = "Option::is_none")]
        trim_path_prefix: Option<String>,
    },
}

/// Amazon CloudFront.
#[derive(Debug, Clone, Serialize)]
pub struct Cloudfront {
    /// The distribution's address.
    #[serde(rename = "baseurl")]
    pub base_url: String,
    /// The private key.
    #[serde(rename = "privatekey")]
    pub private_key: PathBuf,
    /// Its name.
    #[serde(rename = "keypairid")]
    pub key_pair_id: String,
    /// Whether a URL is good from its client's address only.
    #[serde(rename = "sourceip")]
    pub source_ip: bool,
    /// How long a URL is good for, where that differs from `storage.redirect.ttl`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration_if_there")]
    pub duration: Option<Duration>,
    /// Which clients go to S3 instead.
    #[serde(flatten)]
    pub filter: NetworkFilter,
}

/// Google Cloud CDN.
#[derive(Debug, Clone, Serialize)]
pub struct GoogleCdn {
    /// The load balancer's address.
    #[serde(rename = "baseurl")]
    pub base_url: String,
    /// The key for signed URLs.
    #[serde(rename = "privatekey")]
    pub private_key: PathBuf,
    /// Its name.
    #[serde(rename = "keyname")]
    pub key_name: String,
    /// How long a URL is good for, where that differs from `storage.redirect.ttl`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration_if_there")]
    pub duration: Option<Duration>,
    /// Which clients go to the bucket instead.
    #[serde(flatten)]
    pub filter: NetworkFilter,
}

fn duration_if_there<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => duration::serialize(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// Which clients go to the store instead of what is in front of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkFilter {
    /// By what.
    #[serde(rename = "ipfilteredby")]
    pub by: FilterBy,
    /// The regions for [`FilterBy::Region`], with commas between.
    #[serde(rename = "awsregion", skip_serializing_if = "Vec::is_empty", serialize_with = "with_commas")]
    pub regions: Vec<String>,
    /// How often the address ranges are fetched. Default: 12 h.
    #[serde(rename = "updatefrequency", serialize_with = "duration::serialize")]
    pub update_every: Duration,
    /// Where.
    #[serde(rename = "iprangesurl")]
    pub ranges_url: String,
}

fn with_commas<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&texts.join(","))
}

/// By what clients are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum FilterBy {
    /// Not at all.
    #[serde(rename = "none")]
    Nothing,
    /// Addresses of Amazon.
    #[serde(rename = "aws")]
    Aws,
    /// Addresses of some of Amazon's regions.
    #[serde(rename = "awsregion")]
    Region,
    /// Addresses of Google.
    #[serde(rename = "gcp")]
    Google,
}

/// Where Amazon and Google publish their addresses.
const AMAZONS_RANGES: &str = "https://ip-ranges.amazonaws.com/ip-ranges.json";
const GOOGLES_RANGES: &str = "https://www.gstatic.com/ipranges/goog.json";

impl WrittenMiddleware {
    pub(in crate::config) fn settle(self, settling: &mut Settling<'_>) -> Middleware {
        let mut storage = Vec::new();
        for (index, entry) in self.storage.into_iter().enumerate() {
            let path = format!("middleware.storage[{index}].options");
            if entry.disabled {
                continue;
            }
            let made = match entry.name.as_str() {
                "cloudfront" => entry.options.cloudfront(&path, settling).map(StorageMiddleware::Cloudfront),
                "googlecdn" => entry.options.google_cdn(&path, settling).map(StorageMiddleware::Googlecdn),
                "redirect" => required(&path, "baseurl", entry.options.baseurl, settling)
                    .map(|base_url| StorageMiddleware::Redirect { base_url }),
                _ => Some(StorageMiddleware::Rewrite {
                    scheme: entry.options.scheme,
                    host: entry.options.host,
                    trim_path_prefix: entry.options.trimpathprefix,
                }),
            };
            storage.extend(made);
        }
        Middleware { storage }
    }
}

/// A rule that sends pulls to a middleware nobody described, or to another endpoint of a store that has none,
/// would send them nowhere.
pub(in crate::config) fn check_rules(
    redirect: &Redirect,
    middleware: &Middleware,
    backend: &Backend,
    settling: &mut Settling<'_>,
) {
    for (index, rule) in redirect.rules.iter().enumerate() {
        let path = |key: &str| format!("storage.redirect.rules[{index}].{key}");
        if let RedirectAction::Cdn(name) = &rule.action
            && !middleware.storage.iter().any(|one| one.name() == name)
        {
            let message = format!("`middleware.storage` has nothing that is called `{name}`");
            settling.refuse(&path("action"), message);
        }
        if let Some(endpoint) = &rule.endpoint
            && backend.reached_at(endpoint).is_none()
        {
            settling.refuse(&path("endpoint"), "clients cannot be sent to this kind of store");
        }
    }
}

impl StorageMiddleware {
    /// What rules call it.
    pub const fn name(&self) -> &'static str {
        match self {
            StorageMiddleware::Cloudfront(_) => "cloudfront",
            StorageMiddleware::Googlecdn(_) => "googlecdn",
            StorageMiddleware::Redirect { .. } => "redirect",
            StorageMiddleware::Rewrite { .. } => "rewrite",
        }
    }

    /// Which clients go past it to the store.
    pub fn filter(&self) -> Option<&NetworkFilter> {
        let filter = match self {
            StorageMiddleware::Cloudfront(settings) => &settings.filter,
            StorageMiddleware::Googlecdn(settings) => &settings.filter,
            StorageMiddleware::Redirect { .. } | StorageMiddleware::Rewrite { .. } => return None,
        };
        Some(filter).filter(|filter| filter.by != FilterBy::Nothing)
    }

    /// How long its URLs are good for, where it says so.
    pub const fn duration(&self) -> Option<Duration> {
        match self {
            StorageMiddleware::Cloudfront(settings) => settings.duration,
            StorageMiddleware::Googlecdn(settings) => settings.duration,
            StorageMiddleware::Redirect { .. } | StorageMiddleware::Rewrite { .. } => None,
        }
    }
}

fn required<T>(path: &str, key: &str, value: Option<T>, settling: &mut Settling<'_>) -> Option<T> {
    if value.is_none() {
        settling.refuse(&format!("{path}.{key}"), "this key is required here");
    }
    value
}

impl Options {
    fn cloudfront(self, path: &str, settling: &mut Settling<'_>) -> Option<Cloudfront> {
        let base_url = required(path, "baseurl", self.baseurl, settling);
        let private_key = required(path, "privatekey", self.privatekey, settling);
        let key_pair_id = required(path, "keypairid", self.keypairid, settling);
        let by = match self.ipfilteredby.as_str() {
            "aws" => FilterBy::Aws,
            "awsregion" => FilterBy::Region,
            "gcp" => {
                let message =
                    "Google's addresses are no nearer to S3; `aws` and `awsregion` are for CloudFront";
                settling.refuse(&format!("{path}.ipfilteredby"), message);
                FilterBy::Nothing
            }
            _ => FilterBy::Nothing,
        };
        let regions: Vec<String> = self
            .awsregion
            .iter()
            .flat_map(|text| text.split(','))
            .map(|region| region.trim().to_owned())
            .filter(|region| !region.is_empty())
            .collect();
        if by == FilterBy::Region && regions.is_empty() {
            settling.refuse(&format!("{path}.awsregion"), "`ipfilteredby: awsregion` needs the regions here");
        }
        let ranges_url = self.iprangesurl.unwrap_or_else(|| AMAZONS_RANGES.into());
        Some(Cloudfront {
            base_url: base_url?,
            private_key: private_key?,
            key_pair_id: key_pair_id?,
            source_ip: self.sourceip,
            duration: self.duration,
            filter: NetworkFilter { by, regions, update_every: self.updatefrequency, ranges_url },
        })
    }

    fn google_cdn(self, path: &str, settling: &mut Settling<'_>) -> Option<GoogleCdn> {
        let base_url = required(path, "baseurl", self.baseurl, settling);
        let private_key = required(path, "privatekey", self.privatekey, settling);
        let key_name = required(path, "keyname", self.keyname, settling);
        let by = match self.ipfilteredby.as_str() {
            "gcp" => FilterBy::Google,
            "none" => FilterBy::Nothing,
            _ => {
                let message = "Amazon's addresses are no nearer to Google's buckets; `gcp` is for Cloud CDN";
                settling.refuse(&format!("{path}.ipfilteredby"), message);
                FilterBy::Nothing
            }
        };
        if self.sourceip {
            settling
                .refuse(&format!("{path}.sourceip"), "Cloud CDN holds no URL to an address; CloudFront does");
        }
        let ranges_url = self.iprangesurl.unwrap_or_else(|| GOOGLES_RANGES.into());
        Some(GoogleCdn {
            base_url: base_url?,
            private_key: private_key?,
            key_name: key_name?,
            duration: self.duration,
            filter: NetworkFilter { by, regions: Vec::new(), update_every: self.updatefrequency, ranges_url },
        })
    }
}
