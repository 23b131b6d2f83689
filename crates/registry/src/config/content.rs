//! Lists, and what pushed manifests must fulfil.

use serde::{Deserialize, Serialize};

use super::settle::Settling;

/// What distribution takes for 0.
const DEFAULT_PAGE: usize = 1000;

/// `catalog`: the list of repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// The most repositories in one answer; never 0. Default: 1000.
    #[serde(rename = "maxentries")]
    pub max_entries: usize,
}

/// `tags`: the list of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tags {
    /// The most tags in one answer; never 0. Default: 1000.
    #[serde(rename = "maxtags")]
    pub max_tags: usize,
}

/// `validation` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenValidation {
    disabled: bool,
    enabled: bool,
    manifests: ManifestValidation,
}

/// What pushed manifests must fulfil.
#[derive(Debug, Clone, Serialize)]
pub struct Validation {
    /// Turns `manifests` off as a whole. Default: false.
    pub disabled: bool,
    /// The options. Read them through the methods, which mind `disabled`.
    pub manifests: ManifestValidation,
}

/// The options for manifests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestValidation {
    /// URLs inside manifests.
    pub urls: UrlRules,
    /// What an index may leave out.
    pub indexes: IndexRules,
    /// Whether the blobs of an image must be there. Default: check.
    pub references: References,
    /// Whether descriptor sizes are compared. Default: check.
    pub sizes: Sizes,
}

/// Regular expressions for URLs inside manifests; all of them compile.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlRules {
    /// A URL must match one of these. Without any, every URL is refused.
    #[serde(default)]
    pub allow: Vec<String>,
    /// No URL may match one of these.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// What an index may leave out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexRules {
    /// Which of its manifests must be there. Default: all.
    pub platforms: Platforms,
    /// The platforms that must be there, for [`Platforms::List`].
    #[serde(rename = "platformlist")]
    pub platform_list: Vec<Platform>,
}

/// Which manifests of an index must be there when it is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platforms {
    /// All.
    All,
    /// None.
    None,
    /// Those of the listed platforms.
    List,
}

/// An operating system on an architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// As in the OCI image index.
    pub architecture: String,
    /// As in the OCI image index.
    pub os: String,
}

/// What happens to an image whose blobs are not all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum References {
    /// It is refused.
    Check,
    /// It is stored; pulling it fails until somebody brings the rest.
    Ignore,
}

/// What happens to descriptor sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sizes {
    /// Compared with what is stored.
    Check,
    /// Believed.
    Ignore,
}

/// `manifests`: how manifests are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifests {
    /// What happens to unknown media types. Default: reject.
    pub unknown_types: UnknownTypes,
}

/// What happens to manifests of unknown media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTypes {
    /// Refused.
    Reject,
    /// Stored as they are.
    Store,
}

/// `compat`: concessions to old clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compat {
    /// Answers a Docker manifest list by tag with its linux/amd64 manifest when the client does not
    /// accept lists. Default: false.
    pub manifest_list_downgrade: bool,
}

impl Validation {
    /// The rules for URLs, or `None` when every URL is accepted.
    pub fn urls(&self) -> Option<&UrlRules> {
        (!self.disabled).then_some(&self.manifests.urls)
    }

    /// Which manifests of an index must be there.
    pub fn platforms(&self) -> Platforms {
        if self.disabled { Platforms::None } else { self.manifests.indexes.platforms }
    }

    /// Whether descriptor sizes are compared with what is stored.
    pub fn checks_sizes(&self) -> bool {
        !self.disabled && self.manifests.sizes == Sizes::Check
    }
}

impl Catalog {
    pub(super) fn settle(self) -> Catalog {
        Catalog { max_entries: page(self.max_entries) }
    }
}

impl Tags {
    pub(super) fn settle(self) -> Tags {
        Tags { max_tags: page(self.max_tags) }
    }
}

fn page(written: usize) -> usize {
    if written == 0 { DEFAULT_PAGE } else { written }
}

impl WrittenValidation {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Validation {
        let urls = &self.manifests.urls;
        check_expressions("validation.manifests.urls.allow", &urls.allow, settling);
        check_expressions("validation.manifests.urls.deny", &urls.deny, settling);
        let indexes = &self.manifests.indexes;
        if indexes.platforms == Platforms::List && indexes.platform_list.is_empty() {
            let message = "`list` wants the platforms in `validation.manifests.indexes.platformlist`; write them, or `none`";
            settling.refuse("validation.manifests.indexes.platforms", message);
        }
        if indexes.platforms != Platforms::List && !indexes.platform_list.is_empty() {
            let message = "the list is only read with `platforms: list`";
            settling.warn("validation.manifests.indexes.platformlist", message);
        }
        // distribution lets the old key win.
        Validation { disabled: self.disabled && !self.enabled, manifests: self.manifests }
    }
}

fn check_expressions(path: &str, expressions: &[String], settling: &mut Settling<'_>) {
    for expression in expressions {
        if let Err(error) = regex::Regex::new(expression) {
            settling.refuse(path, format!("`{expression}` is no regular expression: {error}"));
        }
    }
}
