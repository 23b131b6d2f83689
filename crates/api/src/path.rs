//! From a path to the resource it names. The router, by hand: a repository name may have any number of
//! components, and each may be called `manifests`, `blobs` or `tags`, so a path is read **from its end**.
//! The last marker decides: `/v2/a/manifests/b/manifests/latest` is the tag `latest` of `a/manifests/b`.
//!
//! The path is read as it came, without query and without decoding. What is escaped stays escaped and so
//! breaks the grammar of names, tags and digests later on (`%2f`, `%2e%2e`, `%00`); nothing is normalised,
//! so `..` and `//` never lead elsewhere. One exception: `%3A` in the last component is the colon of a
//! digest, which some HTTP libraries escape. It is decoded once; `%253A` is not a colon.
//!
//! Names are *not* checked here: the front end parses them and answers NAME_INVALID, which is of more use
//! to a person than a router's 404.

use std::borrow::Cow;

use crate::Resource;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMatch<'a> {
    /// The resource.
    pub resource: Resource,
    /// The text where the repository name stands, unchecked; empty where the resource has none.
    pub name: &'a str,
    /// The text of the other parameter (reference, digest, session), unchecked and never with a slash;
    /// empty where the resource has none.
    pub argument: Cow<'a, str>,
}

/// Finds the resource of `path`, or `None` (404) if it names none. Takes time linear in the path and
/// allocates only to decode an escaped colon.
///
/// `path` is the raw path of the request target, with `http.prefix` taken off and without the query.
pub fn match_path(path: &str) -> Option<PathMatch<'_>> {
    match path {
        "/v2" => return Some(bare(Resource::BareBase)),
        "/v2/" => return Some(bare(Resource::Base)),
        "/v2/_catalog" => return Some(bare(Resource::Catalog)),
        _ => {}
    }
    let (head, last) = path.strip_prefix("/v2/")?.rsplit_once('/')?;
    match_suffix(head, last)
}

/// `head` is everything before the last slash, `last` what follows it.
fn match_suffix<'a>(head: &'a str, last: &'a str) -> Option<PathMatch<'a>> {
    // Proxies are known to strip the trailing slash of `blobs/uploads/`, so both forms open an upload.
    // Neither hides anything: the empty text and `uploads` are not digests.
    match last {
        "" => return named(Resource::Uploads, head.strip_suffix("/blobs/uploads")?),
        "uploads" if let Some(name) = head.strip_suffix("/blobs") => return named(Resource::Uploads, name),
        "list" if let Some(name) = head.strip_suffix("/tags") => return named(Resource::Tags, name),
        "tags" if let Some(found) = manifest_tags(head) => return Some(found),
        _ => {}
    }
    let (name, marker) = head.rsplit_once('/')?;
    match marker {
        "manifests" => with_argument(Resource::Manifest, name, last),
        "blobs" => with_argument(Resource::Blob, name, last),
        "referrers" => with_argument(Resource::Referrers, name, last),
        "uploads" => with_argument(Resource::Upload, name.strip_suffix("/blobs")?, last),
        _ => None,
    }
}

fn manifest_tags(head: &str) -> Option<PathMatch<'_>> {
    let (head, digest) = head.rsplit_once('/')?;
    let name = head.strip_suffix("/_ext/manifests")?;
    // Where the digest should be stands a later marker, and the last one decides.
    let is_marker = matches!(digest, "manifests" | "blobs" | "referrers");
    if digest.is_empty() || is_marker { None } else { with_argument(Resource::ManifestTags, name, digest) }
}

fn bare(resource: Resource) -> PathMatch<'static> {
    PathMatch { resource, name: "", argument: Cow::Borrowed("") }
}

fn named(resource: Resource, name: &str) -> Option<PathMatch<'_>> {
    Some(PathMatch { resource, name, argument: Cow::Borrowed("") })
}

fn with_argument<'a>(resource: Resource, name: &'a str, argument: &'a str) -> Option<PathMatch<'a>> {
    Some(PathMatch { resource, name, argument: decode_colons(argument) })
}

fn decode_colons(argument: &str) -> Cow<'_, str> {
    if argument.contains("%3A") || argument.contains("%3a") {
        Cow::Owned(argument.replace("%3A", ":").replace("%3a", ":"))
    } else {
        Cow::Borrowed(argument)
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
