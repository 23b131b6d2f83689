//! Uploads: parts with a tag each, made into an object at completion.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use entrepot_storage::{Capabilities, Error, ErrorKind, Key, ObjectMeta, Part, Result, Upload, UploadEntry};

use crate::driver::NAME;
use crate::store::{Pending, Store};

impl Store {
    pub(crate) fn begin(&mut self, key: &Key) -> Upload {
        let id = self.fresh_name();
        let pending = Pending { key: key.clone(), initiated: SystemTime::now(), parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), pending);
        Upload { key: key.clone(), id }
    }

    pub(crate) fn pending(&mut self, upload: &Upload) -> Result<&mut Pending> {
        self.uploads
            .get_mut(&upload.id)
            .filter(|pending| pending.key == upload.key)
            .ok_or_else(|| Error::new(NAME, ErrorKind::UploadGone).at(&upload.key))
    }

    pub(crate) fn add_part(&mut self, upload: &Upload, number: u32, body: Bytes) -> Result<Part> {
        let tag = self.fresh_name();
        let size = body.len() as u64;
        self.pending(upload)?.parts.insert(number, (tag.clone(), body));
        Ok(Part { number, size, tag })
    }

    pub(crate) fn complete(
        &mut self,
        upload: &Upload,
        parts: &[Part],
        capabilities: &Capabilities,
    ) -> Result<ObjectMeta> {
        let Ok(pending) = self.pending(upload) else { return self.completed_before(upload, parts) };
        let content = assemble(pending, parts)?;
        check_sizes(parts, capabilities).map_err(|error| error.at(&upload.key))?;
        if self.objects.contains_key(&upload.key) {
            return Err(Error::new(NAME, ErrorKind::AlreadyExists).at(&upload.key));
        }
        self.uploads.remove(&upload.id);
        Ok(self.write(&upload.key, content))
    }

    /// An upload that is gone while its object is there was completed by an earlier call.
    fn completed_before(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let size: u64 = parts.iter().map(|part| part.size).sum();
        match self.objects.get(&upload.key) {
            Some(stored) if stored.content.len() as u64 == size => Ok(stored.meta(&upload.key)),
            _ => Err(Error::new(NAME, ErrorKind::UploadGone).at(&upload.key)),
        }
    }

    pub(crate) fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Vec<UploadEntry> {
        let mut entries: Vec<_> = self
            .uploads
            .iter()
            .filter(|(_, pending)| pending.key.as_str().starts_with(prefix))
            .filter(|(_, pending)| start_after.is_none_or(|start| pending.key.as_str() > start))
            .map(|(id, pending)| UploadEntry {
                upload: Upload { key: pending.key.clone(), id: id.clone() },
                initiated: Some(pending.initiated),
            })
            .collect();
        entries.sort_by(|a, b| a.upload.key.cmp(&b.upload.key));
        entries.truncate(limit);
        entries
    }
}

/// The bytes of exactly these parts, or the reason why they are not the ones stored.
fn assemble(pending: &Pending, parts: &[Part]) -> Result<Bytes> {
    let mismatch = || Error::new(NAME, ErrorKind::PartMismatch).at(&pending.key);
    if parts.is_empty() {
        return Err(mismatch().because("no parts were named"));
    }
    let mut content = BytesMut::new();
    for (place, part) in (1..).zip(parts) {
        match pending.parts.get(&part.number) {
            Some((tag, body))
                if part.number == place && *tag == part.tag && body.len() as u64 == part.size =>
            {
                content.extend_from_slice(body);
            }
            _ => return Err(mismatch()),
        }
    }
    Ok(content.freeze())
}

/// Stores with part limits check them at completion; so does this one.
fn check_sizes(parts: &[Part], capabilities: &Capabilities) -> Result<()> {
    let refuse = |reason: &str| {
        Err(Error::new(NAME, ErrorKind::Backend { retryable: false }).because(reason.to_owned()))
    };
    if parts.len() as u64 > u64::from(capabilities.max_parts) {
        return refuse("more parts than the store takes");
    }
    if parts.iter().any(|part| part.size > capabilities.max_part) {
        return refuse("a part is larger than the store takes");
    }
    let Some((_, all_but_last)) = parts.split_last() else { return Ok(()) };
    if all_but_last.iter().any(|part| part.size < capabilities.min_part) {
        return refuse("a part before the last is smaller than the store's minimum");
    }
    if capabilities.uniform_parts && all_but_last.iter().any(|part| part.size != parts[0].size) {
        return refuse("the store wants all parts before the last to have one size");
    }
    if capabilities.uniform_parts && parts.last().is_some_and(|last| last.size > parts[0].size) {
        return refuse("the last part is larger than the others");
    }
    Ok(())
}
