//! Listings.
//!
//! Google lists names in the order of their UTF-8 bytes
//! (<https://cloud.google.com/storage/docs/json_api/v1/objects/list>). `startOffset` includes its name,
//! so one more is asked for and the name itself is passed over.

use entrepot_storage::{Key, ListPage, ObjectMeta, Result};
use http::Method;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use crate::client::{Client, Request, STRICT};
use crate::error::strange;
use crate::read::Resource;

/// The most names of one answer.
const MAX_PAGE: usize = 1000;
const FIELDS: &str = "nextPageToken,items(name,size,generation,updated)";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Resource>,
    next_page_token: Option<String>,
}

impl Client {
    pub(crate) async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<ListPage> {
        let mut objects: Vec<ObjectMeta> = Vec::new();
        let mut token: Option<String> = None;
        if limit == 0 {
            return Ok(ListPage { objects, more: true });
        }
        // Answers may be short or empty and still have a token: the limit and the token decide.
        loop {
            let wanted = limit - objects.len() + usize::from(start_after.is_some());
            let page = self.page(prefix, start_after, token.as_deref(), wanted.min(MAX_PAGE)).await?;
            let mut rest = page.items.into_iter();
            while objects.len() < limit
                && let Some(item) = rest.next()
            {
                objects.extend(self.listed(&item, start_after)?);
            }
            let unread = rest.next().is_some();
            token = page.next_page_token.filter(|token| !token.is_empty());
            if unread || token.is_none() || objects.len() >= limit {
                // An empty page leads nowhere, and cannot be here: then there was no token.
                let more = unread || token.is_some();
                return Ok(ListPage { objects, more });
            }
        }
    }

    async fn page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        token: Option<&str>,
        wanted: usize,
    ) -> Result<Page> {
        let mut url = format!("{}/o?fields={FIELDS}&maxResults={wanted}", self.json_url());
        let mut add = |name: &str, value: &str| {
            url.push_str(&format!("&{name}={}", utf8_percent_encode(value, STRICT)));
        };
        let prefix = format!("{}{prefix}", self.root);
        if !prefix.is_empty() {
            add("prefix", &prefix);
        }
        if let Some(start) = start_after {
            add("startOffset", &format!("{}{start}", self.root));
        }
        if let Some(token) = token {
            add("pageToken", token);
        }
        match self.call(Request::new(Method::GET, url), self.timeouts.call).await? {
            Ok(answer) => serde_json::from_slice(&answer.body)
                .map_err(|error| strange(format!("a listing told in other words: {error}"))),
            Err(refusal) => Err(refusal.into_error(None)),
        }
    }

    /// What was put by others under names that are no keys is not ours to show.
    fn listed(&self, item: &Resource, start_after: Option<&str>) -> Result<Option<ObjectMeta>> {
        let Some(key) = self.key_of(&item.name) else { return Ok(None) };
        let is_after = |key: &Key| start_after.is_none_or(|start| key.as_str() > start);
        if is_after(&key) { item.meta(&key).map(Some) } else { Ok(None) }
    }
}
