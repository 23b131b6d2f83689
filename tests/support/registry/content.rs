//! What clients do all day, in as few words as a test wants to spend on it.

use entrepot_oci::manifest::build::{self, Built};
use entrepot_oci::media_type::{OCI_CONFIG, OCI_LAYER_GZIP};
use entrepot_oci::{Descriptor, Digest, MediaType};

use crate::http::{Client, Response};

/// A descriptor of content that is at hand.
pub fn descriptor(media_type: &str, content: &[u8]) -> Descriptor {
    Descriptor::new(typed(media_type), Digest::sha256(content), content.len() as u64)
}

/// The descriptor of a built manifest.
pub fn descriptor_of(manifest: &Built) -> Descriptor {
    descriptor(manifest.media_type.as_str(), &manifest.bytes)
}

fn typed(text: &str) -> MediaType {
    text.parse().expect("tests use well-formed media types")
}

/// `length` bytes that differ from those of every other seed and compress badly.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut step).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}

/// An image with one config and one layer, not pushed yet.
#[derive(Clone, Debug)]
pub struct Image {
    /// The config.
    pub config: Vec<u8>,
    /// The layer.
    pub layer: Vec<u8>,
    /// The manifest.
    pub manifest: Built,
}

impl Image {
    /// An image unlike that of any other name.
    pub fn called(name: &str) -> Self {
        let config =
            format!("{{\"architecture\":\"amd64\",\"os\":\"linux\",\"name\":\"{name}\"}}").into_bytes();
        let layer = format!("the layer of {name}").into_bytes();
        let manifest = build::Image::oci(descriptor(OCI_CONFIG, &config))
            .layer(descriptor(OCI_LAYER_GZIP, &layer))
            .build();
        Self { config, layer, manifest }
    }

    /// Its manifest's digest.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.manifest.bytes)
    }

    /// Its manifest's descriptor.
    pub fn descriptor(&self) -> Descriptor {
        descriptor_of(&self.manifest)
    }
}

impl Client {
    /// Opens an upload and answers its address.
    #[track_caller]
    pub fn open_upload(&self, name: &str) -> String {
        let opened = self.post(format!("/v2/{name}/blobs/uploads/")).empty().send().expect(202);
        opened.expect_header("Location").to_owned()
    }

    /// Pushes a blob as containerd does: POST, then one PUT.
    #[track_caller]
    pub fn push_blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let location = self.open_upload(name);
        self.put(with_digest(&location, digest)).body(content).send().expect(201);
        digest
    }

    /// Puts a manifest under a tag or digest.
    pub fn put_manifest(&self, name: &str, reference: &str, manifest: &Built) -> Response {
        self.put(format!("/v2/{name}/manifests/{reference}"))
            .header("Content-Type", manifest.media_type.as_str())
            .body(manifest.bytes.clone())
            .send()
    }

    /// Pushes a manifest whose content is there already, and answers its digest.
    #[track_caller]
    pub fn push_manifest(&self, name: &str, reference: &str, manifest: &Built) -> Digest {
        self.put_manifest(name, reference, manifest).expect(201);
        Digest::sha256(&manifest.bytes)
    }

    /// Pushes an image whole.
    #[track_caller]
    pub fn push_image(&self, name: &str, reference: &str, image: &Image) -> Digest {
        self.push_blob(name, &image.config);
        self.push_blob(name, &image.layer);
        self.push_manifest(name, reference, &image.manifest)
    }

    /// Pushes a fresh image named after its repository and tag.
    #[track_caller]
    pub fn push_some_image(&self, name: &str, tag: &str) -> Image {
        let image = Image::called(&format!("{name}:{tag}"));
        self.push_image(name, tag, &image);
        image
    }
}

/// The address of an upload with the digest that closes it. The query of the address is opaque and kept.
pub fn with_digest(location: &str, digest: impl std::fmt::Display) -> String {
    with_query(location, &format!("digest={digest}"))
}

/// An address with more query.
pub fn with_query(location: &str, query: &str) -> String {
    let joint = if location.contains('?') { '&' } else { '?' };
    format!("{location}{joint}{query}")
}
