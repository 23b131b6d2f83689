//! Manifest records: a header line, then the exact bytes that were pushed.

use bytes::{BufMut, Bytes, BytesMut};
use entrepot_oci::{Descriptor, Digest, MediaType};
use serde::{Deserialize, Serialize};

use super::{Class, Nonce, Record, decode_json, encode_json};

/// Where in its life a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestState {
    /// Announced: its references are being verified. Readers do not see it.
    Pending,
    /// There, with everything it names.
    Committed,
    /// There, but a collector or a delete is looking.
    Condemned,
    /// Gone; the record keeps no bytes.
    Dead,
}

/// A manifest as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRecord {
    /// Its state.
    pub state: ManifestState,
    /// What it was pushed as.
    pub media_type: MediaType,
    /// Everything it names that has to be in the repository.
    pub refs: Vec<Digest>,
    /// Whether `refs` may be manifests: an index.
    pub is_index: bool,
    /// How many levels of indexes lie below: 0 for an image, one more than its deepest entry for an
    /// index. Known once the references were verified.
    pub depth: u32,
    /// What it refers to as its subject.
    pub subject: Option<Digest>,
    /// The exact bytes.
    pub bytes: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Header {
    state: ManifestState,
    #[serde(rename = "mediaType")]
    media_type: MediaType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refs: Vec<Digest>,
    #[serde(default, rename = "index", skip_serializing_if = "std::ops::Not::not")]
    is_index: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    depth: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Digest>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
const fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

impl ManifestRecord {
    /// Whether readers see it.
    pub const fn is_visible(&self) -> bool {
        matches!(self.state, ManifestState::Committed | ManifestState::Condemned)
    }

    /// The same manifest in another state; a dead one keeps no bytes and names nothing but its subject,
    /// so that a repeated delete can finish what the first began.
    #[must_use]
    pub fn in_state(&self, state: ManifestState) -> Self {
        if state == ManifestState::Dead {
            return Self { state, refs: Vec::new(), bytes: Bytes::new(), ..self.clone() };
        }
        Self { state, ..self.clone() }
    }

    /// The descriptor under which it is served.
    pub fn descriptor(&self, digest: Digest) -> Descriptor {
        Descriptor::new(self.media_type.clone(), digest, self.bytes.len() as u64)
    }

    fn class(&self) -> Class {
        match self.state {
            ManifestState::Committed => Class::LIVE,
            ManifestState::Condemned => Class::CONDEMNED,
            ManifestState::Pending => Class::PENDING,
            ManifestState::Dead => Class::DEAD,
        }
        .naming_manifests(self.is_index)
    }
}

impl Record for ManifestRecord {
    fn decode(bytes: &Bytes) -> Result<(Self, Nonce), String> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("no header line")?;
        let (header, nonce) = decode_json::<Header>(&bytes[..end])?;
        let Header { state, media_type, refs, is_index, depth, subject } = header;
        Ok((Self { state, media_type, refs, is_index, depth, subject, bytes: bytes.slice(end + 1..) }, nonce))
    }

    fn encode(&self, nonce: Nonce) -> Bytes {
        let header = Header {
            state: self.state,
            media_type: self.media_type.clone(),
            refs: self.refs.clone(),
            is_index: self.is_index,
            depth: self.depth,
            subject: self.subject,
        };
        let line = encode_json(&header, nonce, self.class(), self.bytes.len() + 1);
        let mut whole = BytesMut::with_capacity(line.len() + 1 + self.bytes.len());
        whole.put_slice(&line);
        whole.put_u8(b'\n');
        whole.put_slice(&self.bytes);
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_bytes_come_back_whatever_they_are() {
        for content in [&b"{}"[..], b"{\n}\n", b"", b"\n\n"] {
            let record = ManifestRecord {
                state: ManifestState::Committed,
                media_type: "application/x".parse().unwrap(),
                refs: vec![Digest::sha256(b"a")],
                is_index: true,
                depth: 2,
                subject: Some(Digest::sha256(b"s")),
                bytes: Bytes::copy_from_slice(content),
            };

            let encoded = record.encode(Nonce(9));

            assert!(Class::of_size(encoded.len() as u64).may_name_manifests());
            assert_eq!(ManifestRecord::decode(&encoded), Ok((record, Nonce(9))));
        }
    }
}
