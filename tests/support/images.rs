//! Images made from nothing: OCI layouts whose every byte follows from a seed.
//!
//! The same seed gives the same digests on every machine, so a suite compares what comes back with what it
//! made. Content is noise: a part swapped, cut or repeated by a registry changes the digest.

mod layer;
mod noise;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub use layer::Layer;
pub use noise::Noise;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The tag every layout gives to its one image.
pub const TAG: &str = "v1";

/// A finished OCI layout with one image or index in it, tagged [`TAG`].
#[derive(Clone, Debug)]
pub struct Layout {
    directory: PathBuf,
    top: Value,
}

impl Layout {
    /// An image with these layers.
    pub fn image(directory: &Path, layers: &[Layer]) -> Self {
        let blobs = Blobs::create(directory);
        let top = blobs.image("amd64", layers);
        Self::finish(blobs, top)
    }

    /// Two small layers, one compressed.
    pub fn small(directory: &Path, seed: u64) -> Self {
        Self::image(directory, &[Layer::gzip(seed, 70_000), Layer::plain(seed + 1, 3_000)])
    }

    /// As many layers as docker's overlay driver takes with room to spare.
    pub fn hundred_layers(directory: &Path) -> Self {
        let layers: Vec<_> = (0..100).map(|seed| Layer::gzip(1000 + seed, 2_000)).collect();
        Self::image(directory, &layers)
    }

    /// One layer of a gibibyte, and a small one.
    pub fn gibibyte_layer(directory: &Path) -> Self {
        Self::image(directory, &[Layer::plain(7, 1 << 30), Layer::gzip(8, 10_000)])
    }

    /// An index of one image for each of two architectures; they share a layer.
    pub fn multi_architecture(directory: &Path) -> Self {
        let blobs = Blobs::create(directory);
        let architectures = [("amd64", 51), ("arm64", 52)];
        let images = architectures
            .map(|(name, seed)| blobs.image(name, &[Layer::gzip(50, 20_000), Layer::gzip(seed, 30_000)]));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images});
        let top = blobs.add_json(INDEX, &index);
        Self::finish(blobs, top)
    }

    fn finish(blobs: Blobs, top: Value) -> Self {
        let mut named = top.clone();
        named["annotations"] = json!({"org.opencontainers.image.ref.name": TAG});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]});
        write(&blobs.directory.join("index.json"), index.to_string().as_bytes());
        write(&blobs.directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
        Self { directory: blobs.directory, top }
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `<directory>:<tag>`, as `oci:` and `ocidir://` addresses end.
    pub fn reference(&self) -> String {
        format!("{}:{TAG}", self.directory.display())
    }

    /// The digest of the image or index.
    pub fn digest(&self) -> &str {
        self.top["digest"].as_str().expect("a descriptor has a digest")
    }

    /// The image or index as it is stored.
    pub fn manifest(&self) -> Vec<u8> {
        self.blob(self.digest())
    }

    /// The content with this digest.
    pub fn blob(&self, digest: &str) -> Vec<u8> {
        let path = self.directory.join(blob_path(digest));
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The digests the image names, config first. Not for an index.
    pub fn parts(&self) -> Vec<String> {
        let manifest: Value = serde_json::from_slice(&self.manifest()).expect("a manifest is JSON");
        let layers = manifest["layers"].as_array().expect("an image has layers");
        let parts = std::iter::once(&manifest["config"]).chain(layers);
        parts.map(|part| part["digest"].as_str().expect("a descriptor has a digest").to_owned()).collect()
    }

    /// The layout as one tar that `ctr images import` takes, and `docker load` under the name `name`.
    /// Only an image can be loaded into docker.
    pub fn archive(&self, path: &Path, name: &str) {
        let mut archive = tar::Builder::new(File::create(path).expect("an archive can be made"));
        archive.append_dir_all(".", &self.directory).expect("a layout can be packed");
        if self.top["mediaType"] == MANIFEST {
            let parts: Vec<_> = self.parts().iter().map(|digest| blob_path(digest)).collect();
            let list = json!([{"Config": parts[0], "RepoTags": [name], "Layers": parts[1..]}]).to_string();
            let mut header = layer::header(list.len() as u64);
            archive
                .append_data(&mut header, "manifest.json", list.as_bytes())
                .expect("the list can be packed");
        }
        archive.into_inner().expect("the archive can be closed").sync_all().expect("and written");
    }
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn write(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.write_all(bytes).expect("a file takes bytes");
}

/// The blobs of a layout that is being made.
struct Blobs {
    directory: PathBuf,
}

impl Blobs {
    fn create(directory: &Path) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).expect("a layout can be made");
        Self { directory: directory.to_owned() }
    }

    /// Writes an image and returns its descriptor, with its platform.
    fn image(&self, architecture: &str, layers: &[Layer]) -> Value {
        let written: Vec<_> = layers.iter().map(|layer| layer.write(&self.directory)).collect();
        let contents: Vec<_> = written.iter().map(|layer| &layer.content_digest).collect();
        let history: Vec<_> = written
            .iter()
            .map(|_| json!({"created": "2026-01-01T00:00:00Z", "created_by": "test"}))
            .collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["/none"]}, "history": history,
            "rootfs": {"type": "layers", "diff_ids": contents},
        });
        let descriptors: Vec<_> = written.iter().map(|layer| &layer.descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.add_json(CONFIG, &config), "layers": descriptors,
        });
        let mut descriptor = self.add_json(MANIFEST, &manifest);
        descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
        descriptor
    }

    fn add_json(&self, media_type: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let digest = layer::digest(&bytes);
        write(&self.directory.join(blob_path(&digest)), &bytes);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_image_and_another_seed_another() {
        let home = tempfile::tempdir().unwrap();
        let layout = |name: &str, seed| Layout::small(&home.path().join(name), seed);

        let (one, again, other) = (layout("one", 1), layout("again", 1), layout("other", 2));

        assert_eq!(one.digest(), again.digest());
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn every_blob_of_an_image_hashes_to_its_name() {
        let home = tempfile::tempdir().unwrap();

        let layout = Layout::small(home.path(), 1);

        for digest in layout.parts() {
            assert_eq!(layer::digest(&layout.blob(&digest)), digest);
        }
    }
}
