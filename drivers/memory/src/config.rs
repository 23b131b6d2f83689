//! What the store pretends to be.

use std::time::Duration;

use entrepot_storage::Capabilities;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The abilities a [`MemoryDriver`](crate::MemoryDriver) declares and enforces, and how it hands out
/// bodies.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is declared; all of it is enforced as the imitated store would.
    pub capabilities: Capabilities,
    /// Bodies longer than this are streamed, in chunks of at most so many bytes.
    pub stream_chunk_bytes: usize,
}

impl Default for Config {
    /// Everything allowed: parts of any size in parallel, all conditions, fake presigned URLs.
    fn default() -> Self {
        let capabilities = Capabilities {
            min_part: 1,
            preferred_part: MIB,
            max_part: 5 * KIB * MIB,
            max_parts: 10_000,
            uniform_parts: false,
            parallel_parts: 4,
            conditional_put: true,
            conditional_delete: true,
            presign: true,
            presigned_suffixes: true,
            longest_url: Duration::MAX,
            delete_batch: 1000,
        };
        Self { capabilities, stream_chunk_bytes: MIB as usize }
    }
}

impl Config {
    /// Like AWS S3, with its 5 MiB minimum scaled down to `min_part` bytes to keep tests small.
    pub fn resembling_s3(min_part: u64) -> Self {
        let everything = Self::default();
        let capabilities = Capabilities { min_part, preferred_part: min_part, ..everything.capabilities };
        Self { capabilities, ..everything }
    }

    /// Like Cloudflare R2: as S3, and all parts but the last must have one size. `delete` knows no
    /// versions.
    pub fn resembling_r2(min_part: u64) -> Self {
        let s3 = Self::resembling_s3(min_part);
        let capabilities = Capabilities { uniform_parts: true, conditional_delete: false, ..s3.capabilities };
        Self { capabilities, ..s3 }
    }

    /// Like a local disk: one part at a time, of any size, nothing presigned.
    pub fn resembling_a_disk() -> Self {
        let everything = Self::default();
        let capabilities = Capabilities {
            parallel_parts: 1,
            presign: false,
            presigned_suffixes: false,
            max_parts: u32::MAX,
            ..everything.capabilities
        };
        Self { capabilities, ..everything }
    }
}
