//! The manifest formats in one table, and how a document finds its row.

use super::fields::{Field, Members, Path, refuse};
use super::{Kind, Referenced, docker, image, index};
use crate::MediaType;
use crate::media_type::{
    DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_ARTIFACT_MANIFEST, OCI_INDEX, OCI_MANIFEST,
};

/// One manifest format.
#[derive(Debug)]
pub struct Schema {
    /// The type it is pushed and served under.
    pub media_type: &'static str,
    /// Its shape.
    pub kind: Kind,
    /// Whether a document must carry its `mediaType` itself.
    pub names_itself: bool,
    /// Finds everything the document is made of.
    pub(super) references: fn(&Members<'_, '_>) -> Result<Vec<Referenced>, String>,
}

/// Every accepted format. The order has no meaning; a media type occurs once.
pub static SCHEMAS: [Schema; 4] = [image::OCI, index::OCI, docker::MANIFEST, docker::LIST];

/// Formats that are recognised so that the refusal can say why.
const RETIRED: [(&str, &str); 3] = [
    (DOCKER_SCHEMA1, SCHEMA1),
    (DOCKER_SCHEMA1_SIGNED, SCHEMA1),
    (OCI_ARTIFACT_MANIFEST, "the artifact manifest was dropped from image-spec 1.1; use an image manifest"),
];

const SCHEMA1: &str = "schema v1 unsupported; push the image as schema 2 or OCI";

/// The format with this media type, compared exactly.
pub fn schema(media_type: &str) -> Option<&'static Schema> {
    SCHEMAS.iter().find(|schema| schema.media_type == media_type)
}

/// Whether content of this type is a manifest that [`super::parse`] can read.
pub fn is_manifest_type(media_type: &MediaType) -> bool {
    schema(media_type.as_str()).is_some()
}

/// Whether this type is recognised only to be refused with a reason: formats the field has given up.
pub fn is_retired(media_type: &MediaType) -> bool {
    RETIRED.iter().any(|(retired, _)| media_type.as_str() == *retired)
}

impl Schema {
    /// The media type as the type everybody else uses.
    pub fn media_type(&self) -> MediaType {
        self.media_type.parse().expect("the table holds media types only")
    }
}

/// Picks the format by header, then field, then shape, and refuses documents that could be two things.
pub(super) fn choose(header: Option<&MediaType>, top: &Members<'_, '_>) -> Result<&'static Schema, String> {
    let path = Path::key(top.path(), "mediaType");
    // An empty one counts as missing: Go programs write absent strings that way.
    let named = top.get(&path).filter(|field| !field.is_empty_text());
    let field = named.map(Field::parsed::<MediaType>).transpose()?;
    if let (Some(header), Some(field)) = (header, &field)
        && header != field
    {
        return refuse(&path, format_args!("{field}, but the Content-Type is {header}"));
    }
    let schema = match header.or(field.as_ref()) {
        Some(media_type) => by_media_type(media_type)?,
        None => by_shape(top)?,
    };
    check_version(top)?;
    check_shape(schema, top)?;
    if schema.names_itself && field.is_none() {
        return refuse(&path, format_args!("required in {}", schema.media_type));
    }
    Ok(schema)
}

fn by_media_type(media_type: &MediaType) -> Result<&'static Schema, String> {
    let unknown = || {
        let retired = RETIRED.iter().find(|(retired, _)| media_type.as_str() == *retired);
        let reason = retired.map_or("not a supported manifest media type", |(_, reason)| reason);
        format!("{media_type}: {reason}")
    };
    schema(media_type.as_str()).ok_or_else(unknown)
}

/// Docker's formats always name themselves, so a nameless document is OCI's.
fn by_shape(top: &Members<'_, '_>) -> Result<&'static Schema, String> {
    let media_type = if top.has("manifests") {
        OCI_INDEX
    } else if top.has("config") || top.has("layers") {
        OCI_MANIFEST
    } else if top.has("fsLayers") {
        return Err(SCHEMA1.into());
    } else {
        return Err("neither Content-Type nor mediaType given, and it looks like no manifest".into());
    };
    Ok(schema(media_type).expect("both OCI formats are in the table"))
}

fn check_version(top: &Members<'_, '_>) -> Result<(), String> {
    let path = Path::key(top.path(), "schemaVersion");
    match top.require(&path)?.integer()? {
        2 => Ok(()),
        1 => refuse(&path, SCHEMA1),
        other => refuse(&path, format_args!("must be 2, found {other}")),
    }
}

/// A reader that goes by shape must come to the same format as one that goes by media type.
fn check_shape(schema: &Schema, top: &Members<'_, '_>) -> Result<(), String> {
    let foreign: &[&str] = match schema.kind {
        Kind::Image => &["manifests", "fsLayers"],
        Kind::Index => &["config", "layers", "fsLayers"],
    };
    match foreign.iter().find(|name| top.has(name)) {
        Some(name) => {
            let reason = format_args!("does not belong into {}", schema.media_type);
            refuse(&Path::key(top.path(), name), reason)
        }
        None => Ok(()),
    }
}
