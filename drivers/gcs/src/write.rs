//! Writing and deleting whole objects.

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, PutMode, Result, Version};
use futures_util::StreamExt;
use google_cloud_storage::model;
use http::Method;

use crate::NAME;
use crate::client::{Client, IF_GENERATION, Request, ask};
use crate::error::strange;

/// What everything is stored as: clients are told the media type of a blob by the registry or by the URL
/// they were given, and a type Google can compress would invite transcoding.
const CONTENT_TYPE: &str = "application/octet-stream";

impl Client {
    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/insert>
    pub(crate) async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let size = body.len() as u64;
        // With a sum that is known, the library sends it ahead of the bytes and compares the store's with it.
        let crc = crc32c::crc32c(&body);
        let mut request =
            self.library.write(self.name_of(key), body).set_content_type(CONTENT_TYPE).with_known_crc32c(crc);
        if let Some(name) = &self.kms_key_name {
            request = request.set_kms_key(name);
        }
        let lost_condition = match &mode {
            PutMode::Overwrite => None,
            PutMode::IfAbsent => {
                request = request.set_if_generation_match(0);
                Some(ErrorKind::AlreadyExists)
            }
            PutMode::IfMatch(version) => {
                request = request.set_if_generation_match(generation(key, version)?);
                Some(ErrorKind::Precondition)
            }
        };
        match ask(self.timeouts.transfer, request.send_unbuffered()).await.map_err(|error| error.at(key))? {
            Ok(written) => meta(key, &written, size),
            Err(refusal) => match (refusal.kind(), lost_condition) {
                // A condition on an object that is not there has been seen to be answered by 404 too.
                (ErrorKind::Precondition | ErrorKind::NotFound, Some(kind)) => {
                    Err(refusal.into_error_of(kind, Some(key)))
                }
                // Without a condition neither makes sense, and a put never is "not found".
                (ErrorKind::Precondition | ErrorKind::NotFound, None) => {
                    Err(refusal.into_error_of(ErrorKind::Backend { retryable: false }, Some(key)))
                }
                _ => Err(refusal.into_error(Some(key))),
            },
        }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/delete-object>
    pub(crate) async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let mut request = Request::new(Method::DELETE, self.object_url(key));
        if let Some(version) = version {
            request = request.header(IF_GENERATION, generation(key, version)?.into());
        }
        match self.call(request, self.timeouts.call).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_missing_object() && version.is_none() => Ok(()),
            Err(refusal) if refusal.is_missing_object() => {
                Err(refusal.into_error_of(ErrorKind::Precondition, Some(key)))
            }
            Err(refusal) => Err(refusal.into_error(Some(key))),
        }
    }

    /// One request per key, many at once. A JSON batch would save round trips only: each of its parts is
    /// counted and billed like a request, and it is answered when the slowest is done.
    pub(crate) async fn delete_many(&self, keys: &[Key], at_once: usize) -> Result<Vec<Error>> {
        let deletes: Vec<_> = keys.iter().map(|key| self.delete(key, None)).collect();
        let outcomes: Vec<Result<()>> =
            futures_util::stream::iter(deletes).buffer_unordered(at_once).collect().await;
        Ok(outcomes.into_iter().filter_map(Result::err).collect())
    }
}

/// What a write was answered with. The library fills in what was left out, with zeros.
fn meta(key: &Key, written: &model::Object, size: u64) -> Result<ObjectMeta> {
    if written.generation <= 0 || u64::try_from(written.size) != Ok(size) {
        return Err(strange("a write was answered without its generation, or with another size").at(key));
    }
    let modified = written.update_time.filter(|time| time.seconds() > 0);
    Ok(ObjectMeta {
        key: key.clone(),
        size,
        version: Some(Version(written.generation.to_string())),
        modified: modified.and_then(|time| time.try_into().ok()),
    })
}

/// The generation behind a version. One that is no positive number was never ours: 0 would mean absence.
fn generation(key: &Key, version: &Version) -> Result<i64> {
    match version.0.parse() {
        Ok(generation) if generation > 0 => Ok(generation),
        _ => Err(Error::new(NAME, ErrorKind::Precondition).at(key)),
    }
}
