//! Uploads in parts: the store's own multipart uploads, one request for each step.
//!
//! A part's tag is the ETag the store gave it, and the checksum it was sent with: completion names both, so a
//! part that anybody overwrote meanwhile makes it fail. An upload's id tells whether its parts carry
//! checksums, so that a changed setting does not break what was begun before.

use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, MultipartUpload};
use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, Part, Result, Upload, UploadEntry};

use crate::NAME;
use crate::body;
use crate::client::Client;
use crate::config::Checksum;
use crate::error::broken;
use crate::list::may_begin_a_key;
use crate::read::{instant, quoted, unquoted, version};

/// Before the store's id of an upload whose parts carry CRC32C.
const WITH_CRC32C: &str = "crc32c:";
/// Between a part's ETag and its checksum.
const CHECKSUM: &str = ";crc32c=";
/// What stands for a checksum that is missing: no part that holds a byte passes for it by chance.
const CHECKSUM_OF_NOTHING: &str = "AAAAAA==";
/// The most the store lists at once.
const LARGEST_PAGE: i32 = 1000;

impl Client {
    pub(crate) async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        let checksum = self.writing.checksum;
        let (encryption, key_id) = self.writing.encryption();
        let request = self
            .sdk
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.path(key))
            .set_checksum_algorithm((checksum == Checksum::Crc32c).then_some(ChecksumAlgorithm::Crc32C))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .set_acl(self.writing.acl())
            .set_storage_class(self.writing.storage_class())
            .send();
        let answer = self.call(self.timeouts.call, request).await;
        let answer = answer.map_err(|failure| failure.into_error(Some(key)))?;
        let id = answer.upload_id().ok_or_else(|| broken("an upload without an id", Some(key)))?;
        Ok(Upload { key: key.clone(), id: named(id, checksum) })
    }

    pub(crate) async fn upload_part(&self, upload: &Upload, number: u32, pieces: Vec<Bytes>) -> Result<Part> {
        let (id, kind) = split_id(&upload.id);
        let size = body::length(&pieces);
        let checksum = body::checksum(kind, &pieces);
        let request = self
            .sdk
            .upload_part()
            .bucket(&self.bucket)
            .key(self.path(&upload.key))
            .upload_id(id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .content_length(i64::try_from(size).unwrap_or(i64::MAX))
            .set_checksum_crc32_c(checksum.clone())
            .body(body::stream(pieces))
            .customize()
            .disable_payload_signing();
        let answer = self.call(self.timeouts.sending(size), request.send()).await;
        let answer = answer.map_err(|failure| failure.into_error(Some(&upload.key)))?;
        let etag = answer.e_tag().ok_or_else(|| broken("a part without an ETag", Some(&upload.key)))?;
        let checksum = checksum.map(|checksum| format!("{CHECKSUM}{checksum}")).unwrap_or_default();
        Ok(Part { number, size, tag: format!("{}{checksum}", unquoted(etag)) })
    }

    pub(crate) async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let (id, kind) = split_id(&upload.id);
        let size: u64 = parts.iter().map(|part| part.size).sum();
        if parts.is_empty() {
            return Err(Error::new(NAME, ErrorKind::PartMismatch).at(&upload.key));
        }
        let completed = parts.iter().map(|part| completed(part, kind)).collect();
        let list = CompletedMultipartUpload::builder().set_parts(Some(completed)).build();
        let request = self
            .sdk
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.path(&upload.key))
            .upload_id(id)
            .multipart_upload(list)
            .send();
        match self.call(self.timeouts.completion, request).await {
            // Ceph may tell none, and the SDK takes an answer that was cut short for one that says little.
            Ok(answer) if answer.e_tag().is_none_or(str::is_empty) => {
                let unknown = || broken("a completion without an ETag, and no object", Some(&upload.key));
                self.completed_before(upload, parts).await?.ok_or_else(unknown)
            }
            Ok(answer) if is_of_others(answer.checksum_crc32_c(), parts) => {
                // Not `Backend`, which says that the outcome is unknown: a session would wait for it, and a store
                // that answers a repeated completion as the first would say the same again. Nobody can make an
                // object of these parts any more, so whoever sent them has to begin anew.
                let told = answer.checksum_crc32_c().unwrap_or_default();
                let other = format!(
                    "it was completed, but not by the parts that were sent: the CRC32C of its parts is {told} \
                     there. If every upload in parts ends so, the store computes it in a way of its own: write \
                     `checksums: false`"
                );
                Err(Error::new(NAME, ErrorKind::UploadGone).at(&upload.key).because(other))
            }
            Ok(answer) => Ok(ObjectMeta {
                key: upload.key.clone(),
                size,
                version: answer.e_tag().map(version),
                modified: None,
            }),
            // `InternalError` is what Ceph answers for an upload it does not know, and every store for a
            // failure of its own.
            Err(failure)
                if failure.kind() == ErrorKind::UploadGone || failure.code() == Some("InternalError") =>
            {
                // Asked for before the object is: what is gone then was completed before, or never will be.
                let is_gone = failure.kind() == ErrorKind::UploadGone || self.is_gone(upload).await;
                match self.completed_before(upload, parts).await? {
                    Some(meta) => Ok(meta),
                    None if is_gone => Err(failure.meaning(ErrorKind::UploadGone, Some(&upload.key))),
                    None => Err(failure.into_error(Some(&upload.key))),
                }
            }
            // A part the store holds is smaller than the one we sent, or the list is not in order.
            Err(failure) if failure.code() == Some("EntityTooSmall") => {
                Err(failure.meaning(ErrorKind::PartMismatch, Some(&upload.key)))
            }
            Err(failure) => Err(failure.into_error(Some(&upload.key))),
        }
    }

    /// An upload that is gone was completed before if its object is there: keys are used once.
    async fn completed_before(&self, upload: &Upload, parts: &[Part]) -> Result<Option<ObjectMeta>> {
        let size: u64 = parts.iter().map(|part| part.size).sum();
        let (meta, told) = match self.stat_with_checksum(&upload.key).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(meta).filter(|meta| meta.size == size && !is_of_others(told.as_deref(), parts)))
    }

    /// Whether the store says that it does not know the upload; Ceph says so of its key. A store that does not
    /// let us ask (`s3:ListMultipartUploadParts`) says nothing.
    async fn is_gone(&self, upload: &Upload) -> bool {
        let (id, _) = split_id(&upload.id);
        let request = self.sdk.list_parts().bucket(&self.bucket).key(self.path(&upload.key)).upload_id(id);
        let answer = self.call(self.timeouts.call, request.max_parts(1).send()).await;
        answer.is_err_and(|failure| matches!(failure.kind(), ErrorKind::UploadGone | ErrorKind::NotFound))
    }

    pub(crate) async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        let (id, _) = split_id(&upload.id);
        let request =
            self.sdk.abort_multipart_upload().bucket(&self.bucket).key(self.path(&upload.key)).upload_id(id);
        match self.call(self.timeouts.completion, request.send()).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.kind() == ErrorKind::UploadGone => Ok(()),
            Err(failure) => Err(failure.into_error(Some(&upload.key))),
        }
    }

    pub(crate) async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        let mut entries = Vec::new();
        if !may_begin_a_key(prefix) {
            return Ok(entries);
        }
        let mut marker = start_after.filter(|start| !start.is_empty()).map(|start| self.prefixed(start));
        let begin = marker.clone();
        let wanted = |entry: &UploadEntry| {
            let key = entry.upload.key.as_str();
            key.starts_with(prefix) && start_after.is_none_or(|start| key > start)
        };
        let mut id_marker = None;
        while entries.len() < limit {
            let page = self.uploads_page(self.prefixed(prefix), marker.take(), id_marker.take()).await?;
            entries.extend(page.uploads().iter().filter_map(|upload| self.entry(upload)).filter(wanted));
            marker = page.next_key_marker().filter(|marker| !marker.is_empty()).map(str::to_owned);
            id_marker = page.next_upload_id_marker().filter(|marker| !marker.is_empty()).map(str::to_owned);
            if page.is_truncated() != Some(true) || marker.is_none() {
                break;
            }
        }
        // MinIO lists uploads by the whole key or without any prefix, and says nothing to one in between.
        // One page without a prefix, since in a bucket of others its end may be far.
        if entries.is_empty() && limit > 0 {
            let page = self.uploads_page(String::new(), begin, None).await?;
            entries.extend(page.uploads().iter().filter_map(|upload| self.entry(upload)).filter(wanted));
        }
        entries.sort_by(|one, other| one.upload.key.cmp(&other.upload.key));
        entries.truncate(limit);
        Ok(entries)
    }

    async fn uploads_page(
        &self,
        prefix: String,
        marker: Option<String>,
        id_marker: Option<String>,
    ) -> Result<ListMultipartUploadsOutput> {
        let request = self
            .sdk
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_key_marker(marker)
            .set_upload_id_marker(id_marker)
            .max_uploads(LARGEST_PAGE)
            .send();
        self.call(self.timeouts.call, request).await.map_err(|failure| failure.into_error(None))
    }

    /// Good for giving it up only: not every store lists the checksum, which completion has to know.
    fn entry(&self, upload: &MultipartUpload) -> Option<UploadEntry> {
        let key = self.key(upload.key()?)?;
        let checksum = match upload.checksum_algorithm() {
            Some(ChecksumAlgorithm::Crc32C) => Checksum::Crc32c,
            _ => Checksum::None,
        };
        let id = named(upload.upload_id()?, checksum);
        Some(UploadEntry { upload: Upload { key, id }, initiated: upload.initiated().and_then(instant) })
    }
}

