//! Uploads in parts, by the XML API's multipart uploads
//! (<https://cloud.google.com/storage/docs/multipart-uploads>).
//!
//! JSON's resumable uploads are no match for the contract: they are one stream, whose bytes have no names,
//! so an overtaken writer's could stand in the object unseen. Parts here have ETags; completion names them.
//!
//! A tag is the store's ETag and our CRC32C. The store checks each part against its sum on arrival, and the
//! sums combine to that of the object, which is compared where the store tells its own: with the completion's
//! answer, and with the object an earlier completion left.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, Part, Result, Upload, UploadEntry};
use http::{Method, StatusCode, header};
use http_body::{Frame, SizeHint};
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};

use crate::NAME;
use crate::client::{Client, HASH, Request, STRICT, check_crc, crc_text, hash_header, meta, text, told_crc};
use crate::error::{Refusal, strange};

/// The most uploads of one answer.
const MAX_PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Initiated {
    upload_id: String,
}

#[derive(Serialize)]
#[serde(rename = "CompleteMultipartUpload")]
struct Completion {
    #[serde(rename = "Part")]
    parts: Vec<CompletedPart>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CompletedPart {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uploads {
    #[serde(rename = "Upload", default)]
    uploads: Vec<ListedUpload>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedUpload {
    key: String,
    upload_id: String,
    #[serde(default)]
    initiated: String,
}

impl Client {
    fn upload_url(&self, upload: &Upload, query: &str) -> String {
        let id = utf8_percent_encode(&upload.id, STRICT);
        format!("{}?{query}uploadId={id}", self.object_url(&upload.key))
    }

    pub(crate) async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        let request = Request::new(Method::POST, format!("{}?uploads", self.object_url(key)))
            .header(header::CONTENT_TYPE, http::HeaderValue::from_static("application/octet-stream"))
            .header(header::CONTENT_LENGTH, 0.into());
        match self.call(self.creating(request), self.timeouts.call).await? {
            Ok(answer) => {
                let begun: Initiated = xml(&answer.body).map_err(|error| error.at(key))?;
                Ok(Upload { key: key.clone(), id: begun.upload_id })
            }
            Err(refusal) => Err(never_absent(refusal, key)),
        }
    }

    pub(crate) async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let size: u64 = body.iter().map(|piece| piece.len() as u64).sum();
        let crc = body.iter().fold(0, |crc, piece| crc32c::crc32c_append(crc, piece));
        let request = Request::new(Method::PUT, self.upload_url(upload, &format!("partNumber={number}&")))
            .header(header::CONTENT_LENGTH, size.into())
            .header(HASH, hash_header(crc))
            .body(reqwest::Body::wrap(Pieces::new(body)));
        match self.call(request, self.timeouts.sending(size)).await? {
            Ok(answer) => {
                check_crc(crc, &answer.headers).map_err(|error| error.at(&upload.key))?;
                let etag = text(&answer.headers, &header::ETAG)
                    .ok_or_else(|| strange("a part was answered without its ETag").at(&upload.key))?;
                Ok(Part { number, size, tag: format!("{etag} {crc:08x}") })
            }
            Err(refusal) => Err(gone_or_other(refusal, &upload.key)),
        }
    }

    pub(crate) async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let key = &upload.key;
        if parts.is_empty() || !(1..).zip(parts).all(|(place, part)| part.number == place) {
            return Err(mismatch(key, "the parts are not numbered from one without a gap"));
        }
        let body = completion(parts).map_err(|error| error.at(key))?;
        let request = Request::new(Method::POST, self.upload_url(upload, ""))
            .header(header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"))
            .body(body);
        let size = parts.iter().map(|part| part.size).sum();
        let answer = match self.call(request, self.timeouts.completion).await? {
            Ok(answer) => answer,
            Err(refusal) if refusal.is_missing_upload() => {
                return self.completed_before(upload, parts, size).await;
            }
            Err(refusal) => return Err(completion_error(refusal, key)),
        };
        // A store of this kind may begin its answer before it is done and tell a failure in the body.
        if !String::from_utf8_lossy(&answer.body).contains("<CompleteMultipartUploadResult") {
            let refusal = Refusal::read(StatusCode::INTERNAL_SERVER_ERROR, &answer.headers, &answer.body);
            return Err(completion_error(refusal, key));
        }
        match (combined_crc(parts), told_crc(&answer.headers)) {
            // Not `Backend`, which says that the outcome is unknown: a session would wait for it, while nobody can
            // make an object of these parts any more. Whoever sent them has to begin anew.
            (Some(ours), Some(theirs)) if theirs != crc_text(ours) => {
                Err(gone(key).because(format!("the store made an object of other bytes: CRC32C {theirs}")))
            }
            _ => Ok(meta(key, &answer.headers, size)),
        }
    }

    /// An upload that is gone while its object is there was completed by an earlier call: nobody else uses
    /// its key. Whether it was with these parts is told by their size and, where the store knows it, their sum.
    async fn completed_before(&self, upload: &Upload, parts: &[Part], size: u64) -> Result<ObjectMeta> {
        let key = &upload.key;
        match self.resource(key).await {
            Ok(found) => {
                let is_ours = |crc| found.crc32c.is_empty() || found.crc32c == crc_text(crc);
                let meta = found.meta(key)?;
                match meta.size == size && combined_crc(parts).is_none_or(is_ours) {
                    true => Ok(meta),
                    false => Err(gone(key)),
                }
            }
            Err(error) if error.is_not_found() => Err(gone(key)),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        let request = Request::new(Method::DELETE, self.upload_url(upload, ""));
        match self.call(request, self.timeouts.call).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_missing_upload() => Ok(()),
            Err(refusal) => Err(never_absent(refusal, &upload.key)),
        }
    }

    pub(crate) async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        let mut entries = Vec::new();
        let mut marker = start_after.map(|start| (format!("{}{start}", self.root), String::new()));
        while entries.len() < limit {
            let page = self.uploads_page(prefix, marker.as_ref(), limit - entries.len()).await?;
            let listed = page.uploads.iter().filter_map(|upload| self.entry(upload));
            entries.extend(listed.filter(|entry| {
                entry.upload.key.as_str().starts_with(prefix)
                    && start_after.is_none_or(|start| entry.upload.key.as_str() > start)
            }));
            if !page.is_truncated || page.next_key_marker.is_empty() {
                break;
            }
            marker = Some((page.next_key_marker, page.next_upload_id_marker));
        }
        entries.truncate(limit);
        Ok(entries)
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads>
    async fn uploads_page(
        &self,
        prefix: &str,
        marker: Option<&(String, String)>,
        wanted: usize,
    ) -> Result<Uploads> {
        let mut url = format!("{}?uploads&max-uploads={}", self.bucket_url(), wanted.min(MAX_PAGE));
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                url.push_str(&format!("&{name}={}", utf8_percent_encode(value, STRICT)));
            }
        };
        add("prefix", &format!("{}{prefix}", self.root));
        if let Some((key, id)) = marker {
            add("key-marker", key);
            add("upload-id-marker", id);
        }
        match self.call(Request::new(Method::GET, url), self.timeouts.call).await? {
            Ok(answer) => xml(&answer.body),
            Err(refusal) => Err(refusal.into_error(None)),
        }
    }

    fn entry(&self, upload: &ListedUpload) -> Option<UploadEntry> {
        let key = self.key_of(&upload.key)?;
        let initiated = upload.initiated.parse().ok().map(|time: jiff::Timestamp| time.into());
        Some(UploadEntry { upload: Upload { key, id: upload.upload_id.clone() }, initiated })
    }
}

