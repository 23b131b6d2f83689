//! The shapes of bodies and headers, as the OpenAPI document names them.

use serde_json::{Map, Value, json};

use crate::endpoint::Body;
use crate::header::{self, Header};
use crate::{ErrorCode, envelope};

/// OpenAPI keeps these out of parameters and response headers: they follow from content and security.
pub(super) fn has_a_place_of_its_own(row: &Header) -> bool {
    [header::ACCEPT, header::AUTHORIZATION, header::CONTENT_TYPE].contains(row)
}

/// The media types of a body, each with its schema.
pub(super) fn content(body: Body) -> Value {
    let bytes = json!({});
    let reference = |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
    match body {
        Body::Empty => json!({}),
        Body::EmptyObject => json!({ "application/json": { "schema": { "type": "object" } } }),
        Body::Manifest => manifest_types().map(|media| (media.to_owned(), reference("Manifest"))).collect(),
        Body::Blob => json!({ "application/octet-stream": bytes }),
        Body::BlobRanges => json!({ "application/octet-stream": bytes, "multipart/byteranges": bytes }),
        Body::Tags => json!({ "application/json": reference("TagList") }),
        Body::Catalog => json!({ "application/json": reference("Catalog") }),
        Body::ManifestTags => json!({ "application/json": reference("ManifestTags") }),
        Body::Referrers => json!({ OCI_INDEX: reference("Referrers") }),
    }
}

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn manifest_types() -> impl Iterator<Item = &'static str> {
    [
        OCI_INDEX,
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]
    .into_iter()
}

/// Headers, schemas and ways to authenticate, for references.
pub(super) fn components() -> Value {
    let headers: Map<String, Value> = header::ALL
        .iter()
        .filter(|row| !has_a_place_of_its_own(row))
        .map(|row| {
            (row.name.to_owned(), json!({ "description": row.description, "schema": { "type": "string" } }))
        })
        .collect();
    json!({
        "headers": headers,
        "schemas": schemas(),
        "securitySchemes": {
            "basic": { "type": "http", "scheme": "basic" },
            "bearer": { "type": "http", "scheme": "bearer" },
        },
    })
}

fn schemas() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let described: Vec<_> =
        ErrorCode::ALL.iter().map(|code| format!("- `{code}`: {}", code.description())).collect();
    json!({
        "ErrorCode": { "type": "string", "enum": codes, "description": described.join("\n") },
        "Error": object(&["code"], json!({
            "code": { "$ref": "#/components/schemas/ErrorCode" },
            "message": { "type": "string", "description": "For people." },
            "detail": { "description": "What the error is about; its shape depends on the code." },
        })),
        "Errors": object(&["errors"], json!({
            "errors": {
                "type": "array",
                "minItems": 1,
                "maxItems": envelope::MAX_ERRORS,
                "items": { "$ref": "#/components/schemas/Error" },
            },
        })),
        "TagList": object(&["name", "tags"], json!({ "name": { "type": "string" }, "tags": texts })),
        "Catalog": object(&["repositories"], json!({ "repositories": texts })),
        "ManifestTags": object(&["digest", "name", "tags"], json!({
            "digest": { "type": "string" },
            "name": { "type": "string" },
            "tags": texts,
        })),
        "Manifest": {
            "type": "object",
            "description": "An image manifest or index of OCI or Docker, kept byte for byte.",
        },
        "Descriptor": object(&["digest", "mediaType", "size"], json!({
            "annotations": { "type": "object", "additionalProperties": { "type": "string" } },
            "artifactType": { "type": "string" },
            "digest": { "type": "string" },
            "mediaType": { "type": "string" },
            "size": { "type": "integer", "format": "int64", "minimum": 0 },
        })),
        "Referrers": object(&["manifests", "schemaVersion"], json!({
            "manifests": { "type": "array", "items": { "$ref": "#/components/schemas/Descriptor" } },
            "mediaType": { "const": OCI_INDEX },
            "schemaVersion": { "const": 2 },
        })),
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}
