//! Text becomes types, once; from here on it is trusted.

pub(crate) mod body;
pub(crate) mod conditions;
pub(crate) mod page;
pub(crate) mod query;

use entrepot_api::Failure;
use entrepot_oci::content_range::LengthMatch;
use entrepot_oci::{ContentRange, Digest, Reference, RepositoryName, Tag};
use serde_json::json;

use crate::error::Failed;

/// The repository in a path.
pub(crate) fn repository(text: &str) -> Result<RepositoryName, Failed> {
    text.parse().map_err(|error| Failed::because(Failure::NameInvalid, error))
}

/// A digest, wherever it stands.
pub(crate) fn digest(text: &str) -> Result<Digest, Failed> {
    text.parse().map_err(|error| Failed::because(Failure::DigestInvalid, error))
}

/// The reference of a manifest that is to be read or deleted. A tag that breaks the grammar cannot
/// exist, so it is unknown rather than invalid.
pub(crate) fn reference_to_find(text: &str) -> Result<Reference, Failed> {
    if text.contains(':') {
        return digest(text).map(Reference::Digest);
    }
    let unknown = |_| Failed::about(Failure::ManifestUnknown, json!({ "reference": text }));
    text.parse().map(Reference::Tag).map_err(unknown)
}

/// The reference of a manifest that is to be written.
pub(crate) fn reference_to_write(text: &str) -> Result<Reference, Failed> {
    if text.contains(':') { digest(text).map(Reference::Digest) } else { tag(text).map(Reference::Tag) }
}

/// A tag that is to be written.
pub(crate) fn tag(text: &str) -> Result<Tag, Failed> {
    text.parse().map_err(|error| Failed::because(Failure::TagInvalid, error))
}

/// Where the bytes of a chunk go, and how many there are, as far as the request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Offset of the first byte; `None` appends wherever the upload stands.
    pub(crate) offset: Option<u64>,
    /// Number of bytes; `None` for a stream of unknown length.
    pub(crate) size: Option<u64>,
}

/// Reads `Content-Range` beside `Content-Length`. A length that contradicts the range is refused, with
/// one exception: an end that is one too large, as old regclient releases sent it. `Content-Length` is
/// then the truth.
pub(crate) fn chunk(content_range: Option<&str>, content_length: Option<u64>) -> Result<Chunk, Failed> {
    let Some(header) = content_range else { return Ok(Chunk { offset: None, size: content_length }) };
    let range: ContentRange =
        header.parse().map_err(|error| Failed::because(Failure::ContentRangeInvalid, error))?;
    let size = match content_length.map(|length| range.compare(length)) {
        None | Some(LengthMatch::Exact) => range.len(),
        Some(LengthMatch::ExclusiveEnd) => {
            tracing::debug!(header, "a chunk's range ends one too late; taking its length for the truth");
            range.len() - 1
        }
        Some(LengthMatch::Mismatch) => {
            let received = content_length.unwrap_or_default();
            return Err(Failed::about(
                Failure::SizeInvalid,
                json!({ "expected": range.len(), "received": received }),
            ));
        }
    };
    Ok(Chunk { offset: Some(range.first()), size: Some(size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<T: std::fmt::Debug>(result: Result<T, Failed>) -> Failure {
        result.unwrap_err().failure()
    }

    #[test]
    fn a_bad_tag_is_unknown_to_readers_and_invalid_to_writers() {
        assert_eq!(failure(reference_to_find("-bad")), Failure::ManifestUnknown);
        assert_eq!(failure(reference_to_write("-bad")), Failure::TagInvalid);
    }

    #[test]
    fn a_bad_digest_is_invalid_to_everybody() {
        for text in ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "tarsum.v1+sha256:00"] {
            assert_eq!(failure(reference_to_find(text)), Failure::DigestInvalid);
            assert_eq!(failure(reference_to_write(text)), Failure::DigestInvalid);
            assert_eq!(failure(digest(text)), Failure::DigestInvalid);
        }
    }

    #[test]
    fn a_chunk_goes_where_its_range_says() {
        assert_eq!(chunk(None, Some(5)).unwrap(), Chunk { offset: None, size: Some(5) });
        assert_eq!(chunk(None, None).unwrap(), Chunk { offset: None, size: None });
        assert_eq!(chunk(Some("10-14"), Some(5)).unwrap(), Chunk { offset: Some(10), size: Some(5) });
        assert_eq!(chunk(Some("bytes 10-14/*"), None).unwrap(), Chunk { offset: Some(10), size: Some(5) });
    }

    #[test]
    fn an_exclusive_end_is_forgiven_and_any_other_length_is_not() {
        assert_eq!(chunk(Some("10-15"), Some(5)).unwrap(), Chunk { offset: Some(10), size: Some(5) });
        assert_eq!(chunk(Some("7-7"), Some(0)).unwrap(), Chunk { offset: Some(7), size: Some(0) });
        assert_eq!(failure(chunk(Some("10-16"), Some(5))), Failure::SizeInvalid);
        assert_eq!(failure(chunk(Some("10-12"), Some(5))), Failure::SizeInvalid);
        assert_eq!(failure(chunk(Some("ten-12"), Some(5))), Failure::ContentRangeInvalid);
    }
}
