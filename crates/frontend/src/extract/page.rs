//! `n` and `last`: which part of a list is wanted.

use entrepot_api::Failure;
use entrepot_api::parameter::{LAST, N};
use entrepot_domain::catalog::Page;
use serde_json::json;

use super::query::Query;
use crate::error::Failed;

/// What a list does with an `n` beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// Answers with as many as it may.
    Clamp,
    /// Refuses, as distribution does for the catalog.
    Refuse,
}

/// The page a request asks for: `default` entries without `n`, at most `limit`.
pub(crate) fn page(query: &Query<'_>, default: usize, limit: usize, beyond: Beyond) -> Result<Page, Failed> {
    let wanted = match query.get(N) {
        None => default.min(limit),
        Some(text) => number(text)?,
    };
    if wanted > limit && beyond == Beyond::Refuse {
        return Err(Failed::about(Failure::PaginationInvalid, json!({ "n": wanted, "limit": limit })));
    }
    let last = query.get(LAST).filter(|last| !last.is_empty()).map(str::to_owned);
    Ok(Page { limit: wanted.min(limit), last })
}

fn number(text: &str) -> Result<usize, Failed> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| Failed::about(Failure::PaginationInvalid, json!({ "n": text })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(query: &str, beyond: Beyond) -> Option<usize> {
        page(&Query::parse(query), 100, 1000, beyond).ok().map(|page| page.limit)
    }

    #[test]
    fn a_page_has_the_wanted_size_within_the_limit() {
        for (query, expected) in [("", 100), ("n=0", 0), ("n=7", 7), ("n=1000", 1000)] {
            assert_eq!(limit(query, Beyond::Clamp), Some(expected), "{query}");
            assert_eq!(limit(query, Beyond::Refuse), Some(expected), "{query}");
        }
    }

    #[test]
    fn a_number_beyond_the_limit_is_cut_or_refused() {
        assert_eq!(limit("n=1000000000", Beyond::Clamp), Some(1000));
        assert_eq!(limit("n=1001", Beyond::Refuse), None);
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for query in ["n=", "n=-1", "n=abc", "n=18446744073709551616", "n=+1", "n=1.0", "n=%201"] {
            assert_eq!(limit(query, Beyond::Clamp), None, "{query}");
        }
    }

    #[test]
    fn an_empty_last_is_no_last() {
        let first = page(&Query::parse("last="), 100, 1000, Beyond::Clamp).unwrap();
        let next = page(&Query::parse("last=v1%2E0"), 100, 1000, Beyond::Clamp).unwrap();

        assert_eq!(first.last, None);
        assert_eq!(next.last.as_deref(), Some("v1.0"));
    }
}
