//! Writing and deleting whole objects.

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, PutMode, Result, Version};
use futures_util::StreamExt;
use http::{HeaderValue, Method, header};

use crate::NAME;
use crate::client::{Client, GENERATION, HASH, IF_GENERATION, Request, check_crc, hash_header, meta, number};
use crate::error::strange;

/// What everything is stored as: clients are told the media type of a blob by the registry or by the URL
/// they were given, and a type Google can compress would invite transcoding.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl Client {
    /// <https://cloud.google.com/storage/docs/xml-api/put-object-upload>
    pub(crate) async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let (size, crc) = (body.len() as u64, crc32c::crc32c(&body));
        let mut request = Request::new(Method::PUT, self.object_url(key))
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header(header::CONTENT_LENGTH, size.into())
            .header(HASH, hash_header(crc))
            .body(body);
        let lost_condition = match &mode {
            PutMode::Overwrite => None,
            PutMode::IfAbsent => {
                request = request.header(IF_GENERATION, 0.into());
                Some(ErrorKind::AlreadyExists)
            }
            PutMode::IfMatch(version) => {
                request = request.header(IF_GENERATION, generation(key, version)?.into());
                Some(ErrorKind::Precondition)
            }
        };
        match self.call(self.creating(request), self.timeouts.transfer).await? {
            Ok(answer) => {
                check_crc(crc, &answer.headers).map_err(|error| error.at(key))?;
                if number(&answer.headers, &GENERATION).is_none() {
                    return Err(strange("a write was answered without its generation").at(key));
                }
                Ok(meta(key, &answer.headers, size))
            }
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

/// The generation behind a version. One that is no positive number was never ours: 0 would mean absence.
fn generation(key: &Key, version: &Version) -> Result<u64> {
    match version.0.parse() {
        Ok(generation) if generation > 0 => Ok(generation),
        _ => Err(Error::new(NAME, ErrorKind::Precondition).at(key)),
    }
}
