//! Layers: a tar with one file of noise, compressed or not, written while it is hashed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::noise::Noise;

/// A layer to be made.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    seed: u64,
    bytes: u64,
    gzip: bool,
}

/// A layer that lies in a layout.
pub(super) struct Written {
    pub(super) descriptor: Value,
    /// The digest of the tar itself, whatever it was compressed with.
    pub(super) content_digest: String,
}

impl Layer {
    /// A compressed layer with a file of `bytes`.
    pub fn gzip(seed: u64, bytes: u64) -> Self {
        Self { seed, bytes, gzip: true }
    }

    /// A layer that is a plain tar with a file of `bytes`.
    pub fn plain(seed: u64, bytes: u64) -> Self {
        Self { seed, bytes, gzip: false }
    }

    /// Writes it into the layout at `directory`.
    pub(super) fn write(&self, directory: &Path) -> Written {
        let blobs = directory.join("blobs/sha256");
        let being_written = blobs.join(format!("being-written-{}", self.seed));
        let file =
            BufWriter::with_capacity(1 << 20, File::create(&being_written).expect("a blob can be made"));
        let (content_digest, blob) = self.pack(Hashing::new(file)).expect("a layer can be written");
        let digest = blob.digest();
        fs::rename(&being_written, blobs.join(&digest[7..])).expect("a blob can be named");
        let kind = if self.gzip { "tar+gzip" } else { "tar" };
        let media_type = format!("application/vnd.oci.image.layer.v1.{kind}");
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": blob.bytes});
        Written { descriptor, content_digest }
    }

    /// Packs it into `blob`, and returns the digest of what was packed beside what it was packed into.
    fn pack<W: Write>(&self, blob: Hashing<W>) -> io::Result<(String, Hashing<W>)> {
        if !self.gzip {
            let blob = self.tar(blob)?;
            return Ok((blob.digest(), blob));
        }
        // A header without a time and a name: they would change the digest.
        let compressed = GzBuilder::new().mtime(0).write(blob, Compression::fast());
        let content = self.tar(Hashing::new(compressed))?;
        let digest = content.digest();
        Ok((digest, content.inner.finish()?))
    }

    fn tar<W: Write>(&self, sink: W) -> io::Result<W> {
        let mut archive = tar::Builder::new(sink);
        let path = format!("layer-{}", self.seed);
        archive.append_data(&mut header(self.bytes), path, Noise::new(self.seed, self.bytes))?;
        let mut sink = archive.into_inner()?;
        sink.flush()?;
        Ok(sink)
    }
}

/// The header of a file that belongs to nobody in particular and was always there.
pub(super) fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

/// `sha256:` and the hash of `bytes`.
pub(super) fn digest(bytes: &[u8]) -> String {
    named(&Sha256::digest(bytes))
}

fn named(hash: &[u8]) -> String {
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// Hashes and counts what goes through it.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn digest(&self) -> String {
        named(&self.hash.clone().finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
