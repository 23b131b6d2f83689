//! Looking at objects and reading them.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::builders::HeadObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream as SdkStream, DateTime};
use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use entrepot_storage::{
    Body, ByteStream, Error, ErrorKind, Key, Object, ObjectMeta, ReadRange, Result, Version,
};
use futures_util::stream;

use crate::NAME;
use crate::client::Client;
use crate::error::{Failure, broken};

/// What is no larger is answered whole: records, whose reader wants all of them at once anyway.
const AT_ONCE: u64 = 64 * 1024;

impl Client {
    pub(crate) async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        Ok(self.head(key, self.sdk.head_object()).await?.0)
    }

    /// The same with the CRC32C the store keeps, if it tells one. `…-N` is that of N parts' own.
    pub(crate) async fn stat_with_checksum(&self, key: &Key) -> Result<(ObjectMeta, Option<String>)> {
        self.head(key, self.sdk.head_object().checksum_mode(ChecksumMode::Enabled)).await
    }

    async fn head(
        &self,
        key: &Key,
        request: HeadObjectFluentBuilder,
    ) -> Result<(ObjectMeta, Option<String>)> {
        let request = request.bucket(&self.bucket).key(self.path(key)).send();
        match self.call(self.timeouts.call, request).await {
            Ok(head) => {
                let meta = ObjectMeta {
                    key: key.clone(),
                    size: length(head.content_length(), key)?,
                    version: head.e_tag().map(version),
                    modified: head.last_modified().and_then(instant),
                };
                Ok((meta, head.checksum_crc32_c().map(str::to_owned)))
            }
            Err(failure) if failure.is_bare_404() => Err(self.absent(key).await),
            Err(failure) => Err(failure.into_error(Some(key))),
        }
    }

    /// What a 404 without a word means: the object is missing only if its bucket is not.
    async fn absent(&self, key: &Key) -> Error {
        match self.bucket_exists().await {
            Ok(()) => Error::new(NAME, ErrorKind::NotFound).at(key),
            Err(failure) if failure.is_bare_404() => {
                failure.meaning(ErrorKind::Backend { retryable: false }, Some(key))
            }
            Err(failure) => failure.into_error(Some(key)),
        }
    }

    pub(crate) async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        if !range_may_hold_bytes(&range) {
            return Err(unsatisfiable(self.stat(key).await?.size, key));
        }
        let request = self.sdk.get_object().bucket(&self.bucket).key(self.path(key));
        let request = request.set_range(header(&range)).send();
        match self.call(self.timeouts.call, request).await {
            Ok(output) => self.object(key, &range, output).await,
            Err(failure) if failure.code() == Some("InvalidRange") || failure.status() == Some(416) => {
                Err(self.past_the_end(key, failure).await)
            }
            Err(failure) => Err(failure.into_error(Some(key))),
        }
    }

    /// One more request where the answer does not tell the object's length.
    async fn past_the_end(&self, key: &Key, failure: Failure) -> Error {
        if let Some(size) = failure.object_size() {
            return unsatisfiable(size, key);
        }
        match self.stat(key).await {
            Ok(meta) => unsatisfiable(meta.size, key),
            Err(error) => error,
        }
    }

    async fn object(&self, key: &Key, asked: &ReadRange, output: GetObjectOutput) -> Result<Object> {
        let length = length(output.content_length(), key)?;
        let (range, size) = match output.content_range().map(parse_content_range) {
            Some(Some(parsed)) => parsed,
            // MinIO names the bytes `0--1/0` of an empty object.
            Some(None) if length == 0 => (0..0, 0),
            Some(None) => return Err(broken("Content-Range cannot be read", Some(key))),
            None => (0..length, length),
        };
        // A store may answer an empty object to a range, or everything to a range it does not know.
        let expected = asked.resolve(size).ok_or_else(|| unsatisfiable(size, key))?;
        if range != expected || range.end - range.start != length {
            return Err(broken(
                format!("bytes {range:?} of {size} came where {expected:?} were asked"),
                Some(key),
            ));
        }
        let meta = ObjectMeta {
            key: key.clone(),
            size,
            version: output.e_tag().map(version),
            modified: output.last_modified().and_then(instant),
        };
        let body = self.body(key, length, output.body).await?;
        Ok(Object { meta, range, body })
    }

    async fn body(&self, key: &Key, length: u64, stream: SdkStream) -> Result<Body> {
        if length > AT_ONCE {
            return Ok(Body::Stream(chunks(stream, key.clone(), length, self.timeouts.idle)));
        }
        let collected = tokio::time::timeout(self.timeouts.idle, stream.collect());
        let bytes = match collected.await {
            Ok(Ok(bytes)) => bytes.into_bytes(),
            Ok(Err(error)) => return Err(broken(crate::error::chain(&error), Some(key))),
            Err(_) => return Err(Failure::late(self.timeouts.idle).into_error(Some(key))),
        };
        if bytes.len() as u64 != length {
            return Err(broken(format!("{} bytes came of {length}", bytes.len()), Some(key)));
        }
        Ok(Body::Whole(bytes))
    }
}

