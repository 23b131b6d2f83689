//! Answers in Google's shapes.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::faults::Effect;
use super::store::{Stored, Wrong};
use crate::client::{GENERATION, HASH, STORED_ENCODING, STORED_LENGTH, crc_text};

pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// An answer before a fault has got at it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What `Content-Length` tells where it is not the body's own: the answer to a HEAD.
    pub(super) told_length: Option<usize>,
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), told_length: None }
    }

    pub(super) fn json(value: &serde_json::Value) -> Self {
        Self::new(200).with(header::CONTENT_TYPE, "application/json; charset=UTF-8").body(value.to_string())
    }

    pub(super) fn xml(body: String) -> Self {
        let body = format!("<?xml version='1.0' encoding='UTF-8'?>{body}");
        Self::new(200).with(header::CONTENT_TYPE, "application/xml; charset=UTF-8").body(body)
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.append(name, value);
        }
        self
    }

    /// With this CRC32C in place of any it told.
    pub(super) fn hashed(mut self, crc: u32) -> Self {
        self.headers.remove(HASH);
        self.with(HASH, format!("crc32c={}", crc_text(crc)))
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// <https://cloud.google.com/storage/docs/xml-api/reference-headers>
    pub(super) fn describing(self, stored: &Stored) -> Self {
        let modified = jiff::Timestamp::try_from(stored.modified)
            .map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        self.with(GENERATION, stored.generation.to_string())
            .hashed(stored.crc)
            .with(STORED_LENGTH, stored.content.len().to_string())
            .with(STORED_ENCODING, "identity")
            .with(header::LAST_MODIFIED, modified.unwrap_or_default())
            .with(header::ACCEPT_RANGES, "bytes")
    }

    /// The answer as it is sent, with what a fault does to its body.
    pub(super) fn send(self, effect: Option<&Effect>) -> Response<Body> {
        let Self { status, headers, body, told_length } = self;
        let length = told_length.unwrap_or(body.len());
        let body = match effect {
            Some(Effect::CutBody { after }) => cut(body, *after),
            Some(Effect::StallBody { after }) => stalled(body, *after),
            Some(Effect::FlipByte { at }) => whole(flipped(body, *at)),
            _ => whole(body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        if status != 204 {
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        response
    }
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn cut(body: Bytes, after: usize) -> Body {
    let first = body.slice(..after.min(body.len()));
    let frames = [Ok(Frame::data(first)), Err(std::io::Error::other("cut on purpose"))];
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

fn stalled(body: Bytes, after: usize) -> Body {
    let first = body.slice(..after.min(body.len()));
    let frames = stream::iter([Ok(Frame::data(first))]).chain(stream::pending());
    StreamBody::new(frames).boxed_unsync()
}

fn flipped(body: Bytes, at: usize) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes.into()
}

/// A refusal by the XML API.
pub(super) fn xml_refusal(wrong: Wrong) -> Answer {
    let Wrong { status, code, message } = wrong;
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer { status, ..Answer::xml(body) }
}

/// A refusal by the JSON API.
pub(super) fn json_refusal(wrong: Wrong, bucket: &str, name: &str) -> Answer {
    let reason = match wrong.code {
        "NoSuchKey" | "NoSuchBucket" => "notFound",
        "PreconditionFailed" => "conditionNotMet",
        code => code,
    };
    let message = match wrong.code {
        "NoSuchKey" => format!("No such object: {bucket}/{name}"),
        _ => wrong.message.to_owned(),
    };
    let item = serde_json::json!({ "message": message, "domain": "global", "reason": reason });
    let error = serde_json::json!({ "code": wrong.status, "message": message, "errors": [item] });
    Answer { status: wrong.status, ..Answer::json(&serde_json::json!({ "error": error })) }
}
