//! Manifests: their exact bytes, and everything a client wants to know without them.

use bytes::Bytes;
use entrepot_api::{Status, header};
use entrepot_domain::manifests::ManifestPushed;
use entrepot_oci::{Descriptor, Reference, etag};

use super::Answer;
use super::blob::immutable;
use super::body::Content;
use crate::context::Context;

/// A manifest; without `bytes`, what is known of it. `Docker-Content-Digest` is the digest asked for, in
/// whatever algorithm, because that is what clients compare.
pub(crate) fn content(
    context: &Context<'_>,
    reference: &Reference,
    descriptor: &Descriptor,
    bytes: Option<Bytes>,
) -> Answer {
    let content = bytes.map_or(Content::Length(descriptor.size), Content::Bytes);
    let answer = Answer::new(Status::Ok, content).text(header::CONTENT_TYPE, descriptor.media_type.as_str());
    identified(context, answer, reference, descriptor)
}

/// The client's copy is current.
pub(crate) fn not_modified(context: &Context<'_>, reference: &Reference, descriptor: &Descriptor) -> Answer {
    identified(context, Answer::new(Status::NotModified, Content::None), reference, descriptor)
}

fn identified(
    context: &Context<'_>,
    answer: Answer,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Answer {
    let (digest, cached) = match reference {
        Reference::Digest(digest) => (digest, immutable(context)),
        // A tag may move at any time, so a copy has to be checked before each use; the ETag makes that cheap.
        Reference::Tag(_) => (&descriptor.digest, "no-cache"),
    };
    answer
        .text(header::CONTENT_DIGEST, &digest.to_string())
        .text(header::ETAG, &etag::of(digest))
        .constant(header::CACHE_CONTROL, cached)
}

/// A manifest was pushed.
pub(crate) fn pushed(context: &Context<'_>, pushed: &ManifestPushed) -> Answer {
    let location = context.locations().manifest(context.repository(), &pushed.digest);
    let mut answer = Answer::empty(Status::Created)
        .text(header::LOCATION, &location)
        .text(header::CONTENT_DIGEST, &pushed.digest.to_string());
    if let Some(subject) = &pushed.subject {
        answer = answer.text(header::SUBJECT, &subject.to_string());
    }
    pushed.tags.iter().fold(answer, |answer, tag| answer.more(header::TAG, tag.as_str()))
}
