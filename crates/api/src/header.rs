//! Header names with a meaning of their own here, and what they mean.

/// A request or response header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name as documents write it.
    pub name: &'static str,
    /// The same name in lower case, as HTTP/2 and typed header maps want it.
    pub field: &'static str,
    /// What it says, for the generated reference.
    pub description: &'static str,
}

macro_rules! headers {
    ($($constant:ident = $name:literal, $field:literal, $description:literal;)+) => {
        $(
            #[doc = $description]
            pub const $constant: Header = Header { name: $name, field: $field, description: $description };
        )+

        /// Every header of the contract.
        pub const ALL: &[&Header] = &[$(&$constant,)+];
    };
}

headers! {
    ACCEPT = "Accept", "accept",
        "Manifest types the client understands. Never turns a manifest that exists into a 404, and nothing is converted.";
    ACCEPT_RANGES = "Accept-Ranges", "accept-ranges",
        "`bytes`: ranges of this content may be asked for.";
    ALLOW = "Allow", "allow",
        "The methods this path accepts.";
    API_VERSION = "Docker-Distribution-API-Version", "docker-distribution-api-version",
        "`registry/2.0` on every answer below `/v2/`, errors included.";
    AUTHORIZATION = "Authorization", "authorization",
        "Credentials, as the challenge of a 401 asks for them.";
    CACHE_CONTROL = "Cache-Control", "cache-control",
        "How long the answer may be kept: content named by its digest for a year, a tag never without asking again, a redirect not longer than its signature lives.";
    CHUNK_MIN_LENGTH = "OCI-Chunk-Min-Length", "oci-chunk-min-length",
        "Smallest chunk in bytes the registry wants, the last one excepted. Absent when there is no minimum.";
    CONTENT_DIGEST = "Docker-Content-Digest", "docker-content-digest",
        "Digest of the content the answer carries or is about.";
    CONTENT_LENGTH = "Content-Length", "content-length",
        "Size of the body in bytes; in answers to HEAD the size of the content.";
    CONTENT_RANGE = "Content-Range", "content-range",
        "In a request, the chunk's place: `<first>-<last>`, both inclusive. In a 206, the place of the part: `bytes <first>-<last>/<size>`; in a 416, `bytes */<size>`.";
    CONTENT_TYPE = "Content-Type", "content-type",
        "Media type of the body. Parameters are ignored in requests and absent from manifests in answers.";
    ETAG = "ETag", "etag",
        "The digest in double quotes.";
    EXPECT = "Expect", "expect",
        "`100-continue`: the body is asked for only after name, access, session and size have been checked.";
    FILTERS_APPLIED = "OCI-Filters-Applied", "oci-filters-applied",
        "`artifactType` when the list was filtered by it.";
    IF_MATCH = "If-Match", "if-match",
        "Write the tag only while it names this digest, given as an ETag; `*` if it exists at all.";
    IF_NONE_MATCH = "If-None-Match", "if-none-match",
        "Reading: ETags the client holds, quoted or bare. Writing: `*`, write the tag only if it does not exist yet.";
    IF_RANGE = "If-Range", "if-range",
        "The range is wanted only if the ETag still holds; otherwise the whole content is sent.";
    LINK = "Link", "link",
        "`<url>; rel=\"next\"`: where the list goes on. Absent on its last page.";
    LOCATION = "Location", "location",
        "Where the content now is, or where the upload goes on. Relative unless the registry is configured with a host; its query is opaque and has to be sent back whole.";
    NAMESPACE = "OCI-Namespace", "oci-namespace",
        "The `ns` parameter of the request, when it chose what was answered.";
    RANGE = "Range", "range",
        "In a request, the wanted bytes: `bytes=<first>-<last>`, `bytes=<first>-` or `bytes=-<count>`. In answers about an upload, what has arrived: `0-<last>`, without unit, `0-0` when empty.";
    RETRY_AFTER = "Retry-After", "retry-after",
        "Seconds to wait before the same request is worth repeating.";
    SUBJECT = "OCI-Subject", "oci-subject",
        "Digest of the manifest's subject: the registry keeps the list of referrers itself.";
    TAG = "OCI-Tag", "oci-tag",
        "Tags that were written, one or several per header.";
    UPLOAD_UUID = "Docker-Upload-UUID", "docker-upload-uuid",
        "Identifier of the upload session.";
    WARNING = "Warning", "warning",
        "`299 - \"<text>\"`: something a person should know; at most 4096 bytes of it in one answer.";
    WWW_AUTHENTICATE = "WWW-Authenticate", "www-authenticate",
        "How to authenticate, and for which scope.";
}

/// The value of [`API_VERSION`].
pub const API_VERSION_VALUE: &str = "registry/2.0";

/// Bytes of warning text one answer may carry (distribution-spec, "Warnings").
pub const MAX_WARNING_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_the_name_in_lower_case() {
        for header in ALL {
            assert_eq!(header.field, header.name.to_ascii_lowercase());
        }
    }

    #[test]
    fn no_header_is_listed_twice() {
        let mut fields: Vec<_> = ALL.iter().map(|header| header.field).collect();
        fields.sort_unstable();
        fields.dedup();
        assert_eq!(fields.len(), ALL.len());
    }
}
