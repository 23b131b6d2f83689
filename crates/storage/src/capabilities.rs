//! What a store can do, declared by its driver and constant for the driver's life.

use std::time::Duration;

/// Limits and abilities the callers must respect. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The smallest part, the last one excepted. 1 where there is no minimum.
    pub min_part: u64,
    /// The part size that suits the store when the caller has no other wish.
    pub preferred_part: u64,
    /// The largest part.
    pub max_part: u64,
    /// The most parts one upload may have.
    pub max_parts: u32,
    /// Every part but the last must have the same size (R2).
    pub uniform_parts: bool,
    /// How many parts of one upload may be in flight at once. 1 where order of arrival matters.
    pub parallel_parts: usize,
    /// `put` honours [`PutMode::IfAbsent`](crate::PutMode) and `IfMatch` atomically.
    pub conditional_put: bool,
    /// `delete` honours its version atomically.
    pub conditional_delete: bool,
    /// `presign_get` can answer a URL.
    pub presign: bool,
    /// Its URLs honour a `Range` that counts from the end, `bytes=-500`. Where they do not, such pulls must
    /// not be sent to them.
    pub presigned_suffixes: bool,
    /// The longest a URL may be asked to last, so that it does: what signs it has an end of its own. Temporary
    /// credentials may cut it shorter still.
    pub longest_url: Duration,
    /// The most keys one `delete_many` sends to the store at once.
    pub delete_batch: usize,
}
