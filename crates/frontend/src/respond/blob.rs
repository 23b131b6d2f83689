//! Blobs: their bytes, a range of them, or where they are to be had.

use entrepot_api::{Status, header};
use entrepot_domain::blobs::{Content as Known, Delivery, OpenedRange};
use entrepot_oci::{Digest, etag};

use super::Answer;
use super::body::Content;
use crate::context::Context;

/// `Cache-Control` of content named by its digest: it never changes. Where not everybody may read
/// everything, only the client itself may keep it.
pub(crate) fn immutable(context: &Context<'_>) -> &'static str {
    if context.shared.gate.is_open() {
        "max-age=31536000, immutable"
    } else {
        "private, max-age=31536000, immutable"
    }
}

/// What is known of a blob: the answer to HEAD.
pub(crate) fn described(context: &Context<'_>, known: &Known) -> Answer {
    identified(context, Answer::new(Status::Ok, Content::Length(known.size)), &known.digest)
        .text(header::CONTENT_TYPE, known.media_type.as_str())
        .constant(header::ACCEPT_RANGES, "bytes")
}

/// The client's copy is current.
pub(crate) fn not_modified(context: &Context<'_>, known: &Known) -> Answer {
    identified(context, Answer::new(Status::NotModified, Content::None), &known.digest)
}

/// A whole blob.
pub(crate) fn whole(context: &Context<'_>, digest: &Digest, delivery: Delivery) -> Answer {
    match delivery {
        Delivery::Redirect(signed) => redirect(digest, &signed.url),
        Delivery::Stream(opened) => streamed(context, Status::Ok, opened),
    }
}

/// One range of a blob. A redirect carries it along: the client repeats its `Range` there.
pub(crate) fn range(context: &Context<'_>, digest: &Digest, delivery: Delivery) -> Answer {
    match delivery {
        Delivery::Redirect(signed) => redirect(digest, &signed.url),
        Delivery::Stream(opened) => {
            let place = content_range(&opened.range, opened.content.size);
            streamed(context, Status::PartialContent, opened).text(header::CONTENT_RANGE, &place)
        }
    }
}

/// `bytes <first>-<last>/<size>`
pub(crate) fn content_range(range: &std::ops::Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

fn streamed(context: &Context<'_>, status: Status, opened: OpenedRange) -> Answer {
    let OpenedRange { content, range, body } = opened;
    let body = Content::blob(body, range.end - range.start);
    identified(context, Answer::new(status, body), &content.digest)
        .text(header::CONTENT_TYPE, content.media_type.as_str())
        .constant(header::ACCEPT_RANGES, "bytes")
}

/// The store serves the bytes. The address holds a signature, so nobody may keep it for others; how long
/// it is good the address says itself.
pub(crate) fn redirect(digest: &Digest, url: &str) -> Answer {
    Answer::empty(Status::TemporaryRedirect)
        .text(header::LOCATION, url)
        .text(header::CONTENT_DIGEST, &digest.to_string())
        .constant(header::CACHE_CONTROL, "private, no-store")
}

/// What every answer about a blob says of it.
pub(crate) fn identified(context: &Context<'_>, answer: Answer, digest: &Digest) -> Answer {
    answer
        .text(header::CONTENT_DIGEST, &digest.to_string())
        .text(header::ETAG, &etag::of(digest))
        .constant(header::CACHE_CONTROL, immutable(context))
}