/// What is left of a body that is being read.
struct Rest {
    stream: SdkStream,
    key: Key,
    left: u64,
    idle: Duration,
}

/// The body in the pieces the connection gives, which hyper bounds; an error, and no more, where it ends
/// early, runs over or stands still.
fn chunks(stream: SdkStream, key: Key, length: u64, idle: Duration) -> ByteStream {
    let rest = Rest { stream, key, left: length, idle };
    Box::pin(stream::unfold(Some(rest), |rest| async move {
        let mut rest = rest?;
        match rest.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(rest))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl Rest {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Ok(item) = tokio::time::timeout(self.idle, self.stream.next()).await else {
            return Err(Failure::late(self.idle).into_error(Some(&self.key)));
        };
        match item {
            Some(Ok(bytes)) if bytes.len() as u64 <= self.left => {
                self.left -= bytes.len() as u64;
                Ok(Some(bytes))
            }
            Some(Ok(_)) => Err(broken("more bytes came than were promised", Some(&self.key))),
            Some(Err(error)) => Err(broken(crate::error::chain(&error), Some(&self.key))),
            None if self.left > 0 => {
                Err(broken(format!("the body ended {} bytes early", self.left), Some(&self.key)))
            }
            None => Ok(None),
        }
    }
}

/// HTTP cannot ask for no bytes.
fn range_may_hold_bytes(range: &ReadRange) -> bool {
    match range {
        ReadRange::Whole | ReadRange::From(_) => true,
        ReadRange::Bounded(range) => range.start < range.end,
        ReadRange::Suffix(length) => *length > 0,
    }
}

fn header(range: &ReadRange) -> Option<String> {
    match range {
        ReadRange::Whole => None,
        ReadRange::Bounded(range) => Some(format!("bytes={}-{}", range.start, range.end - 1)),
        ReadRange::From(start) => Some(format!("bytes={start}-")),
        ReadRange::Suffix(length) => Some(format!("bytes=-{length}")),
    }
}

/// `bytes 0-99/1234`, as the range it names and the object's length.
fn parse_content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some((first..last.checked_add(1)?, size.parse().ok()?))
}

fn unsatisfiable(size: u64, key: &Key) -> Error {
    Error::new(NAME, ErrorKind::RangeNotSatisfiable { size }).at(key)
}

fn length(content_length: Option<i64>, key: &Key) -> Result<u64> {
    let length = content_length.and_then(|length| u64::try_from(length).ok());
    length.ok_or_else(|| broken("an answer without a length", Some(key)))
}

/// An ETag without its quotes, which some stores leave out of listings.
pub(crate) fn version(etag: &str) -> Version {
    Version(unquoted(etag).to_owned())
}

pub(crate) fn unquoted(etag: &str) -> &str {
    etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag)
}

/// An ETag as a condition names it.
pub(crate) fn quoted(etag: &str) -> String {
    if etag.starts_with("W/") { etag.to_owned() } else { format!("\"{etag}\"") }
}

pub(crate) fn instant(time: &DateTime) -> Option<SystemTime> {
    SystemTime::try_from(*time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_with_an_exclusive_end() {
        assert_eq!(parse_content_range("bytes 0-99/1234"), Some((0..100, 1234)));
        for text in ["bytes */10", "0-9/10", "bytes 0-18446744073709551615/1", "bytes 1/2"] {
            assert_eq!(parse_content_range(text), None, "{text}");
        }
    }

    #[test]
    fn an_etag_is_the_same_with_and_without_quotes() {
        assert_eq!(version("\"abc-2\""), version("abc-2"));
        assert_eq!(quoted(&version("\"abc\"").0), "\"abc\"");
    }

    #[tokio::test]
    async fn a_body_that_ends_early_ends_with_an_error() {
        use futures_util::StreamExt;
        let key: Key = "a".parse().unwrap();

        let short = chunks(SdkStream::from_static(b"12345"), key.clone(), 6, Duration::from_secs(1));
        let items: Vec<_> = short.collect().await;
        let long = chunks(SdkStream::from_static(b"12345"), key, 4, Duration::from_secs(1));
        let over: Vec<_> = long.collect().await;

        assert!(items.len() == 2 && items[0].is_ok() && items[1].is_err(), "{items:?}");
        assert!(over.len() == 1 && over[0].is_err(), "{over:?}");
    }
}
