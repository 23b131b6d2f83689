//! Writing and deleting whole objects.

use std::time::Duration;

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{Delete, ObjectCannedAcl, ObjectIdentifier, ServerSideEncryption, StorageClass};
use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, PutMode, Result, Version};

use crate::NAME;
use crate::body;
use crate::client::{Client, Writing};
use crate::config::Encryption;
use crate::error::{Failure, broken};
use crate::read::{quoted, version};

/// Below this an object is a record: see [`Config::storage_class`](crate::Config).
const RECORD_BYTES: u64 = 128 * 1024;
/// How often a conditional write that met another at the same instant is tried. A conflict tells that
/// nothing was applied, so this multiplies nothing the retries of the decorator count.
const CONFLICT_ATTEMPTS: u32 = 6;

impl Client {
    pub(crate) async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        if mode != PutMode::Overwrite && !self.capabilities.conditional_put {
            return Err(Error::new(NAME, ErrorKind::Unsupported).at(key));
        }
        let size = body.len() as u64;
        let mut attempt = 1;
        let failure = loop {
            match self.put_once(key, &body, &mode).await {
                Ok(etag) => {
                    return Ok(ObjectMeta { key: key.clone(), size, version: etag, modified: None });
                }
                Err(failure) if failure.is_conflict() && attempt < CONFLICT_ATTEMPTS => {
                    tokio::time::sleep(conflict_pause(attempt)).await;
                    attempt += 1;
                }
                Err(failure) => break failure,
            }
        };
        let kind = lost_condition(&failure, &mode).unwrap_or_else(|| failure.kind());
        Err(failure.meaning(kind, Some(key)))
    }

    async fn put_once(
        &self,
        key: &Key,
        body: &Bytes,
        mode: &PutMode,
    ) -> std::result::Result<Option<Version>, Failure> {
        let pieces = vec![body.clone()];
        let request = self
            .sdk
            .put_object()
            .bucket(&self.bucket)
            .key(self.path(key))
            .content_length(i64::try_from(body.len()).unwrap_or(i64::MAX))
            .set_checksum_crc32_c(body::checksum(self.writing.checksum, &pieces))
            .body(body::stream(pieces));
        let request = self.writing.dress(request, body.len() as u64);
        let request = match mode {
            PutMode::Overwrite => request,
            PutMode::IfAbsent | PutMode::Fresh => request.if_none_match("*"),
            PutMode::IfMatch(version) => request.if_match(self.writing.condition(version)),
        };
        let limit = self.timeouts.sending(body.len() as u64);
        let answer = self.call(limit, request.customize().disable_payload_signing().send());
        Ok(answer.await?.e_tag().map(version))
    }

    pub(crate) async fn delete(&self, key: &Key, only: Option<&Version>) -> Result<()> {
        if only.is_some() && !self.capabilities.conditional_delete {
            return Err(Error::new(NAME, ErrorKind::Unsupported).at(key));
        }
        let condition = only.map(|version| self.writing.condition(version));
        let request = self.sdk.delete_object().bucket(&self.bucket).key(self.path(key));
        match self.call(self.timeouts.call, request.set_if_match(condition).send()).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Some("NoSuchKey") => match only {
                None => Ok(()),
                Some(_) => Err(failure.meaning(ErrorKind::Precondition, Some(key))),
            },
            Err(failure) => Err(failure.into_error(Some(key))),
        }
    }

    pub(crate) async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let mut failures = Vec::new();
        for batch in keys.chunks(self.capabilities.delete_batch) {
            failures.extend(self.delete_batch(batch).await?);
        }
        Ok(failures)
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let mut delete = Delete::builder().quiet(true);
        for key in keys {
            let object = ObjectIdentifier::builder().key(self.path(key)).build();
            delete = delete.objects(object.map_err(|error| broken(error.to_string(), Some(key)))?);
        }
        let delete = delete.build().map_err(|error| broken(error.to_string(), None))?;
        let request = self.sdk.delete_objects().bucket(&self.bucket).delete(delete).send();
        let answer = self.call(self.timeouts.completion, request).await;
        let answer = answer.map_err(|failure| failure.into_error(None))?;
        let failed = answer.errors().iter().filter(|error| error.code() != Some("NoSuchKey"));
        Ok(failed.map(|error| self.refused(error)).collect())
    }

    fn refused(&self, error: &aws_sdk_s3::types::Error) -> Error {
        let failure = Failure::told(error.code(), error.message());
        let key = error.key().and_then(|path| self.key(path));
        failure.into_error(key.as_ref())
    }
}

impl Writing {
    /// A version as a condition names it to this store.
    fn condition(&self, version: &Version) -> String {
        if self.bare_etags { version.0.clone() } else { quoted(&version.0) }
    }

    fn dress(&self, request: PutObjectFluentBuilder, size: u64) -> PutObjectFluentBuilder {
        let (encryption, key_id) = self.encryption();
        request
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .set_acl(self.acl())
            .set_storage_class(if size < RECORD_BYTES { None } else { self.storage_class() })
    }

    pub(crate) fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match &self.encryption {
            Encryption::BucketDefault => (None, None),
            Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None),
            Encryption::Kms { key_id } => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
        }
    }

    pub(crate) fn storage_class(&self) -> Option<StorageClass> {
        self.storage_class.as_deref().map(StorageClass::from)
    }

    pub(crate) fn acl(&self) -> Option<ObjectCannedAcl> {
        self.object_acl.as_deref().map(ObjectCannedAcl::from)
    }
}

/// What a failed condition means to the mode it was asked in.
fn lost_condition(failure: &Failure, mode: &PutMode) -> Option<ErrorKind> {
    match (failure.kind(), mode) {
        (ErrorKind::Precondition, PutMode::IfAbsent | PutMode::Fresh) => Some(ErrorKind::AlreadyExists),
        // Some stores say that nothing is there to match.
        (ErrorKind::NotFound, PutMode::IfMatch(_)) => Some(ErrorKind::Precondition),
        // A put finds nothing missing but its bucket.
        (ErrorKind::NotFound, _) => Some(ErrorKind::Backend { retryable: false }),
        _ => None,
    }
}

/// A random part of 10 ms, doubled each time: those that met must not meet again.
fn conflict_pause(attempt: u32) -> Duration {
    let longest = 10_000_u64 << attempt;
    let random = getrandom::u64().unwrap_or(u64::MAX / 2);
    Duration::from_micros(random % longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_condition_means_what_was_asked() {
        let lost = Failure::told(Some("PreconditionFailed"), None);
        let missing = Failure::told(Some("NoSuchKey"), None);
        let if_match = PutMode::IfMatch(Version("v".into()));

        assert_eq!(lost_condition(&lost, &PutMode::IfAbsent), Some(ErrorKind::AlreadyExists));
        assert_eq!(lost_condition(&lost, &if_match), None);
        assert_eq!(lost_condition(&missing, &if_match), Some(ErrorKind::Precondition));
    }
}
