//! Uploads: where they stand and where they go on.

use actix_web::http::header::HeaderName;
use entrepot_api::{Locations, Status, header};
use entrepot_domain::uploads::{Progress, Session};
use entrepot_oci::Digest;

use super::body::Content;
use super::{Answer, field};
use crate::context::Context;

/// A session is open, and empty.
pub(crate) fn opened(context: &Context<'_>, session: &Session) -> Answer {
    let answer = at(context, Answer::empty(Status::Accepted), session, 0);
    match context.shared.config.min_chunk_bytes {
        Some(bytes) => answer.text(header::CHUNK_MIN_LENGTH, &bytes.to_string()),
        None => answer,
    }
}

/// Bytes were appended.
pub(crate) fn accepted(context: &Context<'_>, progress: &Progress) -> Answer {
    at(context, Answer::empty(Status::Accepted), &progress.session, progress.offset)
}

/// Where the session stands.
pub(crate) fn standing(context: &Context<'_>, progress: &Progress) -> Answer {
    at(context, Answer::new(Status::NoContent, Content::None), &progress.session, progress.offset)
}

/// The blob is there. containerd fails the push unless the digest is repeated here.
pub(crate) fn stored(context: &Context<'_>, digest: &Digest) -> Answer {
    Answer::empty(Status::Created)
        .text(header::LOCATION, &context.locations().blob(context.repository(), digest))
        .text(header::CONTENT_DIGEST, &digest.to_string())
}

fn at(context: &Context<'_>, answer: Answer, session: &Session, offset: u64) -> Answer {
    let headers = session_headers(&context.locations(), session, offset);
    headers.into_iter().fold(answer, |mut answer, (name, value)| {
        if let Ok(value) = value.parse() {
            answer.headers.insert(name, value);
        }
        answer
    })
}

/// What every answer about a session carries, refusals included: regclient recovers from a 416 only by
/// both `Location` and `Range`.
pub(crate) fn session_headers(
    locations: &Locations<'_>,
    session: &Session,
    offset: u64,
) -> [(HeaderName, String); 3] {
    [
        (field(header::LOCATION), locations.upload(session.repository(), session.id(), session.token())),
        (field(header::RANGE), range(offset)),
        (field(header::UPLOAD_UUID), session.id().to_owned()),
    ]
}

/// `0-<last>`, without a unit: docker reads it by `%d-%d` and takes an end before its beginning for an
/// error, so nothing yet is `0-0` as well.
fn range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_no_unit_and_never_ends_before_it_begins() {
        assert_eq!(range(0), "0-0");
        assert_eq!(range(1), "0-0");
        assert_eq!(range(1234), "0-1233");
    }
}
