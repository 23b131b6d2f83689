//! Reading objects, whole and in ranges.
//!
//! Nothing is ever stored with a content encoding, so Google has nothing to decompress on the way
//! (<https://cloud.google.com/storage/docs/transcoding>); an object that has one was put by somebody else,
//! and is refused rather than served with other bytes than its size tells.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use entrepot_storage::{
    Body, ByteStream, Error, ErrorKind, Key, Object, ObjectMeta, ReadRange, Result, Version,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use crate::NAME;
use crate::client::{
    Client, GENERATION, NOT_SATISFIABLE, Request, STORED_ENCODING, STORED_LENGTH, crc_text, meta, number,
    text, told_crc, within,
};
use crate::error::{lost, strange};

/// The largest object Google stores: 5 TiB. No range needs to name a byte past it.
const MAX_OBJECT_BYTES: u64 = 5 << 40;
/// Bodies up to here are read at once: records, manifests, small configs.
pub(crate) const SMALL_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
pub(crate) struct Resource {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) generation: String,
    pub(crate) size: String,
    #[serde(default)]
    pub(crate) updated: String,
    /// As [`crc_text`] writes it; empty where the store does not tell it.
    #[serde(default)]
    pub(crate) crc32c: String,
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
    pub(crate) async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.resource(key).await?.meta(key)
    }

    /// What the JSON API tells about an object.
    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/get>
    pub(crate) async fn resource(&self, key: &Key) -> Result<Resource> {
        let name = self.name_of(key);
        let name = percent_encoding::utf8_percent_encode(&name, crate::client::STRICT);
        let url = format!("{}/o/{name}?fields=generation,size,updated,crc32c", self.json_url());
        match self.call(Request::new(Method::GET, url), self.timeouts.call).await? {
            Ok(answer) => serde_json::from_slice(&answer.body)
                .map_err(|error| strange(format!("an object told in other words: {error}")).at(key)),
            // The message is not a promise. Where it says neither, the XML API's code does.
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND && !refusal.is_missing_object() => {
                let first_byte =
                    self.request(key).header(header::RANGE, HeaderValue::from_static("bytes=0-0"));
                match self.send(first_byte, self.timeouts.call).await? {
                    Err(code) if code.is_missing_object() => Err(code.into_error(Some(key))),
                    _ => Err(refusal.into_error(Some(key))),
                }
            }
            Err(refusal) => Err(refusal.into_error(Some(key))),
        }
    }

    fn request(&self, key: &Key) -> Request {
        Request::new(Method::GET, self.object_url(key))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-object-download>
    pub(crate) async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let Some(wanted) = range_header(&range) else { return Err(self.not_satisfiable(key).await) };
        let request = match wanted {
            Some(value) => self.request(key).header(header::RANGE, value),
            None => self.request(key),
        };
        let response = match self.send(request, self.timeouts.call).await? {
            Ok(response) => response,
            Err(refusal) if refusal.status == NOT_SATISFIABLE => return Err(self.not_satisfiable(key).await),
            Err(refusal) => return Err(refusal.into_error(Some(key))),
        };
        let (found, bytes) = head(key, response.status(), response.headers())?;
        if range != ReadRange::Whole {
            match range.resolve(found.size) {
                Some(wanted) if wanted == bytes => {}
                Some(_) => return Err(strange("the store answered another range").at(key)),
                None => return Err(range_error(key, found.size)),
            }
        }
        let crc = (bytes == (0..found.size)).then(|| told_crc(response.headers())).flatten();
        let reading = Reading {
            response,
            left: bytes.end - bytes.start,
            crc: crc.map(|expected| (expected, 0)),
            key: key.clone(),
            idle: self.timeouts.idle,
        };
        let body = reading.into_body().await?;
        Ok(Object { meta: found, range: bytes, body })
    }

    /// The size is not promised to stand beside a 416, so it is asked for. Rare, and never on the way of a
    /// client that knows what it reads.
    async fn not_satisfiable(&self, key: &Key) -> Error {
        match self.stat(key).await {
            Ok(found) => range_error(key, found.size),
            Err(error) => error,
        }
    }
}

fn range_error(key: &Key, size: u64) -> Error {
    Error::new(NAME, ErrorKind::RangeNotSatisfiable { size }).at(key)
}

/// The `Range` header, `Some(None)` where none is needed, `None` where no object holds a byte of it.
fn range_header(range: &ReadRange) -> Option<Option<HeaderValue>> {
    let text = match range {
        ReadRange::Whole => return Some(None),
        ReadRange::Bounded(range) if range.start < range.end && range.start < MAX_OBJECT_BYTES => {
            format!("bytes={}-{}", range.start, range.end.min(MAX_OBJECT_BYTES) - 1)
        }
        ReadRange::From(start) if *start < MAX_OBJECT_BYTES => format!("bytes={start}-"),
        ReadRange::Suffix(length) if *length > 0 => format!("bytes=-{}", length.min(&MAX_OBJECT_BYTES)),
        _ => return None,
    };
    HeaderValue::from_str(&text).ok().map(Some)
}

/// What the head of an answer tells: the object, and which bytes of it follow.
fn head(key: &Key, status: StatusCode, headers: &HeaderMap) -> Result<(ObjectMeta, Range<u64>)> {
    if text(headers, &STORED_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Error::new(NAME, ErrorKind::Backend { retryable: false })
            .because("the object was stored with a content encoding, which we never do")
            .at(key));
    }
    let told = (number(headers, &STORED_LENGTH), number(headers, &GENERATION));
    let (Some(size), Some(_)) = told else {
        return Err(strange("an object without its size or generation").at(key));
    };
    let bytes = match status {
        StatusCode::PARTIAL_CONTENT => text(headers, &header::CONTENT_RANGE)
            .and_then(|value| content_range(&value))
            .ok_or_else(|| strange("a range of an object that does not say which").at(key))?,
        _ => 0..size,
    };
    Ok((meta(key, headers, size), bytes))
}

/// The bytes of `bytes 0-9/100`.
fn content_range(value: &str) -> Option<Range<u64>> {
    let (first, last) = value.strip_prefix("bytes ")?.split('/').next()?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < u64::MAX).then(|| first..last + 1)
}

/// A body on its way.
struct Reading {
    response: reqwest::Response,
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
        let chunk = within(self.idle, async { self.response.chunk().await.map_err(lost) });
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
        let header = |range| range_header(&range).flatten().map(|value| value.to_str().unwrap().to_owned());

        assert_eq!(header(ReadRange::Bounded(0..u64::MAX)).unwrap(), "bytes=0-5497558138879");
        assert_eq!(header(ReadRange::Bounded(3..4)).unwrap(), "bytes=3-3");
        assert_eq!(header(ReadRange::Suffix(u64::MAX)).unwrap(), "bytes=-5497558138880");
        assert_eq!(header(ReadRange::From(7)).unwrap(), "bytes=7-");
        for none in [ReadRange::Bounded(5..5), ReadRange::From(u64::MAX), ReadRange::Suffix(0)] {
            assert_eq!(range_header(&none), None);
        }
    }

    #[test]
    fn a_content_range_that_makes_no_sense_is_none() {
        assert_eq!(content_range("bytes 0-9/100"), Some(0..10));
        for text in ["bytes 9-0/100", "bytes */100", "0-9/100", "bytes 0-18446744073709551616/1", ""] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
