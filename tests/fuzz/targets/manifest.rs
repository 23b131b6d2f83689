//! Manifests. The first byte chooses the `Content-Type`, the rest is the document.
//!
//! What is accepted is read a second time by an unsuspecting JSON parser: it must find no content that
//! the strict one did not report, because that would not be checked at push and not be kept alive after.

#![no_main]

use entrepot_oci::manifest::{self, Kind, MAX_REFERENCES, Manifest, Role, SCHEMAS};
use entrepot_oci::{Digest, MediaType};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, document)) = bytes.split_first() else { return };
    let header = SCHEMAS.get(usize::from(*choice) % (SCHEMAS.len() + 1)).map(|schema| schema.media_type());
    let Ok(manifest) = manifest::parse(header.as_ref(), document) else { return };

    typed_as_sent(&manifest, header.as_ref(), document);
    nothing_is_hidden(&manifest, document);
    bounds_hold(&manifest);
    exactly_one_document(&manifest, document);
});

fn typed_as_sent(manifest: &Manifest, header: Option<&MediaType>, document: &[u8]) {
    assert!(header.is_none_or(|header| *header == manifest.media_type));
    assert_eq!(manifest::parse(Some(&manifest.media_type), document).as_ref(), Ok(manifest));
    for other in SCHEMAS.iter().filter(|other| other.kind != manifest.kind) {
        assert!(manifest::parse(Some(&other.media_type()), document).is_err(), "two kinds at once");
    }
}

fn nothing_is_hidden(manifest: &Manifest, document: &[u8]) {
    let value: Value = serde_json::from_slice(document).expect("what is accepted is JSON");
    assert_eq!(value["schemaVersion"], 2);
    let found: Vec<&str> = match manifest.kind {
        Kind::Image => std::iter::once(&value["config"]).chain(list(&value["layers"])).map(digest).collect(),
        Kind::Index => list(&value["manifests"]).map(digest).collect(),
    };
    let reported: Vec<String> =
        manifest.references.iter().map(|reference| reference.descriptor.digest.to_string()).collect();
    assert_eq!(reported, found);
    let subject = manifest.subject.as_ref().map(|subject| subject.digest.to_string());
    assert_eq!(subject.as_deref(), value["subject"]["digest"].as_str());
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().expect("a descriptor has a digest")
}

fn bounds_hold(manifest: &Manifest) {
    assert!(manifest.references.len() <= MAX_REFERENCES);
    for reference in &manifest.references {
        assert!(i64::try_from(reference.descriptor.size).is_ok());
        assert!(reference.role.must_exist() || !reference.urls.is_empty());
        let indexed = matches!(reference.role, Role::Child | Role::IndexedBlob);
        assert_eq!(indexed, manifest.kind == Kind::Index);
    }
    assert_eq!(manifest.blobs().count() + manifest.children().count(), manifest.references.len());
    let listed = manifest::referrer_descriptor(manifest, Digest::sha256(b""), 0);
    assert!(manifest.kind == Kind::Index || listed.artifact_type.is_some());
}

/// Blanks around it change nothing, anything else is a different document.
fn exactly_one_document(manifest: &Manifest, document: &[u8]) {
    let padded = [b" \n".as_slice(), document, b"\t\r\n"].concat();
    assert_eq!(manifest::parse(Some(&manifest.media_type), &padded).as_ref(), Ok(manifest));
    for tail in [b"{}".as_slice(), b"\0", b",", b"\xff"] {
        assert!(manifest::parse(Some(&manifest.media_type), &[document, tail].concat()).is_err());
    }
}
