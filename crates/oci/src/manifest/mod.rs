//! Manifests: what a pushed document claims to be, and everything it names.
//!
//! The bytes are the truth and are never written again from what is read here; this module only decides
//! whether they are acceptable and which content they need. It refuses whatever two readers could
//! understand differently: duplicate or differently-cased fields, a document that is both image and
//! index, a `Content-Type` that contradicts the document (GHSA-qq97-vm5h-rrhg). It does not ask whether
//! the named content exists, and does not judge URLs or platforms: both are the caller's policies.

use std::collections::BTreeMap;

use crate::error::ParseError;
use crate::{Descriptor, Digest, MediaType};

pub mod build;
mod docker;
mod fields;
mod image;
mod index;
mod json;
mod platform;
mod schema;

pub use json::{MAX_DEPTH, MAX_VALUES};
pub use platform::Platform;
pub use schema::{SCHEMAS, Schema, is_manifest_type, is_retired, schema};

use fields::{Field, Path, refuse};

/// The most descriptors one manifest may name, subject excluded.
///
/// Each one costs the registry a read of the store before the push is acknowledged, and a place in the
/// manifest's record for as long as it lives. Docker stops at 127 layers, and large indexes (build
/// caches, referrers fallback tags) hold a few thousand entries; a manifest of the largest accepted size
/// could otherwise name several tens of thousands.
pub const MAX_REFERENCES: usize = 10_000;

/// An accepted manifest, as far as the registry needs to understand it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The type it is stored and served under.
    pub media_type: MediaType,
    /// What shape it has.
    pub kind: Kind,
    /// Everything it is made of, in document order (an image's config first). A digest occurs as often
    /// as the document repeats it. At most [`MAX_REFERENCES`].
    pub references: Vec<Referenced>,
    /// The manifest this one is about. Not a part of it: it need not exist, and is not kept alive by it.
    pub subject: Option<Descriptor>,
    /// The document's own `artifactType`; `None` when missing or empty. For listings, which fall back
    /// to the config's media type, see [`referrer_descriptor`].
    pub artifact_type: Option<String>,
    /// The document's annotations, without those of its descriptors.
    pub annotations: BTreeMap<String, String>,
}

/// The two shapes of manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One config and its layers: OCI image manifest, Docker schema 2.
    Image,
    /// A list of manifests: OCI image index, Docker manifest list.
    Index,
}

/// One descriptor of a manifest, and the place it was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referenced {
    /// Digest, size, media type and the optional fields common to all descriptors.
    pub descriptor: Descriptor,
    /// What the manifest uses it for.
    pub role: Role,
    /// Where else the content is said to be. Never fetched; a policy decides whether they are allowed.
    pub urls: Vec<String>,
    /// The platform an index entry is for.
    pub platform: Option<Platform>,
}

/// What a manifest uses a descriptor for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// An image's config blob.
    Config,
    /// A layer, or whatever else an artifact keeps in `layers`.
    Layer,
    /// A layer of a foreign or non-distributable type that says where else it can be had: it need not be
    /// in the repository.
    ForeignLayer,
    /// An index entry whose media type is one of [`SCHEMAS`]: a manifest of the same repository.
    Child,
    /// An index entry of another media type, as BuildKit's cache indexes have them: usually a blob.
    IndexedBlob,
}

impl Role {
    /// Whether the content must be in the repository before the manifest is.
    pub const fn must_exist(self) -> bool {
        !matches!(self, Role::ForeignLayer)
    }
}

impl Manifest {
    /// The descriptors that name blobs, including those that need not exist.
    pub fn blobs(&self) -> impl Iterator<Item = &Referenced> {
        self.references.iter().filter(|reference| reference.role != Role::Child)
    }

    /// The descriptors that name other manifests.
    pub fn children(&self) -> impl Iterator<Item = &Referenced> {
        self.references.iter().filter(|reference| reference.role == Role::Child)
    }

    /// The artifact type that listings show (distribution-spec, "Listing Referrers"): the document's own,
    /// else for an image the media type of its config; an index has no second source.
    pub fn effective_artifact_type(&self) -> Option<&str> {
        let config = || {
            let first = self.references.first().filter(|first| first.role == Role::Config)?;
            Some(first.descriptor.media_type.as_str())
        };
        self.artifact_type.as_deref().or_else(config)
    }
}

/// Reads a manifest.
///
/// `content_type` is the header the client sent, if any. Without it the document's own `mediaType`
/// decides, and without that its shape: `manifests` makes an OCI index, `config` or `layers` an OCI image.
///
/// Time and memory are linear in `bytes`, with [`MAX_VALUES`] and [`MAX_DEPTH`] as ceilings; the caller
/// bounds the length of `bytes`. Fails with [`ParseError::Manifest`], whose reason names the field.
pub fn parse(content_type: Option<&MediaType>, bytes: &[u8]) -> Result<Manifest, ParseError> {
    read(content_type, bytes).map_err(|reason| ParseError::Manifest { reason })
}

/// The descriptor under which `manifest`, whose bytes have this digest and size, is listed among the
/// referrers of its subject: with its artifact type and its annotations.
pub fn referrer_descriptor(manifest: &Manifest, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: manifest.media_type.clone(),
        digest,
        size,
        artifact_type: manifest.effective_artifact_type().map(str::to_owned),
        annotations: manifest.annotations.clone(),
    }
}

/// The names readers look for at the top of any manifest format. A field that differs from one of them
/// only in case is refused: Go programs, which most clients are, would read it as that one.
const TOP_LEVEL: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
    "history",
    "signatures",
    "blobs",
];

fn read(content_type: Option<&MediaType>, bytes: &[u8]) -> Result<Manifest, String> {
    let document = json::read(bytes)?;
    let root = Path::ROOT;
    let top = Field::new(&document, &root).object(TOP_LEVEL)?;
    let schema = schema::choose(content_type, &top)?;

    let artifact_type = Path::key(&root, "artifactType");
    let subject = Path::key(&root, "subject");
    let annotations = Path::key(&root, "annotations");
    Ok(Manifest {
        media_type: schema.media_type(),
        kind: schema.kind,
        references: (schema.references)(&top)?,
        subject: top
            .get(&subject)
            .map(|field| fields::descriptor(field).map(|it| it.descriptor))
            .transpose()?,
        artifact_type: top.get(&artifact_type).map(Field::text).transpose()?.filter(|text| !text.is_empty()),
        annotations: top.get(&annotations).map(fields::annotations).transpose()?.unwrap_or_default(),
    })
}

/// Reads an array of descriptors, each turned into a reference by `role`.
fn references(
    list: Field<'_, '_>,
    found: &mut Vec<Referenced>,
    role: fn(&fields::Described) -> Role,
) -> Result<(), String> {
    let (items, path) = list.array()?;
    if found.len() + items.len() > MAX_REFERENCES {
        return refuse(path, format_args!("more than {MAX_REFERENCES} descriptors in one manifest"));
    }
    found.reserve_exact(items.len());
    for (position, item) in items.iter().enumerate() {
        let path = Path::index(path, position);
        let described = fields::descriptor(Field::new(item, &path))?;
        found.push(described.into_reference(role));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
