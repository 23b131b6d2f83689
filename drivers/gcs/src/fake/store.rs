//! What the fake holds: one bucket, in memory.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use super::server::Options;
use crate::presign::hex;

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) content: Bytes,
    pub(super) generation: u64,
    pub(super) crc: u32,
    pub(super) content_type: String,
    pub(super) modified: SystemTime,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) name: String,
    pub(super) initiated: SystemTime,
    content_type: String,
    parts: BTreeMap<u32, (String, Bytes)>,
}

impl Pending {
    /// Whether any part that is there by one of these numbers, but the last, is smaller than it may be.
    fn has_small_part(&self, parts: &[(u32, String)], min_part: usize) -> bool {
        let numbers = parts.iter().rev().skip(1).map(|(number, _)| number);
        numbers.filter_map(|number| self.parts.get(number)).any(|(_, bytes)| bytes.len() < min_part)
    }

    /// The bytes of these very parts.
    fn held(&self, parts: &[(u32, String)]) -> Result<Vec<&Bytes>, Wrong> {
        let held = |(number, etag): &(u32, String)| {
            let part = self.parts.get(number).filter(|(held, _)| held == etag).ok_or(INVALID_PART);
            part.map(|(_, bytes)| bytes)
        };
        parts.iter().map(held).collect()
    }
}

/// What is wrong with a request, in the words of
/// <https://cloud.google.com/storage/docs/xml-api/reference-status>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

pub(super) const fn wrong(status: u16, code: &'static str, message: &'static str) -> Wrong {
    Wrong { status, code, message }
}

