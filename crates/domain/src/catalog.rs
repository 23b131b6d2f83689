//! The catalog: repositories that hold a manifest, and the words every listing shares.

use crate::error::Result;
use crate::layout;
use crate::registry::Registry;

/// Which part of a listing is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many entries; 0 answers none.
    pub limit: usize,
    /// Only what comes after this entry, which need not exist.
    pub last: Option<String>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries, in order.
    pub entries: Vec<T>,
    /// What to give as `last` for the next page; `None` at the end.
    pub next: Option<String>,
}

impl Registry {
    /// Repositories in the catalog's order: by bytes, with `/` below every other character.
    pub async fn list_repositories(&self, page: &Page) -> Result<Listing<String>> {
        let last = page.last.as_ref().map(|last| last.replace('/', "!"));
        let name_of = |segment: &str| layout::repository_of(segment).map(|name| name.as_str().to_owned());
        let page = Page { limit: page.limit, last };
        self.0.list_names(layout::REPOSITORIES, &page, name_of).await
    }
}
