//! Requests understood, and answered from the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;

use super::answers::{Answer, json_refusal, xml_refusal};
use super::faults::Operation;
use super::related;
use super::store::{NO_SUCH_BUCKET, Store, Stored, Wrong, wrong};
use crate::client::{IF_GENERATION, crc_text, number, text, told_crc};

const UNKNOWN: Wrong = wrong(400, "InvalidArgument", "The fake does not know this request.");
const MALFORMED: Wrong = wrong(400, "parseError", "The parts of the upload make no sense.");
const NOT_SATISFIABLE: Wrong = wrong(416, "InvalidRange", "The requested range cannot be satisfied.");

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) operation: Operation,
    method: Method,
    bucket: String,
    name: String,
    query: BTreeMap<String, String>,
    api: Api,
}

/// Whose words a request is in, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Xml,
    Json,
    /// JSON's, with the bytes of an object.
    Upload,
}

/// What stands before the bytes of an object that is written.
/// <https://cloud.google.com/storage/docs/json_api/v1/objects/insert>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    content_type: Option<String>,
    crc32c: Option<String>,
}

#[derive(Deserialize)]
struct Completion {
    #[serde(rename = "Part", default)]
    parts: Vec<CompletedPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CompletedPart {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Call {
    pub(super) fn parse(method: &Method, path: &str, query: &str) -> Self {
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let json = path.strip_prefix("/storage/v1/b/").map(|rest| (rest, Api::Json));
        let upload = path.strip_prefix("/upload/storage/v1/b/").map(|rest| (rest, Api::Upload));
        let (bucket, name, api) = match json.or(upload) {
            Some((rest, api)) => {
                let (bucket, rest) = rest.split_once("/o").unwrap_or((rest, "\0"));
                let name = rest.strip_prefix('/').unwrap_or(rest);
                (bucket, name, api)
            }
            None => {
                let path = path.trim_start_matches('/');
                let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
                (bucket, name, Api::Xml)
            }
        };
        let (bucket, name) = match api {
            Api::Upload => (decoded(bucket), query.get("name").cloned().unwrap_or_default()),
            _ => (decoded(bucket), decoded(name)),
        };
        let operation = Operation::Unknown;
        let mut call = Self { operation, method: method.clone(), bucket, name, query, api };
        call.operation = call.understood();
        call
    }

    pub(super) fn is_signed(&self) -> bool {
        self.query.contains_key("X-Goog-Signature")
    }

    fn understood(&self) -> Operation {
        let has = |name: &str| self.query.contains_key(name);
        match (self.api, self.method.as_str(), self.name.as_str()) {
            (Api::Json, "GET", "\0") => Operation::Bucket,
            (Api::Json, "GET", "") => Operation::List,
            (Api::Json, "GET", _) => Operation::Stat,
            (Api::Upload, "POST", name) if !name.is_empty() && self.value("uploadType") == "multipart" => {
                Operation::Put
            }
            (Api::Xml, "GET", "") if has("uploads") => Operation::ListUploads,
            (_, _, "" | "\0") => Operation::Unknown,
            (Api::Xml, "GET", _) if self.is_signed() => Operation::SignedGet,
            (Api::Xml, "GET", _) => Operation::Get,
            (Api::Xml, "PUT", _) if has("uploadId") => Operation::UploadPart,
            (Api::Xml, "POST", _) if has("uploads") => Operation::UploadBegin,
            (Api::Xml, "POST", _) if has("uploadId") => Operation::UploadComplete,
            (Api::Xml, "DELETE", _) if has("uploadId") => Operation::UploadAbort,
            (Api::Xml, "DELETE", _) => Operation::Delete,
            _ => Operation::Unknown,
        }
    }

    /// A refusal in the shape of the API that was asked.
    pub(super) fn refuse(&self, wrong: Wrong) -> Answer {
        match self.api {
            Api::Xml => xml_refusal(wrong),
            Api::Json | Api::Upload => json_refusal(wrong, &self.bucket, &self.name),
        }
    }

    /// What an injected failure looks like: Google's codes where there is a well-known one.
    pub(super) fn fail(&self, status: u16) -> Answer {
        let code = match (self.api, status) {
            (Api::Xml, 401) => "AuthenticationRequired",
            (Api::Xml, 403) => "AccessDenied",
            (Api::Xml, 404) => "NoSuchBucket",
            (Api::Xml, 429) => "SlowDown",
            (Api::Xml, 503) => "ServiceUnavailable",
            (Api::Xml, _) => "InternalError",
            (_, 403) => "forbidden",
            (_, 429) => "rateLimitExceeded",
            (_, _) => "backendError",
        };
        self.refuse(wrong(status, code, "An injected failure."))
    }

    pub(super) fn apply(
        &self,
        store: &mut Store,
        settings: &serde_json::Value,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Answer {
        if self.bucket != store.bucket {
            return self.refuse(NO_SUCH_BUCKET);
        }
        let writes = matches!(self.operation, Operation::Put | Operation::Delete | Operation::UploadComplete);
        if let Some(refused) = writes.then(|| store.admit_write(&self.name).err()).flatten() {
            return self.refuse(refused);
        }
        let outcome = match self.operation {
            Operation::Bucket => Ok(Answer::json(settings)),
            Operation::Stat => {
                store.find(&self.name).map(|stored| Answer::json(&resource(&self.name, stored)))
            }
            Operation::Get | Operation::SignedGet => self.get(store, headers),
            Operation::Put => self.put(store, headers, body),
            Operation::Delete => {
                store.delete(&self.name, number(headers, &IF_GENERATION)).map(|()| Answer::new(204))
            }
            Operation::List => Ok(self.list(store)),
            Operation::UploadBegin => Ok(self.begin(store, headers)),
            Operation::UploadPart => self.part(store, headers, body),
            Operation::UploadComplete => self.complete(store, &body),
            Operation::UploadAbort => {
                store.abort(&self.name, self.value("uploadId")).map(|()| Answer::new(204))
            }
            Operation::ListUploads => Ok(self.list_uploads(store)),
            Operation::Unknown => Err(UNKNOWN),
        };
        outcome.unwrap_or_else(|wrong| self.refuse(wrong))
    }

    fn value(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-object-download>
    fn get(&self, store: &Store, headers: &HeaderMap) -> Result<Answer, Wrong> {
        let stored = store.find(&self.name)?;
        let size = stored.content.len() as u64;
        let content_type = match self.value("response-content-type") {
            "" => &stored.content_type,
            asked => asked,
        };
        let answer = |status| Answer::new(status).describing(stored).with(header::CONTENT_TYPE, content_type);
        let Some(range) = text(headers, &header::RANGE) else {
            return Ok(answer(200).body(stored.content.clone()));
        };
        let (start, end) = range_of(&range, size).ok_or(NOT_SATISFIABLE)?;
        let bytes = stored.content.slice(start as usize..end as usize);
        let told = format!("bytes {start}-{}/{size}", end - 1);
        Ok(answer(206).with(header::CONTENT_RANGE, told).body(bytes))
    }

    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/insert>
    fn put(&self, store: &mut Store, headers: &HeaderMap, body: Bytes) -> Result<Answer, Wrong> {
        let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
        let (about, content) = related::parts(&kind, &body).ok_or(MALFORMED)?;
        let about: Written = serde_json::from_slice(&about).map_err(|_| MALFORMED)?;
        let content_type = about.content_type.unwrap_or_else(|| "application/octet-stream".into());
        let condition = self.query.get("ifGenerationMatch").map(|value| value.parse().map_err(|_| UNKNOWN));
        let condition = condition.transpose()?;
        let stored = store.put(&self.name, content, content_type, about.crc32c.as_deref(), condition)?;
        Ok(Answer::json(&resource(&self.name, &stored)))
    }

    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/list>
    fn list(&self, store: &Store) -> Answer {
        let limit = self.value("maxResults").parse().unwrap_or(1000).clamp(1, 1000);
        let past = self.query.get("pageToken").map(String::as_str);
        let (page, more) = store.list(self.value("prefix"), self.value("startOffset"), past, limit);
        let token = page.last().filter(|_| more).map(|(name, _)| (*name).clone());
        let items: Vec<_> = page.into_iter().map(|(name, stored)| resource(name, stored)).collect();
        let mut answer = json!({ "kind": "storage#objects" });
        // Google leaves out what is empty.
        if !items.is_empty() {
            answer["items"] = items.into();
        }
        if let Some(token) = token {
            answer["nextPageToken"] = token.into();
        }
        Answer::json(&answer)
    }

    /// <https://cloud.google.com/storage/docs/xml-api/post-object-multipart>
    fn begin(&self, store: &mut Store, headers: &HeaderMap) -> Answer {
        let id = store.begin(&self.name, content_type(headers));
        Answer::xml(format!(
            "<InitiateMultipartUploadResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>{}</Bucket>\
             <Key>{}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
            self.bucket,
            escaped(&self.name)
        ))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/put-object-multipart>
    fn part(&self, store: &mut Store, headers: &HeaderMap, body: Bytes) -> Result<Answer, Wrong> {
        let number = self.value("partNumber").parse().unwrap_or(0);
        let crc = told_crc(headers);
        let (etag, crc) = store.add_part(&self.name, self.value("uploadId"), number, body, crc.as_deref())?;
        Ok(Answer::new(200).with(header::ETAG, etag).hashed(crc))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/post-object-complete>. That page promises neither the
    /// generation nor the hash in the answer. Google's Java client reads the hash there, so the fake tells it.
    fn complete(&self, store: &mut Store, body: &Bytes) -> Result<Answer, Wrong> {
        let malformed = wrong(400, "MalformedXML", "The XML you provided was not well-formed.");
        let asked: Completion =
            quick_xml::de::from_str(&String::from_utf8_lossy(body)).map_err(|_| malformed)?;
        let parts: Vec<_> = asked.parts.into_iter().map(|part| (part.part_number, part.etag)).collect();
        let stored = store.complete(&self.name, self.value("uploadId"), &parts)?;
        Ok(Answer::xml(format!(
            "<CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>{}</Bucket>\
             <Key>{}</Key><ETag>\"{:x}\"</ETag></CompleteMultipartUploadResult>",
            self.bucket,
            escaped(&self.name),
            stored.generation
        ))
        .hashed(stored.crc))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads>
    fn list_uploads(&self, store: &Store) -> Answer {
        let limit = self.value("max-uploads").parse().unwrap_or(1000).min(1000);
        let marker = (self.value("key-marker"), self.value("upload-id-marker"));
        let (page, more) = store.uploads(self.value("prefix"), marker, limit);
        let next = page.last().filter(|_| more).map(|(id, pending)| {
            format!(
                "<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>",
                escaped(&pending.name)
            )
        });
        let uploads: String = page
            .iter()
            .map(|(id, pending)| {
                let began = jiff::Timestamp::try_from(pending.initiated).unwrap_or_default();
                format!(
                    "<Upload><Key>{}</Key><UploadId>{id}</UploadId><StorageClass>STANDARD</StorageClass>\
                     <Initiated>{began}</Initiated></Upload>",
                    escaped(&pending.name)
                )
            })
            .collect();
        Answer::xml(format!(
            "<ListMultipartUploadsResult><Bucket>{}</Bucket>{}<MaxUploads>{limit}</MaxUploads>\
             <IsTruncated>{more}</IsTruncated>{uploads}</ListMultipartUploadsResult>",
            self.bucket,
            next.unwrap_or_default()
        ))
    }
}

/// <https://cloud.google.com/storage/docs/json_api/v1/objects#resource>; numbers are text there.
fn resource(name: &str, stored: &Stored) -> serde_json::Value {
    json!({
        "kind": "storage#object",
        "name": name,
        "generation": stored.generation.to_string(),
        "size": stored.content.len().to_string(),
        "updated": jiff::Timestamp::try_from(stored.modified).unwrap_or_default().to_string(),
        "crc32c": crc_text(stored.crc),
        "contentType": stored.content_type,
    })
}

fn content_type(headers: &HeaderMap) -> String {
    text(headers, &header::CONTENT_TYPE).unwrap_or_else(|| "application/octet-stream".into())
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

/// The bytes of a `Range` header of one range, or `None` where the object has none of them.
fn range_of(header: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let length: u64 = last.parse().ok()?;
        return (length > 0 && size > 0).then(|| (size.saturating_sub(length), size));
    }
    let first: u64 = first.parse().ok()?;
    let end = match last {
        "" => size,
        last => last.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (first < end).then_some((first, end))
}
