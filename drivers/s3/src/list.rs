//! Listing objects.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object as Listed};
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
        let start = match start(prefix, start_after) {
            Start::Nowhere => return Ok(ListPage::default()),
            Start::Beginning => None,
            Start::After(text) => Some(self.prefixed(text)),
        };
        let limit = limit.clamp(1, LARGEST_PAGE);
        let mut token = None;
        // A page may hold nothing of ours and yet lead on.
        loop {
            let output = self.page(prefix, start.as_deref(), limit, token.take()).await?;
            let objects: Vec<_> = self.ours(&output, start_after).take(limit).collect();
            let more = output.is_truncated() == Some(true);
            token = output.next_continuation_token().map(str::to_owned);
            if !objects.is_empty() || !more || token.is_none() {
                return Ok(ListPage { more: more && !objects.is_empty(), objects });
            }
        }
    }

    async fn page(
        &self,
        prefix: &str,
        start: Option<&str>,
        limit: usize,
        token: Option<String>,
    ) -> Result<ListObjectsV2Output> {
        // Where a page continues another, the token says from where.
        let start = start.filter(|_| token.is_none());
        let request = self
            .sdk
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.prefixed(prefix))
            .set_start_after(start.map(str::to_owned))
            .set_continuation_token(token)
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX))
            // Without it a key with a control character, of whomever else, makes the answer unreadable.
            .encoding_type(EncodingType::Url)
            .send();
        let output = self.call(self.timeouts.call, request).await;
        output.map_err(|failure| failure.into_error(None))
    }

    /// What lies below our root and behind the start, which some stores include.
    fn ours<'a>(
        &'a self,
        output: &'a ListObjectsV2Output,
        start_after: Option<&'a str>,
    ) -> impl Iterator<Item = ObjectMeta> + 'a {
        let is_encoded = output.encoding_type() == Some(&EncodingType::Url);
        let objects = output.contents().iter().filter_map(move |listed| self.listed(listed, is_encoded));
        objects.filter(move |meta| start_after.is_none_or(|start| meta.key.as_str() > start))
    }

    fn listed(&self, listed: &Listed, is_encoded: bool) -> Option<ObjectMeta> {
        let path = listed.key()?;
        let decoded = is_encoded.then(|| decoded(path));
        Some(ObjectMeta {
            key: self.key(decoded.as_deref().unwrap_or(path))?,
            size: u64::try_from(listed.size()?).ok()?,
            version: listed.e_tag().map(version),
            modified: listed.last_modified().and_then(instant),
        })
    }
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
        None => Start::Beginning,
        Some(start) if start.starts_with(prefix) && !start.is_empty() => Start::After(start),
        Some(start) if start < prefix || start.is_empty() => Start::Beginning,
        Some(_) => Start::Nowhere,
    }
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
    fn an_encoded_key_is_decoded() {
        assert_eq!(decoded("a%2Fb%21%2B%25"), "a/b!+%");
    }
}
