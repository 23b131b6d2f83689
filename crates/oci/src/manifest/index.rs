//! Indexes: a list of manifests, and sometimes of blobs.

use super::fields::{Described, Members, Path, refuse};
use super::{Kind, Referenced, Role, Schema, is_manifest_type, references};
use crate::media_type::OCI_INDEX;

/// `application/vnd.oci.image.index.v1+json`
pub(super) const OCI: Schema =
    Schema { media_type: OCI_INDEX, kind: Kind::Index, names_itself: false, references: entries };

/// The list must be there but may be empty; `null` is how Go programs write an empty one.
pub(super) fn entries(top: &Members<'_, '_>) -> Result<Vec<Referenced>, String> {
    let path = Path::key(top.path(), "manifests");
    if !top.has("manifests") {
        return refuse(&path, "required, but missing");
    }
    let mut found = Vec::new();
    if let Some(manifests) = top.get(&path) {
        references(manifests, &mut found, entry_role)?;
    }
    Ok(found)
}

/// An unknown type "MUST NOT generate an error" (image-spec): BuildKit's cache indexes list layers.
fn entry_role(described: &Described) -> Role {
    if is_manifest_type(&described.descriptor.media_type) { Role::Child } else { Role::IndexedBlob }
}