pub(super) const NO_SUCH_KEY: Wrong = wrong(404, "NoSuchKey", "The specified key does not exist.");
pub(super) const NO_SUCH_BUCKET: Wrong = wrong(404, "NoSuchBucket", "The specified bucket does not exist.");
const NO_SUCH_UPLOAD: Wrong = wrong(404, "NoSuchUpload", "The requested upload was not found.");
const PRECONDITION: Wrong =
    wrong(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
const BAD_DIGEST: Wrong = wrong(400, "BadDigest", "The CRC32C you specified did not match what we received.");
const INVALID_PART: Wrong =
    wrong(400, "InvalidPart", "One or more of the specified parts could not be found.");
const INVALID_ORDER: Wrong = wrong(400, "InvalidPartOrder", "The parts are not in ascending order.");
const TOO_SMALL: Wrong = wrong(400, "EntityTooSmall", "A part but the last is smaller than the minimum.");
const MALFORMED: Wrong = wrong(400, "MalformedXML", "The XML you provided names no parts.");
const TOO_OFTEN: Wrong =
    wrong(429, "rateLimitExceeded", "The object exceeded the rate limit for object mutation operations.");

#[derive(Debug)]
pub(super) struct Store {
    pub(super) bucket: String,
    min_part: usize,
    tells_size_first: bool,
    objects: BTreeMap<String, Stored>,
    uploads: BTreeMap<String, Pending>,
    last_generation: u64,
    /// How many writes of a name come too soon after one, and how many of each will yet.
    writes_too_soon: usize,
    too_soon: BTreeMap<String, usize>,
}

impl Store {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            bucket: options.bucket.clone(),
            min_part: usize::try_from(options.min_part).unwrap_or(usize::MAX),
            tells_size_first: options.tells_size_first,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            last_generation: 0,
            writes_too_soon: options.writes_too_soon,
            too_soon: BTreeMap::new(),
        }
    }

    /// <https://cloud.google.com/storage/quotas#objects>: writes and deletes of one name, told by 429.
    pub(super) fn admit_write(&mut self, name: &str) -> Result<(), Wrong> {
        let left = self.too_soon.entry(name.to_owned()).or_default();
        if let Some(fewer) = left.checked_sub(1) {
            *left = fewer;
            return Err(TOO_OFTEN);
        }
        *left = self.writes_too_soon;
        Ok(())
    }

    pub(super) fn find(&self, name: &str) -> Result<&Stored, Wrong> {
        self.objects.get(name).ok_or(NO_SUCH_KEY)
    }

    /// Generations grow, also over a deletion, and are microseconds by habit.
    fn fresh_generation(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        self.last_generation = now.max(self.last_generation + 1);
        self.last_generation
    }

    fn check_condition(&self, name: &str, condition: Option<u64>) -> Result<(), Wrong> {
        let present = self.objects.get(name).map_or(0, |stored| stored.generation);
        match condition {
            Some(wanted) if wanted != present => Err(PRECONDITION),
            _ => Ok(()),
        }
    }

    /// <https://cloud.google.com/storage/docs/request-preconditions>: 0 means that no object may be there.
    pub(super) fn put(
        &mut self,
        name: &str,
        content: Bytes,
        content_type: String,
        told_crc: Option<&str>,
        condition: Option<u64>,
    ) -> Result<Stored, Wrong> {
        check_crc(&content, told_crc)?;
        self.check_condition(name, condition)?;
        Ok(self.write(name, content, content_type))
    }

    fn write(&mut self, name: &str, content: Bytes, content_type: String) -> Stored {
        let generation = self.fresh_generation();
        let crc = crc32c::crc32c(&content);
        let stored = Stored { content, generation, crc, content_type, modified: SystemTime::now() };
        self.objects.insert(name.to_owned(), stored.clone());
        stored
    }

    pub(super) fn delete(&mut self, name: &str, condition: Option<u64>) -> Result<(), Wrong> {
        self.find(name)?;
        self.check_condition(name, condition)?;
        self.objects.remove(name);
        Ok(())
    }

    /// Names from `start` (inclusive) that begin with `prefix`, after `past`, and whether more follow.
    pub(super) fn list(
        &self,
        prefix: &str,
        start: &str,
        past: Option<&str>,
        limit: usize,
    ) -> (Vec<(&String, &Stored)>, bool) {
        let from = start.max(prefix).max(past.unwrap_or_default()).to_owned();
        let mut matching = self
            .objects
            .range(from..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter(|(name, _)| past.is_none_or(|past| name.as_str() > past));
        let page = matching.by_ref().take(limit).collect();
        (page, matching.next().is_some())
    }

    pub(super) fn begin(&mut self, name: &str, content_type: String) -> String {
        let id = format!("fake-{:x}", self.fresh_generation());
        let (name, initiated) = (name.to_owned(), SystemTime::now());
        self.uploads.insert(id.clone(), Pending { name, initiated, content_type, parts: BTreeMap::new() });
        id
    }

    fn pending(&mut self, name: &str, id: &str) -> Result<&mut Pending, Wrong> {
        self.uploads.get_mut(id).filter(|pending| pending.name == name).ok_or(NO_SUCH_UPLOAD)
    }

    /// The ETag is a function of the bytes, as an MD5 is.
    pub(super) fn add_part(
        &mut self,
        name: &str,
        id: &str,
        number: u32,
        content: Bytes,
        told_crc: Option<&str>,
    ) -> Result<(String, u32), Wrong> {
        let pending = self.pending(name, id)?;
        if !(1..=10_000).contains(&number) {
            return Err(wrong(400, "InvalidArgument", "Part numbers lie between 1 and 10000."));
        }
        check_crc(&content, told_crc)?;
        let crc = crc32c::crc32c(&content);
        let etag = format!("\"{}\"", hex(&Sha256::digest(&content)[..16]));
        pending.parts.insert(number, (etag.clone(), content));
        Ok((etag, crc))
    }

    /// Replaces whatever is there, as <https://cloud.google.com/storage/docs/multipart-uploads> says.
    pub(super) fn complete(
        &mut self,
        name: &str,
        id: &str,
        parts: &[(u32, String)],
    ) -> Result<Stored, Wrong> {
        let (min_part, tells_size_first) = (self.min_part, self.tells_size_first);
        let pending = self.pending(name, id)?;
        if parts.is_empty() {
            return Err(MALFORMED);
        }
        if !parts.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(INVALID_ORDER);
        }
        // Which of two faults Google names first is not documented, so a driver may rely on neither.
        let is_small = pending.has_small_part(parts, min_part);
        if tells_size_first && is_small {
            return Err(TOO_SMALL);
        }
        let held = pending.held(parts)?;
        if is_small {
            return Err(TOO_SMALL);
        }
        let mut content = BytesMut::new();
        held.iter().for_each(|bytes| content.extend_from_slice(bytes));
        let content_type = std::mem::take(&mut pending.content_type);
        self.uploads.remove(id);
        Ok(self.write(name, content.freeze(), content_type))
    }

    pub(super) fn abort(&mut self, name: &str, id: &str) -> Result<(), Wrong> {
        self.pending(name, id)?;
        self.uploads.remove(id);
        Ok(())
    }

    /// Uploads after a marker, by name and then by id, and whether more follow.
    pub(super) fn uploads(
        &self,
        prefix: &str,
        marker: (&str, &str),
        limit: usize,
    ) -> (Vec<(&String, &Pending)>, bool) {
        let (key, past_id) = marker;
        let is_past = |name: &str, id: &str| match past_id {
            "" => name > key,
            past_id => (name, id) > (key, past_id),
        };
        let mut matching: Vec<_> = self
            .uploads
            .iter()
            .filter(|(id, pending)| pending.name.starts_with(prefix) && is_past(&pending.name, id))
            .collect();
        matching.sort_by_key(|(id, pending)| (pending.name.clone(), (*id).clone()));
        let more = matching.len() > limit;
        matching.truncate(limit);
        (matching, more)
    }
}

fn check_crc(content: &Bytes, told: Option<&str>) -> Result<(), Wrong> {
    match told {
        Some(told) if told != crate::client::crc_text(crc32c::crc32c(content)) => Err(BAD_DIGEST),
        _ => Ok(()),
    }
}
