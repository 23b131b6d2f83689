//! Listing objects.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object as Listed};
use entrepot_storage::key::MAX_SEGMENT_BYTES;
use entrepot_storage::{ListPage, ObjectMeta, Result};
use percent_encoding::percent_decode_str;

use crate::client::Client;
use crate::read::{instant, version};

/// The most the store lists at once.
const LARGEST_PAGE: usize = 1000;

impl Client {
    pub(crate) async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<ListPage> {
        let mut start = match start(prefix, start_after) {
            Start::Nowhere => return Ok(ListPage::default()),
            Start::Beginning => None,
            Start::After(text) => Some(self.prefixed(text)),
        };
        let limit = limit.clamp(1, LARGEST_PAGE);
        // A page may hold nothing of ours and yet lead on.
        loop {
            let page = self.page(prefix, start, limit).await?;
            let objects: Vec<_> = self.ours(&page.paths, &page.output, start_after).take(limit).collect();
            // MinIO says of some full pages that nothing follows although something does.
            let more = page.output.is_truncated() == Some(true) || page.paths.len() >= limit;
            start = page.paths.into_iter().next_back();
            if !objects.is_empty() || !more || start.is_none() {
                return Ok(ListPage { more: more && !objects.is_empty(), objects });
            }
        }
    }

    /// Continued by the last name, not by the store's token: a token is lost with its process, and MinIO's
    /// pages differ by how they were asked for.
    async fn page(&self, prefix: &str, start: Option<String>, limit: usize) -> Result<Page> {
        let request = self
            .sdk
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.prefixed(prefix))
            .set_start_after(start)
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX))
            // Without it a key with a control character, of whomever else, makes the answer unreadable.
            .encoding_type(EncodingType::Url)
            .send();
        let output = self.call(self.timeouts.call, request).await;
        let output = output.map_err(|failure| failure.into_error(None))?;
        let is_encoded = output.encoding_type() == Some(&EncodingType::Url);
        let paths = output.contents().iter().map(|listed| match listed.key() {
            Some(path) if is_encoded => decoded(path),
            path => path.unwrap_or_default().to_owned(),
        });
        Ok(Page { paths: paths.collect(), output })
    }

    /// What lies below our root and behind the start, which some stores include.
    fn ours<'a>(
        &'a self,
        paths: &'a [String],
        output: &'a ListObjectsV2Output,
        start_after: Option<&'a str>,
    ) -> impl Iterator<Item = ObjectMeta> + 'a {
        let listed = paths.iter().zip(output.contents());
        let objects = listed.filter_map(|(path, listed)| self.listed(path, listed));
        objects.filter(move |meta| start_after.is_none_or(|start| meta.key.as_str() > start))
    }

    fn listed(&self, path: &str, listed: &Listed) -> Option<ObjectMeta> {
        Some(ObjectMeta {
            key: self.key(path)?,
            size: u64::try_from(listed.size()?).ok()?,
            version: listed.e_tag().map(version),
            modified: listed.last_modified().and_then(instant),
        })
    }
}

/// A page as the store gave it, and its names decoded.
struct Page {
    paths: Vec<String>,
    output: ListObjectsV2Output,
}

/// Where a listing begins. MinIO answers nothing at all to a start outside the prefix, wherever it lies.
#[derive(Debug, PartialEq, Eq)]
enum Start<'a> {
    Beginning,
    After(&'a str),
    Nowhere,
}

fn start<'a>(prefix: &str, start_after: Option<&'a str>) -> Start<'a> {
    match start_after {
        _ if !may_begin_a_key(prefix) => Start::Nowhere,
        None => Start::Beginning,
        Some(start) if start.starts_with(prefix) && !start.is_empty() => Start::After(start),
        Some(start) if start < prefix || start.is_empty() => Start::Beginning,
        Some(_) => Start::Nowhere,
    }
}

/// Whether any key begins with this text. MinIO calls prefixes that no name can have an error.
pub(crate) fn may_begin_a_key(prefix: &str) -> bool {
    let mut segments = prefix.rsplit('/');
    let is_open = |segment: &str| !segment.starts_with('.') && segment.len() <= MAX_SEGMENT_BYTES;
    prefix.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && segments.next().is_none_or(is_open)
        && segments.all(|segment| is_open(segment) && !segment.is_empty())
}

/// Undoes `encoding-type=url`. A plus is a space there, and no key of ours has one.
fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_outside_the_prefix_is_never_sent() {
        assert_eq!(start("b/", Some("a")), Start::Beginning);
        assert_eq!(start("b/", Some("b")), Start::Beginning);
        assert_eq!(start("b/", Some("b/")), Start::After("b/"));
        assert_eq!(start("b/", Some("b/1")), Start::After("b/1"));
        assert_eq!(start("b/", Some("c")), Start::Nowhere);
        assert_eq!(start("", Some("")), Start::Beginning);
    }

    #[test]
    fn a_prefix_that_no_key_can_have_is_told() {
        for prefix in ["..", "../", "a/../a", ".hidden", "/", "a//", "a b", "ä", "a\\", "a\u{1}"] {
            assert!(!may_begin_a_key(prefix), "{prefix:?}");
        }
        for prefix in ["", "a", "a/", "a/b", "a.", "a-b/c.d"] {
            assert!(may_begin_a_key(prefix), "{prefix:?}");
        }
    }

    #[test]
    fn an_encoded_key_is_decoded() {
        assert_eq!(decoded("a%2Fb%21%2B%25"), "a/b!+%");
    }
}
