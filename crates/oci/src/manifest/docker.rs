//! Docker's formats: the same shapes as OCI's under other names.
//!
//! Both were specified with a `mediaType` of their own from the first day, and every client writes it:
//! a document without it is not one of them.

use super::{Kind, Schema, image, index};
use crate::media_type::{DOCKER_MANIFEST, DOCKER_MANIFEST_LIST};

/// `application/vnd.docker.distribution.manifest.v2+json`
pub(super) const MANIFEST: Schema = Schema {
    media_type: DOCKER_MANIFEST,
    kind: Kind::Image,
    names_itself: true,
    references: image::config_and_layers,
};

/// `application/vnd.docker.distribution.manifest.list.v2+json`
pub(super) const LIST: Schema = Schema {
    media_type: DOCKER_MANIFEST_LIST,
    kind: Kind::Index,
    names_itself: true,
    references: index::entries,
};
