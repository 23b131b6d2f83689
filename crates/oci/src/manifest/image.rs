//! Image manifests: one config and any number of layers.

use super::fields::{Described, Members, Path, descriptor};
use super::{Kind, Referenced, Role, Schema, references};
use crate::media_type::{DOCKER_FOREIGN_LAYER, OCI_MANIFEST, OCI_NONDISTRIBUTABLE_LAYER};

/// `application/vnd.oci.image.manifest.v1+json`
pub(super) const OCI: Schema = Schema {
    media_type: OCI_MANIFEST,
    kind: Kind::Image,
    names_itself: false,
    references: config_and_layers,
};

/// Missing layers count as none: artifacts without layers are written both ways.
pub(super) fn config_and_layers(top: &Members<'_, '_>) -> Result<Vec<Referenced>, String> {
    let config = descriptor(top.require(&Path::key(top.path(), "config"))?)?;
    let mut found = vec![config.into_reference(|_| Role::Config)];
    if let Some(layers) = top.get(&Path::key(top.path(), "layers")) {
        references(layers, &mut found, layer_role)?;
    }
    Ok(found)
}

/// A layer that may not be distributed but says nowhere to get it from can only come from here, so it
/// is treated as any other.
fn layer_role(described: &Described) -> Role {
    let media_type = described.descriptor.media_type.as_str();
    let foreign = media_type == DOCKER_FOREIGN_LAYER || media_type.starts_with(OCI_NONDISTRIBUTABLE_LAYER);
    if foreign && !described.urls.is_empty() { Role::ForeignLayer } else { Role::Layer }
}
