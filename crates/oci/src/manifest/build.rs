//! Building manifests, for tools and tests. The registry itself never writes one for a client.
//!
//! The output is compact JSON with the fields in the order of the specifications: the same calls give
//! the same bytes, hence the same digest.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Platform;
use crate::media_type::{DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST};
use crate::{Descriptor, MediaType};

/// Builds an image manifest.
#[derive(Clone, Debug)]
pub struct Image(Document);

/// Builds an index.
#[derive(Clone, Debug)]
pub struct Index(Document);

/// A finished manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The `Content-Type` to push it with.
    pub media_type: MediaType,
    /// The document.
    pub bytes: Vec<u8>,
}

impl Image {
    /// An OCI image or artifact with this config.
    pub fn oci(config: Descriptor) -> Self {
        Self(Document {
            config: Some(config.into()),
            layers: Some(Vec::new()),
            ..Document::new(OCI_MANIFEST)
        })
    }

    /// A Docker schema 2 image with this config.
    pub fn docker(config: Descriptor) -> Self {
        Self(Document {
            config: Some(config.into()),
            layers: Some(Vec::new()),
            ..Document::new(DOCKER_MANIFEST)
        })
    }

    /// Adds a layer on top of those there are.
    pub fn layer(self, layer: Descriptor) -> Self {
        self.layer_at(layer, Vec::new())
    }

    /// Adds a layer that can also be had from `urls`.
    pub fn layer_at(mut self, layer: Descriptor, urls: Vec<String>) -> Self {
        self.0.layers.get_or_insert_default().push(Entry { urls, ..layer.into() });
        self
    }
}

impl Index {
    /// An OCI index without entries.
    pub fn oci() -> Self {
        Self(Document { manifests: Some(Vec::new()), ..Document::new(OCI_INDEX) })
    }

    /// A Docker manifest list without entries.
    pub fn docker() -> Self {
        Self(Document { manifests: Some(Vec::new()), ..Document::new(DOCKER_MANIFEST_LIST) })
    }

    /// Adds an entry, for one platform or for none in particular.
    pub fn manifest(mut self, manifest: Descriptor, platform: Option<Platform>) -> Self {
        let platform = platform.map(Into::into);
        self.0.manifests.get_or_insert_default().push(Entry { platform, ..manifest.into() });
        self
    }
}

/// What images and indexes have in common; the names are the specification's.
macro_rules! common_fields {
    ($builder:ident) => {
        impl $builder {
            /// Names the manifest this one is about.
            pub fn subject(mut self, subject: Descriptor) -> Self {
                self.0.subject = Some(subject.into());
                self
            }

            /// Sets the artifact type.
            pub fn artifact_type(mut self, artifact_type: &str) -> Self {
                self.0.artifact_type = Some(artifact_type.to_owned());
                self
            }

            /// Adds an annotation.
            pub fn annotation(mut self, name: &str, value: &str) -> Self {
                self.0.annotations.insert(name.to_owned(), value.to_owned());
                self
            }

            /// Writes the document.
            pub fn build(self) -> Built {
                self.0.build()
            }
        }
    };
}

common_fields!(Image);
common_fields!(Index);

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u8,
    media_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<Entry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<Vec<Entry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Entry>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Document {
    const fn new(media_type: &'static str) -> Self {
        Self {
            schema_version: 2,
            media_type,
            artifact_type: None,
            config: None,
            layers: None,
            manifests: None,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    fn build(self) -> Built {
        Built {
            media_type: self.media_type.parse().expect("a constant of this crate is a media type"),
            bytes: serde_json::to_vec(&self).expect("strings and numbers always serialise"),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Entry {
    #[serde(flatten)]
    descriptor: Descriptor,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<PlatformFields>,
}

impl From<Descriptor> for Entry {
    fn from(descriptor: Descriptor) -> Self {
        Self { descriptor, urls: Vec::new(), platform: None }
    }
}

#[derive(Clone, Debug, Serialize)]
struct PlatformFields {
    architecture: String,
    os: String,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    os_features: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

impl From<Platform> for PlatformFields {
    fn from(platform: Platform) -> Self {
        let Platform { os, architecture, variant, os_version, os_features } = platform;
        Self { architecture, os, os_version, os_features, variant }
    }
}