fn xml<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T> {
    let text = std::str::from_utf8(body).map_err(|_| strange("an answer that is no text"))?;
    quick_xml::de::from_str(text).map_err(|error| strange(format!("an answer in other words: {error}")))
}

fn completion(parts: &[Part]) -> Result<String> {
    let parts = parts.iter().map(|part| CompletedPart {
        part_number: part.number,
        etag: part.tag.split(' ').next().unwrap_or_default().to_owned(),
    });
    quick_xml::se::to_string(&Completion { parts: parts.collect() })
        .map_err(|error| Error::new(NAME, ErrorKind::PartMismatch).because(error.to_string()))
}

/// The sum of the whole object, where every tag holds that of its part.
fn combined_crc(parts: &[Part]) -> Option<u32> {
    parts.iter().try_fold(0, |crc, part| {
        let own = u32::from_str_radix(part.tag.split_once(' ')?.1, 16).ok()?;
        Some(crc32c::crc32c_combine(crc, own, usize::try_from(part.size).ok()?))
    })
}

fn gone(key: &Key) -> Error {
    Error::new(NAME, ErrorKind::UploadGone).at(key)
}

fn mismatch(key: &Key, why: &str) -> Error {
    Error::new(NAME, ErrorKind::PartMismatch).at(key).because(why.to_owned())
}

