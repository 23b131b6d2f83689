//! What is pushed: noise, so that nothing is short-cut because it is there already, and images of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::Path;

use entrepot_oci::{Algorithm, Digest, Hasher};
use serde_json::{Value, json};

/// The media type of [`Image::manifest`].
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// How many layers an image has, and how long each is.
const LAYERS: usize = 10;
pub(super) const SMALL_BYTES: usize = 1024;

pub(super) const MEBIBYTE: usize = 1 << 20;

/// Random bytes.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// Random text of one word, for a plan: two characters for each byte of noise.
pub(super) fn word(length: usize) -> String {
    noise(length / 2).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An image of small layers that no registry has seen.
pub(super) struct Image {
    /// Config and layers.
    pub(super) blobs: Vec<String>,
    pub(super) manifest: String,
}

impl Image {
    pub(super) fn new() -> Self {
        Self::of((0..LAYERS).map(|_| word(SMALL_BYTES)).collect())
    }

    /// One of layers of these lengths, which differ in their beginning only from those of others.
    pub(super) fn of_lengths(lengths: impl Iterator<Item = usize>) -> Self {
        const OWN: usize = 32;
        Self::of(lengths.map(|length| word(OWN) + &"0".repeat(length - OWN)).collect())
    }

    fn of(layers: Vec<String>) -> Self {
        let config = json!({"architecture": "amd64", "os": "linux", "author": word(16)}).to_string();
        let descriptors: Vec<_> = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": descriptors,
        });
        let blobs = layers.into_iter().chain([config]).collect();
        Self { blobs, manifest: manifest.to_string() }
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::sha256(self.manifest.as_bytes())
    }
}

fn descriptor(media_type: &str, content: &str) -> Value {
    let digest = Digest::sha256(content.as_bytes()).to_string();
    json!({"mediaType": media_type, "digest": digest, "size": content.len()})
}

/// Writes a file of noise.
pub(super) fn write_noise(path: &Path, mebibytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    (0..mebibytes).try_for_each(|_| file.write_all(&noise(MEBIBYTE)))
}

/// Writes a file that has its length, and no more.
pub(super) fn write_hole(path: &Path, mebibytes: u64) -> io::Result<()> {
    File::create(path)?.set_len(mebibytes * MEBIBYTE as u64)
}

/// Changes the beginning of a file, and returns its digest: to a registry all of it is new.
pub(super) fn renew(path: &Path) -> io::Result<Digest> {
    OpenOptions::new().write(true).open(path)?.write_all(&noise(32))?;
    digest_of(fs::File::open(path)?)
}

/// The digest of all there is to read.
pub(super) fn digest_of(mut source: impl Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; MEBIBYTE];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_images_share_a_blob_and_each_names_its_own() {
        let (one, other) = (Image::new(), Image::new());

        assert!(one.blobs.iter().all(|blob| !other.blobs.contains(blob)));
        assert_eq!(one.blobs.len(), LAYERS + 1);
        for blob in &one.blobs {
            assert!(one.manifest.contains(&Digest::sha256(blob.as_bytes()).to_string()));
        }
    }

    #[test]
    fn a_file_made_new_has_another_digest_and_the_same_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("noise");
        write_noise(&path, 1).unwrap();

        let (first, second) = (renew(&path).unwrap(), renew(&path).unwrap());

        assert_ne!(first, second);
        assert_eq!(second, Digest::sha256(&fs::read(&path).unwrap()));
        assert_eq!(fs::metadata(&path).unwrap().len(), MEBIBYTE as u64);
    }
}
