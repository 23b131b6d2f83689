//! Reading objects, whole and in ranges.
//!
//! Ranges are read by Google's library, whole objects by a request of our own: the library does not tell when
//! an object was written (its `ObjectHighlights` have no time), and a record that is read and relied upon has
//! to be known for old.
//!
//! Nothing is ever stored with a content encoding, so Google has nothing to decompress on the way
//! (<https://cloud.google.com/storage/docs/transcoding>); an object that has one was put by somebody else,
//! and is refused rather than served with other bytes than its size tells.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use entrepot_storage::{
    Body, ByteStream, Error, ErrorKind, Key, Object, ObjectMeta, ReadRange, Result, Version,
};
use google_cloud_storage::model_ext;
use google_cloud_storage::read_object::ReadObjectResponse;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use crate::NAME;
use crate::client::{
    Client, GENERATION, NOT_SATISFIABLE, Request, STORED_ENCODING, STORED_LENGTH, ask, crc_text, meta,
    number, text, told_crc, within,
};
use crate::error::{Refusal, lost, strange, unanswered};

/// The largest object Google stores: 5 TiB. No range needs to name a byte past it.
const MAX_OBJECT_BYTES: u64 = 5 << 40;
/// Bodies up to here are read at once: records, manifests, small configs.
const SMALL_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
pub(crate) struct Resource {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) generation: String,
    pub(crate) size: String,
    #[serde(default)]
    pub(crate) updated: String,
}

impl Resource {
    pub(crate) fn meta(&self, key: &Key) -> Result<ObjectMeta> {
        let size = self.size.parse().map_err(|_| strange("an object without a size").at(key))?;
        let modified = self.updated.parse().ok().map(|time: jiff::Timestamp| time.into());
        Ok(ObjectMeta { key: key.clone(), size, version: Some(Version(self.generation.clone())), modified })
    }
}

impl Client {
    /// By the JSON API, because an XML HEAD cannot say whether the object or the bucket is missing.
    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/get>
    pub(crate) async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        let name = self.name_of(key);
        let name = percent_encoding::utf8_percent_encode(&name, crate::client::STRICT);
        let url = format!("{}/o/{name}?fields=generation,size,updated", self.json_url());
        match self.call(Request::new(Method::GET, url), self.timeouts.call).await? {
            Ok(answer) => {
                let resource: Resource = serde_json::from_slice(&answer.body)
                    .map_err(|error| strange(format!("an object told in other words: {error}")).at(key))?;
                resource.meta(key)
            }
            Err(refusal) => Err(self.refused(key, refusal).await),
        }
    }

    /// What a refusal of the JSON API means. Its message is not a promise: where a 404 names neither the
    /// object nor the bucket, the XML API's code does.
    async fn refused(&self, key: &Key, refusal: Refusal) -> Error {
        if refusal.status == StatusCode::NOT_FOUND && !refusal.is_missing_object() {
            let first_byte = self.request(key).header(header::RANGE, HeaderValue::from_static("bytes=0-0"));
            match self.send(first_byte, self.timeouts.call).await {
                Ok(Err(code)) if code.is_missing_object() => return code.into_error(Some(key)),
                Err(error) => return error,
                _ => {}
            }
        }
        refusal.into_error(Some(key))
    }

    fn request(&self, key: &Key) -> Request {
        Request::new(Method::GET, self.object_url(key))
    }

    pub(crate) async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        match range {
            // Read whole, so that its bytes are compared with their sum before the last is handed on.
            ReadRange::Whole | ReadRange::From(0) => self.get_whole(key, &range).await,
            range => self.get_range(key, &range).await,
        }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-object-download>
    async fn get_whole(&self, key: &Key, range: &ReadRange) -> Result<Object> {
        let response = match self.send(self.request(key), self.timeouts.call).await? {
            Ok(response) => response,
            Err(refusal) => return Err(refusal.into_error(Some(key))),
        };
        let found = head(key, response.headers())?;
        let bytes = range.resolve(found.size).ok_or_else(|| range_error(key, found.size))?;
        let crc = told_crc(response.headers());
        self.object(found, bytes, crc, Source::Ours(response)).await
    }

    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/get>, with `alt=media`.
    ///
    /// The library keeps `Content-Range` to itself and compares the length of the body with it. Here it is
    /// compared with the range's, so an answer of another length than was asked for is noticed.
    async fn get_range(&self, key: &Key, range: &ReadRange) -> Result<Object> {
        let Some(wanted) = wanted(range) else { return Err(self.not_satisfiable(key, range).await) };
        let request = self.library.read(self.name_of(key), wanted);
        let response = match ask(self.timeouts.call, request).await.map_err(|error| error.at(key))? {
            Ok(response) => response,
            Err(refusal) if refusal.status == NOT_SATISFIABLE => {
                return Err(self.not_satisfiable(key, range).await);
            }
            Err(refusal) => return Err(self.refused(key, refusal).await),
        };
        let told = response.object();
        let found = highlighted(key, &told)?;
        // A size of 0 is also what the library makes of one that was not told.
        let Some(bytes) = range.resolve(found.size) else {
            return Err(self.not_satisfiable(key, range).await);
        };
        let crc = told.checksums.and_then(|sums| sums.crc32c).map(crc_text);
        self.object(found, bytes, crc, Source::Library(response)).await
    }

    async fn object(
        &self,
        meta: ObjectMeta,
        range: Range<u64>,
        crc: Option<String>,
        source: Source,
    ) -> Result<Object> {
        let reading = Reading {
            source,
            left: range.end - range.start,
            // The sum is that of the whole object.
            crc: crc.filter(|_| range == (0..meta.size)).map(|expected| (expected, 0)),
            key: meta.key.clone(),
            idle: self.timeouts.idle,
        };
        let body = reading.into_body().await?;
        Ok(Object { meta, range, body })
    }

    /// The size is not promised to stand beside a 416, so it is asked for. Rare, and never on the way of a
    /// client that knows what it reads.
    async fn not_satisfiable(&self, key: &Key, range: &ReadRange) -> Error {
        match self.stat(key).await {
            Ok(found) if range.resolve(found.size).is_none() => range_error(key, found.size),
            Ok(_) => strange("no bytes of a range that has some").at(key),
            Err(error) => error,
        }
    }
}

