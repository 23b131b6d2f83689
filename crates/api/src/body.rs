//! The JSON bodies of lists. Empty lists are `[]`, never `null`.

use serde::{Deserialize, Serialize};

/// The body of `GET /v2/`.
pub const BASE: &str = "{}";

/// The `Content-Type` of the bodies in this module.
pub const CONTENT_TYPE: &str = "application/json";

/// The tags of a repository, one page of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    /// The repository.
    pub name: String,
    /// Tags in byte order.
    pub tags: Vec<String>,
}

/// The repositories of the registry, one page of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Names in byte order.
    pub repositories: Vec<String>,
}

/// The tags that name one manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestTags {
    /// The repository.
    pub name: String,
    /// The manifest.
    pub digest: String,
    /// Tags in byte order.
    pub tags: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_written_as_an_empty_array() {
        let list = TagList { name: "a".into(), tags: Vec::new() };

        assert_eq!(serde_json::to_string(&list).unwrap(), r#"{"name":"a","tags":[]}"#);
    }
}
