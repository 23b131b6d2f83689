//! Records: small values in the store that change only by compare-and-swap.
//!
//! Every write carries a fresh nonce, so each version of a record is unlike every other and an answer
//! that was lost or is ambiguous can be settled by reading back. A record's length tells a listing
//! whether it counts: see [`Class`].

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_storage::{ErrorKind, Key, PreparedPut, PutMode, StorageDriverExt, Version};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::registry::Inner;

mod content;
mod envelope;
mod manifest;
mod purge;
mod session;
mod tag;

use envelope::read as decode_json;

pub use content::{Life, Pointer, RepositoryEntry};
pub use manifest::{ManifestRecord, ManifestState};
pub use purge::PurgeRecord;
pub use session::{BlobThen, Publishing, SessionRecord, SessionState};
pub use tag::{Announcement, TagRecord};

/// How often a lost race is run again before the caller is told to come back.
pub(crate) const ATTEMPTS: u32 = 6;
/// How often a write is sent that the store fails on.
const AFTER_FAILURES: u32 = 3;

/// 128 random bits, unique to one write of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub u128);

impl Serialize for Nonce {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NonceVisitor)
    }
}

struct NonceVisitor;

impl serde::de::Visitor<'_> for NonceVisitor {
    type Value = Nonce;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Nonce, E> {
        u128::from_str_radix(text, 16).map(Nonce).map_err(E::custom)
    }
}

/// What a record's length modulo 8 tells a listing. The lower two bits are the state; the third says
/// that a manifest names other manifests, so that a search for parents reads only indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(pub u8);

impl Class {
    /// Counts: live, committed, a tag that names something.
    pub const LIVE: Class = Class(0);
    /// Still counts, but a collector is looking.
    pub const CONDEMNED: Class = Class(1);
    /// Announced, not yet there.
    pub const PENDING: Class = Class(2);
    /// Gone.
    pub const DEAD: Class = Class(3);

    /// The class with the mark of a manifest that names manifests.
    #[must_use]
    pub const fn naming_manifests(self, names: bool) -> Class {
        Class(self.0 | if names { 4 } else { 0 })
    }

    /// What an object of `size` bytes says.
    pub const fn of_size(size: u64) -> Class {
        Class((size % 8) as u8)
    }

    /// Whether readers see the record.
    pub const fn is_visible(self) -> bool {
        self.0 & 3 <= 1
    }

    /// Whether the record is a tombstone.
    pub const fn is_dead(self) -> bool {
        self.0 & 3 == 3
    }

    /// Whether the record may name manifests.
    pub const fn may_name_manifests(self) -> bool {
        self.0 & 4 != 0
    }
}

/// A value that can be kept as a record.
pub trait Record: Sized + Clone + Send + Sync {
    /// Reads a record and the nonce it was written with.
    fn decode(bytes: &Bytes) -> Result<(Self, Nonce), String>;
    /// Writes the record so that its length tells its class.
    fn encode(&self, nonce: Nonce) -> Bytes;
}

/// What was found at a record's key.
#[derive(Clone, Debug)]
pub struct Slot<R> {
    /// The record, or nothing.
    pub record: Option<R>,
    /// The condition for the next write: this version, or absence.
    pub version: Option<Version>,
    /// When it was written, by the store's clock.
    pub modified: Option<SystemTime>,
    pub(crate) nonce: Option<Nonce>,
}

impl<R> Slot<R> {
    /// Nothing.
    pub const fn absent() -> Self {
        Slot { record: None, version: None, modified: None, nonce: None }
    }
}

/// How a compare-and-swap ended.
#[derive(Clone, Debug)]
pub enum Swap<R> {
    /// It was applied; this is the record's version now.
    Won(Version),
    /// It was not and never will be; this is what stands there.
    Lost(Slot<R>),
}

impl<R> Swap<R> {
    /// Whether it was applied.
    pub const fn is_won(&self) -> bool {
        matches!(self, Swap::Won(_))
    }
}

/// A record about to be written once: its bytes, and the nonce that tells this write from every other.
pub(crate) struct Draft {
    nonce: Nonce,
    body: Bytes,
    _prepared: PreparedPut,
}

/// Writes JSON, padded with spaces so that its length plus `extra` tells `class`.
pub(crate) fn encode_json<T: Serialize>(record: &T, nonce: Nonce, class: Class, extra: usize) -> Vec<u8> {
    let mut text = envelope::write(record, nonce);
    while Class::of_size((text.len() + extra) as u64) != class {
        text.push(b' ');
    }
    text
}