fn range_error(key: &Key, size: u64) -> Error {
    Error::new(NAME, ErrorKind::RangeNotSatisfiable { size }).at(key)
}

/// The range as the library names it, `None` where no object holds a byte of it.
fn wanted(range: &ReadRange) -> Option<model_ext::ReadRange> {
    match range {
        ReadRange::Whole => Some(model_ext::ReadRange::all()),
        ReadRange::Bounded(range) if range.start < range.end && range.start < MAX_OBJECT_BYTES => {
            let length = range.end.min(MAX_OBJECT_BYTES) - range.start;
            Some(model_ext::ReadRange::segment(range.start, length))
        }
        ReadRange::From(start) if *start < MAX_OBJECT_BYTES => Some(model_ext::ReadRange::offset(*start)),
        ReadRange::Suffix(length) if *length > 0 => {
            Some(model_ext::ReadRange::tail(*length.min(&MAX_OBJECT_BYTES)))
        }
        _ => None,
    }
}

/// What the head of an answer tells about the object.
fn head(key: &Key, headers: &HeaderMap) -> Result<ObjectMeta> {
    check_encoding(key, text(headers, &STORED_ENCODING).as_deref())?;
    match (number(headers, &STORED_LENGTH), number(headers, &GENERATION)) {
        (Some(size), Some(_)) => Ok(meta(key, headers, size)),
        _ => Err(strange("an object without its size or generation").at(key)),
    }
}

/// The same of an answer to the library. It refuses one without a generation.
fn highlighted(key: &Key, told: &model_ext::ObjectHighlights) -> Result<ObjectMeta> {
    check_encoding(key, Some(&told.content_encoding).filter(|told| !told.is_empty()).map(String::as_str))?;
    let size = u64::try_from(told.size).map_err(|_| strange("an object of a negative size").at(key))?;
    let version = Some(Version(told.generation.to_string()));
    Ok(ObjectMeta { key: key.clone(), size, version, modified: None })
}

fn check_encoding(key: &Key, told: Option<&str>) -> Result<()> {
    match told {
        None | Some("identity") => Ok(()),
        Some(_) => Err(Error::new(NAME, ErrorKind::Backend { retryable: false })
            .because("the object was stored with a content encoding, which we never do")
            .at(key)),
    }
}

/// Who brings the bytes.
enum Source {
    Ours(reqwest::Response),
    Library(ReadObjectResponse),
}

impl Source {
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Ours(response) => response.chunk().await.map_err(lost),
            Self::Library(response) => response.next().await.transpose().map_err(|error| unanswered(&error)),
        }
    }
}

/// A body on its way.
struct Reading {
    source: Source,
    left: u64,
    /// What the whole object's bytes must come to, and what they came to so far.
    crc: Option<(String, u32)>,
    key: Key,
    idle: std::time::Duration,
}

impl Reading {
    async fn into_body(mut self) -> Result<Body> {
        if self.left > SMALL_BYTES {
            return Ok(Body::Stream(self.into_stream()));
        }
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(Body::Whole(whole.freeze()))
    }

    fn into_stream(self) -> ByteStream {
        Box::pin(futures_util::stream::try_unfold(self, |mut reading| async move {
            let chunk = reading.next().await?;
            Ok(chunk.map(|chunk| (chunk, reading)))
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let chunk = within(self.idle, self.source.chunk());
        match chunk.await.map_err(|error| error.at(&self.key))? {
            Some(chunk) => {
                let length = chunk.len() as u64;
                let Some(left) = self.left.checked_sub(length) else {
                    return Err(strange("more bytes than were told").at(&self.key));
                };
                self.left = left;
                if let Some((_, crc)) = &mut self.crc {
                    *crc = crc32c::crc32c_append(*crc, &chunk);
                }
                // The last chunk is not handed on before the sum is known to be right.
                if left == 0 {
                    self.check()?;
                }
                Ok(Some(chunk))
            }
            None if self.left > 0 => Err(strange("the body ended early").at(&self.key)),
            None => Ok(None),
        }
    }

    fn check(&self) -> Result<()> {
        match &self.crc {
            Some((expected, found)) if *expected != crc_text(*found) => {
                Err(strange("the bytes changed on their way: their CRC32C differs").at(&self.key))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_asked_for_within_what_an_object_can_be() {
        use model_ext::ReadRange as Wanted;

        assert_eq!(wanted(&ReadRange::Bounded(0..u64::MAX)), Some(Wanted::segment(0, 5 << 40)));
        assert_eq!(wanted(&ReadRange::Bounded(3..4)), Some(Wanted::segment(3, 1)));
        assert_eq!(wanted(&ReadRange::Suffix(u64::MAX)), Some(Wanted::tail(5 << 40)));
        assert_eq!(wanted(&ReadRange::From(7)), Some(Wanted::offset(7)));
        for none in [ReadRange::Bounded(5..5), ReadRange::From(u64::MAX), ReadRange::Suffix(0)] {
            assert_eq!(wanted(&none), None);
        }
    }
}
