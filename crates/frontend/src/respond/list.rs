//! Lists, page by page.

use entrepot_api::{Status, body, header, location};
use entrepot_domain::catalog::{Listing, Page};
use entrepot_oci::{Descriptor, Digest, RepositoryName, media_type};
use serde::Serialize;

use super::Answer;
use super::body::Content;
use crate::context::Context;

/// A JSON body.
pub(crate) fn json(text: Vec<u8>) -> Answer {
    Answer::new(Status::Ok, Content::Bytes(text.into())).constant(header::CONTENT_TYPE, body::CONTENT_TYPE)
}

/// A page, and where the next one is.
pub(crate) fn page(body: &impl Serialize, next: Option<String>) -> Answer {
    let answer = json(to_json(body));
    match next {
        Some(address) => answer.text(header::LINK, &location::next_link(&address)),
        None => answer,
    }
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("the body of a list holds nothing but strings and numbers")
}

/// The page to ask the domain for, and how many of it are wanted. `n=0` is a legal question whose answer
/// is empty, but whether the repository exists still has to be found out.
pub(crate) fn at_least_one(wanted: &Page) -> (Page, usize) {
    (Page { limit: wanted.limit.max(1), last: wanted.last.clone() }, wanted.limit)
}

/// Undoes [`at_least_one`].
pub(crate) fn cut<T>(mut listing: Listing<T>, count: usize) -> Listing<T> {
    if count == 0 {
        listing.entries.clear();
        listing.next = None;
    }
    listing
}

/// Referrers as an index. Its `Content-Type` is compared letter by letter by clients, and its size stays
/// below that of a manifest.
pub(crate) fn referrers(
    context: &Context<'_>,
    name: &RepositoryName,
    subject: &Digest,
    filter: &[String],
    mut found: Listing<Descriptor>,
) -> Answer {
    let limit = usize::try_from(context.registry().config().max_manifest_bytes).unwrap_or(usize::MAX);
    let mut text = to_json(&Index::of(&found.entries));
    while text.len() > limit && found.entries.len() > 1 {
        // One pass as a rule: descriptors of one subject are about equally long.
        let keep = found.entries.len() * limit / text.len();
        found.entries.truncate(keep.clamp(1, found.entries.len() - 1));
        found.next = found.entries.last().map(|last| last.digest.to_string());
        text = to_json(&Index::of(&found.entries));
    }
    let mut answer = Answer::new(Status::Ok, Content::Bytes(text.into()))
        .constant(header::CONTENT_TYPE, media_type::OCI_INDEX);
    if !filter.is_empty() {
        answer = answer.constant(header::FILTERS_APPLIED, "artifactType");
    }
    let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
    match found.next.and_then(|last| last.parse().ok()) {
        Some(last) => {
            let address = context.locations().referrers_next(name, subject, &filter, &last);
            answer.text(header::LINK, &location::next_link(&address))
        }
        None => answer,
    }
}

/// An image index that lists referrers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

impl<'a> Index<'a> {
    fn of(manifests: &'a [Descriptor]) -> Self {
        Self { schema_version: 2, media_type: media_type::OCI_INDEX, manifests }
    }
}