impl Inner {
    /// Fresh randomness for one write.
    pub(crate) fn nonce(&self) -> Nonce {
        let mut raw = [0; 16];
        self.entropy.fill(&mut raw);
        Nonce(u128::from_be_bytes(raw))
    }

    /// Reads a record. One request.
    pub(crate) async fn load<R: Record>(&self, key: &Key) -> Result<Slot<R>> {
        let Some((bytes, meta)) = self.store.read(key).await? else {
            return Ok(Slot::absent());
        };
        let (record, nonce) =
            R::decode(&bytes).map_err(|reason| Error::Record { key: key.to_string(), reason })?;
        Ok(Slot { record: Some(record), version: meta.version, modified: meta.modified, nonce: Some(nonce) })
    }

    pub(crate) fn draft<R: Record>(&self, record: &R) -> Draft {
        let nonce = self.nonce();
        Draft { nonce, body: record.encode(nonce), _prepared: PreparedPut::nothing() }
    }

    /// A draft the store is told of, because something else has to become durable before it is written.
    pub(crate) fn draft_ahead<R: Record>(&self, key: &Key, record: &R) -> Draft {
        let draft = self.draft(record);
        Draft { _prepared: self.store.prepare_put(key, &draft.body), ..draft }
    }

    /// Writes `record` if what stands at `key` is still `expected`. One request where nobody races; an
    /// ambiguous answer is settled by reading back.
    pub(crate) async fn swap<R: Record>(
        &self,
        key: &Key,
        expected: Option<&Version>,
        record: &R,
    ) -> Result<Swap<R>> {
        self.swap_draft(key, expected, self.draft(record)).await
    }

    /// As [`swap`](Self::swap), with a draft of the record.
    pub(crate) async fn swap_draft<R: Record>(
        &self,
        key: &Key,
        expected: Option<&Version>,
        draft: Draft,
    ) -> Result<Swap<R>> {
        let Draft { nonce, body, _prepared } = draft;
        let mode = || expected.map_or(PutMode::IfAbsent, |version| PutMode::IfMatch(version.clone()));
        for attempt in 0.. {
            let error = match self.store.put(key, body.clone(), mode()).await {
                Ok(meta) => {
                    let version = meta.version.ok_or_else(|| Error::Record {
                        key: key.to_string(),
                        reason: "the store answered a write without a version".into(),
                    })?;
                    return Ok(Swap::Won(version));
                }
                Err(error) if error.is_lost_condition() || error.is_retryable() => error,
                Err(error) => return Err(error.into()),
            };
            let found = self.load::<R>(key).await?;
            if found.nonce == Some(nonce) {
                let version = found.version.expect("a record that was read has a version");
                return Ok(Swap::Won(version));
            }
            if found.version.as_ref() != expected {
                return Ok(Swap::Lost(found));
            }
            // Unchanged: the write was not applied, or not yet. The same condition may be sent again, but not to a
            // store that wants to be asked less, and not often to one that fails: it was asked again below.
            let most = match error.kind() {
                ErrorKind::Throttled { .. } => 1,
                _ if error.is_lost_condition() => ATTEMPTS,
                _ => AFTER_FAILURES,
            };
            if attempt + 1 >= most {
                return Err(error.into());
            }
            self.pause(attempt).await;
        }
        unreachable!("the loop above ends by returning")
    }

    /// Waits a little, longer with each attempt, and not as long as the others who lost the same race.
    pub(crate) async fn pause(&self, attempt: u32) {
        let mut raw = [0; 2];
        self.entropy.fill(&mut raw);
        let jitter = u64::from(u16::from_be_bytes(raw)) % (4 << attempt.min(6));
        tokio::time::sleep(Duration::from_millis(1 + jitter)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_record_tells_its_class() {
        for class in (0..8).map(Class) {
            for extra in 0..9 {
                let text = encode_json(&serde_json::json!({"a": "b"}), Nonce(7), class, extra);
                assert_eq!(Class::of_size((text.len() + extra) as u64), class);
                assert_eq!(decode_json::<serde_json::Value>(&text).unwrap().1, Nonce(7));
            }
        }
    }

    #[test]
    fn a_record_of_a_newer_format_is_refused() {
        let newer = br#"{"v":2,"nonce":"0","a":1}"#;
        assert!(decode_json::<serde_json::Value>(newer).is_err());
    }
}