fn named(id: &str, checksum: Checksum) -> String {
    match checksum {
        Checksum::Crc32c => format!("{WITH_CRC32C}{id}"),
        Checksum::None => id.to_owned(),
    }
}

fn split_id(id: &str) -> (&str, Checksum) {
    match id.strip_prefix(WITH_CRC32C) {
        Some(id) => (id, Checksum::Crc32c),
        None => (id, Checksum::None),
    }
}

/// The checksum a part was sent with, if any.
fn checksum_of(part: &Part) -> Option<&str> {
    part.tag.split_once(CHECKSUM).map(|(_, checksum)| checksum)
}

/// Whether the checksum the store tells of an object is that of other parts than these. Only one of their
/// checksums, `…-N`, is compared: Ceph before 20 tells none, and one without a number is that of the whole object, into
/// which ours would have to be combined first.
fn is_of_others(told: Option<&str>, parts: &[Part]) -> bool {
    match (told, body::checksum_of_parts(parts.iter().map(checksum_of))) {
        (Some(told), Some(ours)) => told.contains('-') && told != ours,
        _ => false,
    }
}

/// A part as completion names it. The store refuses what it does not hold, so a tag that is none of ours is
/// sent like any other.
fn completed(part: &Part, kind: Checksum) -> CompletedPart {
    let (etag, checksum) = match part.tag.split_once(CHECKSUM) {
        Some((etag, checksum)) => (etag, checksum),
        None => (part.tag.as_str(), CHECKSUM_OF_NOTHING),
    };
    let checksum = (kind == Checksum::Crc32c).then(|| checksum.to_owned());
    let number = i32::try_from(part.number).unwrap_or(i32::MAX);
    CompletedPart::builder().part_number(number).e_tag(quoted(etag)).set_checksum_crc32_c(checksum).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_remembers_whether_its_parts_carry_checksums() {
        for checksum in [Checksum::Crc32c, Checksum::None] {
            assert_eq!(split_id(&named("id", checksum)), ("id", checksum));
        }
    }

    #[test]
    fn completion_names_the_checksum_where_the_upload_has_any() {
        let part = |tag: &str| Part { number: 1, size: 1, tag: tag.into() };

        let with = completed(&part("abc;crc32c=AAAAAQ=="), Checksum::Crc32c);
        let foreign = completed(&part("abc"), Checksum::Crc32c);
        let without = completed(&part("abc;crc32c=AAAAAQ=="), Checksum::None);

        assert_eq!((with.e_tag(), with.checksum_crc32_c()), (Some("\"abc\""), Some("AAAAAQ==")));
        assert_eq!(foreign.checksum_crc32_c(), Some(CHECKSUM_OF_NOTHING));
        assert_eq!((without.e_tag(), without.checksum_crc32_c()), (Some("\"abc\""), None));
    }
}
