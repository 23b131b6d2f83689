//! Uploads in parts, as values: what one process began another may continue.

use serde::{Deserialize, Serialize};

use crate::Key;

/// An upload in progress at the store. Plain data: it may be stored and taken up by another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Where the object will appear.
    pub key: Key,
    /// The store's name for it (S3 upload id, a writer nonce, a staging file).
    pub id: String,
}

/// A part the store has acknowledged. Our own list of these is the truth about an upload; a store's
/// listing of parts is not, because a writer that was overtaken may still have added to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its place, from 1, without gaps.
    pub number: u32,
    /// Its length in bytes.
    pub size: u64,
    /// What the store named these very bytes (ETag, block id, file extent).
    pub tag: String,
}

/// An upload as a store lists it: for cleaning up, never for correctness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEntry {
    /// The upload.
    pub upload: Upload,
    /// When it was begun, by the store's clock.
    pub initiated: Option<std::time::SystemTime>,
}