fn gone_or_other(refusal: Refusal, key: &Key) -> Error {
    if refusal.is_missing_upload() {
        return refusal.into_error_of(ErrorKind::UploadGone, Some(key));
    }
    never_absent(refusal, key)
}

/// Codes of <https://cloud.google.com/storage/docs/xml-api/reference-status>.
fn completion_error(refusal: Refusal, key: &Key) -> Error {
    match refusal.code.as_str() {
        // No part we send is too small but the last: where the store finds one, another writer's stands in its
        // place. Which of the two faults it names is not documented.
        "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" => {
            refusal.into_error_of(ErrorKind::PartMismatch, Some(key))
        }
        "NoSuchUpload" => refusal.into_error_of(ErrorKind::UploadGone, Some(key)),
        "MalformedXML" => refusal.into_error_of(ErrorKind::Backend { retryable: false }, Some(key)),
        _ => never_absent(refusal, key),
    }
}

/// A call about an upload is never answered by the absence of an object.
fn never_absent(refusal: Refusal, key: &Key) -> Error {
    match refusal.kind() {
        ErrorKind::NotFound | ErrorKind::Precondition => {
            refusal.into_error_of(ErrorKind::Backend { retryable: false }, Some(key))
        }
        _ => refusal.into_error(Some(key)),
    }
}

/// A part's bytes as they lie, with their length known in advance: nothing is copied, and the request is
/// not chunked, which the store would refuse for a part.
struct Pieces {
    rest: VecDeque<Bytes>,
    left: u64,
}

impl Pieces {
    fn new(pieces: Vec<Bytes>) -> Self {
        let rest: VecDeque<Bytes> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let left = rest.iter().map(|piece| piece.len() as u64).sum();
        Self { rest, left }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let next = self.rest.pop_front();
        if let Some(piece) = &next {
            self.left -= piece.len() as u64;
        }
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_parts_combine_to_that_of_the_object() {
        let (one, other) = (vec![7_u8; 1000], vec![9_u8; 333]);
        let part = |number, bytes: &[u8]| Part {
            number,
            size: bytes.len() as u64,
            tag: format!("\"etag\" {:08x}", crc32c::crc32c(bytes)),
        };

        let combined = combined_crc(&[part(1, &one), part(2, &other)]);

        assert_eq!(combined, Some(crc32c::crc32c(&[one, other].concat())));
        assert_eq!(combined_crc(&[Part { number: 1, size: 3, tag: "\"etag\"".into() }]), None);
    }

    #[test]
    fn a_completion_names_its_parts_and_nothing_else() {
        let part = Part { number: 1, size: 3, tag: "\"a<b\" 00000001".into() };

        let body = completion(&[part]).expect("it can be written");

        let expected = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>\
            <ETag>\"a&lt;b\"</ETag></Part></CompleteMultipartUpload>";
        assert_eq!(body, expected);
    }
}
