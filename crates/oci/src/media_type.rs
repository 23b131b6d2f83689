//! Media types: the ones the specifications name, and the grammar for all others.

use std::str::FromStr;
use std::sync::Arc;

use crate::error::{ParseError, excerpt};
use crate::text::kept_as_text;

/// `application/vnd.oci.image.manifest.v1+json`
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `application/vnd.oci.image.index.v1+json`
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// `application/vnd.docker.distribution.manifest.v2+json`
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// `application/vnd.docker.distribution.manifest.list.v2+json`
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker schema 1, unsigned.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker schema 1, signed.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// The artifact manifest that image-spec 1.1 dropped before its release.
pub const OCI_ARTIFACT_MANIFEST: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// The empty descriptor's media type.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The config of an OCI container image.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The config of a Docker container image.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A gzipped layer of an OCI image.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A gzipped layer of a Docker image.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// A Docker layer that is fetched from elsewhere (Windows base images).
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// What the types of OCI layers that are not to be distributed begin with.
pub const OCI_NONDISTRIBUTABLE_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.";
/// What a blob is served as: its real type is in the manifests that name it.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// A media type `type/subtype` without parameters, at most 255 bytes. Clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// The text as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a `Content-Type` header: parameters are dropped (distribution-spec: SHOULD be ignored),
    /// case is folded, as RFC 9110 section 8.3.1 demands.
    pub fn from_content_type(header: &str) -> Result<Self, ParseError> {
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().parse()
    }
}

impl FromStr for MediaType {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refuse = |reason| ParseError::MediaType { value: excerpt(text), reason };
        if text.len() > 255 {
            return Err(refuse("longer than 255 bytes"));
        }
        let (kind, subtype) = text.split_once('/').ok_or_else(|| refuse("expected type/subtype"))?;
        let restricted = |part: &str| {
            part.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        if !restricted(kind) || !restricted(subtype) {
            return Err(refuse("a character outside RFC 6838, section 4.2"));
        }
        Ok(Self(text.into()))
    }
}

kept_as_text!(MediaType);

impl PartialEq<str> for MediaType {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_of_a_content_type_are_dropped() {
        let read = MediaType::from_content_type("Application/JSON; charset=utf-8").unwrap();
        assert_eq!(read.as_str(), "application/json");
    }

    #[test]
    fn what_is_not_a_media_type_is_refused() {
        for text in ["", "json", "a/", "/b", "a/b c", "a/b\n", "*/*"] {
            assert!(text.parse::<MediaType>().is_err(), "{text:?} must be refused");
        }
    }
}
