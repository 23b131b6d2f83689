//! Content descriptors (image-spec, "OCI Content Descriptors"): what it is, which bytes, how many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, MediaType};

/// A pointer to content, with the fields the registry itself reads or passes on.
///
/// A descriptor met inside a manifest may carry more (platform, urls, data); those are the business of
/// [`crate::manifest`], which keeps the manifest's exact bytes anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// Which content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The artifact type, where the content is a manifest that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations, sorted by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor with nothing but the three required fields.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self { media_type, digest, size, artifact_type: None, annotations: BTreeMap::new() }
    }
}
