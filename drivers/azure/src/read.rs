//! Looking at objects and reading them.

use std::num::NonZero;
use std::ops::Range;

use azure_core::error::ErrorKind as CoreKind;
use azure_core::http::{AsyncResponseBody, Etag};
use azure_core::time::parse_rfc7231;
use azure_storage_blob::models::{BlobClientDownloadOptions, BlobClientDownloadResult, HttpRange};
use bytes::{Bytes, BytesMut};
use entrepot_storage::{
    Body, ByteStream, Error, ErrorKind, Key, Object, ObjectMeta, ReadRange, Result, Version,
};
use futures_util::{StreamExt as _, stream};

use crate::client::{Store, meta, text};
use crate::error::{self, NAME};

/// Longer than any blob in bytes: the largest block blob has 190.7 TiB.
const LONGER: u64 = 1 << 48;
/// The SDK would otherwise read in pieces, by several requests, and hold them.
const WHOLE: NonZero<usize> = NonZero::new(1 << 48).expect("it is not zero");
/// Up to so many bytes are gathered before the answer is passed on, which lets a retry cover them.
const AT_ONCE: u64 = 128 * 1024;
/// How often an object may change between the look at its size and the read of its end.
const TRIES: usize = 5;

pub(crate) async fn stat(store: &Store, key: &Key) -> Result<ObjectMeta> {
    let answer = store.blob(key).get_properties(None).await.map_err(|error| error::at(&error, key))?;
    let headers = answer.headers();
    let size = text(headers, "content-length").and_then(|length| length.parse().ok());
    let size = size.ok_or_else(|| error::nonsense(key, "a look at a blob without its length"))?;
    let etag = text(headers, "etag").map(Etag::from);
    let modified = text(headers, "last-modified").and_then(|date| parse_rfc7231(date).ok());
    Ok(meta(key, size, etag.as_ref(), modified))
}

pub(crate) async fn get(store: &Store, key: &Key, range: ReadRange) -> Result<Object> {
    match range {
        ReadRange::Whole => read(store, key, None, None).await,
        ReadRange::From(start) if start < LONGER => read(store, key, Some(start..LONGER), None).await,
        ReadRange::Bounded(range) if range.start < range.end && range.start < LONGER => {
            let range = range.start..range.end.min(LONGER);
            read(store, key, Some(range), None).await
        }
        ReadRange::From(_) | ReadRange::Bounded(_) | ReadRange::Suffix(0) => {
            Err(unsatisfiable(store, key).await)
        }
        ReadRange::Suffix(length) => suffix(store, key, length).await,
    }
}

/// The last bytes. Azure knows no suffix ranges, so the size is asked for first, and the read holds only
/// for the version that has it.
async fn suffix(store: &Store, key: &Key, length: u64) -> Result<Object> {
    let mut tries = 0;
    loop {
        let found = stat(store, key).await?;
        let Some(range) = ReadRange::Suffix(length).resolve(found.size) else {
            return Err(out_of_range(key, found.size));
        };
        tries += 1;
        match read(store, key, Some(range), found.version).await {
            Err(error) if error.kind() == ErrorKind::Precondition && tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

/// One request, and so one version.
async fn read(
    store: &Store,
    key: &Key,
    range: Option<Range<u64>>,
    version: Option<Version>,
) -> Result<Object> {
    let options = BlobClientDownloadOptions {
        range: range.clone().map(HttpRange::from),
        if_match: version.map(|version| Etag::from(version.0)),
        partition_size: Some(WHOLE),
        parallel: Some(NonZero::<usize>::MIN),
        ..Default::default()
    };
    let start = range.map(|range| range.start);
    match store.blob(key).download(Some(options)).await {
        Ok(answer) => match object(key, answer).await? {
            // The SDK answers an empty blob whatever part of it was asked for, Azurite no bytes from the
            // end of any.
            object if start.is_some() && object.range.is_empty() => Err(out_of_range(key, object.meta.size)),
            object => Ok(object),
        },
        Err(error) if error::status(&error) == 416 => Err(unsatisfiable(store, key).await),
        Err(error) => {
            let failure = error::at(&error, key);
            match start {
                // Azurite tells of an empty blob "bytes 0--1/0", which the SDK cannot read.
                Some(start) if *error.kind() == CoreKind::DataConversion => {
                    past_the_end(store, failure, start).await
                }
                _ => Err(failure),
            }
        }
    }
}

/// The failure as it is, unless the object ends before `start`.
async fn past_the_end(store: &Store, failure: Error, start: u64) -> Result<Object> {
    let Some(key) = failure.key() else { return Err(failure) };
    match stat(store, key).await {
        Ok(found) if found.size <= start => Err(out_of_range(key, found.size)),
        _ => Err(failure),
    }
}

async fn object(key: &Key, answer: BlobClientDownloadResult) -> Result<Object> {
    let length = answer.properties.content_length;
    let length = length.ok_or_else(|| error::nonsense(key, "a blob without its length"))?;
    // "bytes 5-9/20"; absent where the whole of an empty blob was answered.
    let (range, size) = match text(&answer.headers, "content-range") {
        Some(told) => content_range(told).ok_or_else(|| error::nonsense(key, "a strange Content-Range"))?,
        None => (0..length, length),
    };
    if range.end - range.start != length {
        return Err(error::nonsense(key, "a Content-Range of another length"));
    }
    let meta = meta(key, size, answer.properties.etag.as_ref(), answer.properties.last_modified);
    let stream = counted(key.clone(), answer.body, length);
    let body = if length <= AT_ONCE { gather(stream, length).await? } else { Body::Stream(stream) };
    Ok(Object { meta, range, body })
}

async fn gather(mut stream: ByteStream, length: u64) -> Result<Body> {
    let mut all = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(Body::Whole(all.freeze()))
}

/// The body as it comes, which fails rather than ends where `length` bytes did not come.
fn counted(key: Key, body: AsyncResponseBody, length: u64) -> ByteStream {
    let state = Some((body, length));
    Box::pin(stream::unfold(state, move |state| {
        let key = key.clone();
        async move {
            let (mut body, left) = state?;
            match body.next().await {
                Some(Ok(chunk)) => match left.checked_sub(chunk.len() as u64) {
                    Some(left) => Some((Ok(chunk), Some((body, left)))),
                    None => Some((Err(error::nonsense(&key, "more bytes than were told")), None)),
                },
                Some(Err(error)) => Some((Err(error::at(&error, &key)), None)),
                None if left > 0 => Some((Err::<Bytes, _>(error::nonsense(&key, "the body was cut")), None)),
                None => None,
            }
        }
    }))
}

/// The failure of a range that holds no byte, which tells the size; or the one that hides behind it.
async fn unsatisfiable(store: &Store, key: &Key) -> Error {
    match stat(store, key).await {
        Ok(found) => out_of_range(key, found.size),
        Err(error) => error,
    }
}

fn out_of_range(key: &Key, size: u64) -> Error {
    Error::new(NAME, ErrorKind::RangeNotSatisfiable { size }).at(key)
}

fn content_range(told: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = told.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, end) = (first.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?);
    (first <= end).then_some((first..end, size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(content_range("bytes 5-9/20"), Some((5..10, 20)));
        assert_eq!(content_range("bytes 20-19/20"), Some((20..20, 20)));
        for told in ["", "bytes */20", "bytes 9-5/20", "bytes 5-9/*", "5-9/20"] {
            assert_eq!(content_range(told), None, "{told:?}");
        }
    }
}
