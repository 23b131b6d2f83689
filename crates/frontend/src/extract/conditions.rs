//! Conditional writes: `If-Match` and `If-None-Match` on the PUT of a tag.

use entrepot_oci::Digest;

/// What a write asks for before it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing: the last writer wins.
    None,
    /// The tag must not exist.
    Absent,
    /// The tag must exist, whatever it names.
    Present,
    /// The tag must name one of these. May be empty, and then nothing satisfies it.
    Current(Vec<Digest>),
}

/// Reads both headers. `If-None-Match` has a meaning for writes as `*` only; entity tags in it are about
/// reading and are ignored.
pub(crate) fn condition(if_match: Option<&str>, if_none_match: Option<&str>) -> Condition {
    if if_none_match.is_some_and(|value| value.trim() == "*") {
        return Condition::Absent;
    }
    match if_match.map(str::trim) {
        None => Condition::None,
        Some("*") => Condition::Present,
        Some(list) => Condition::Current(list.split(',').filter_map(strong_digest).collect()),
    }
}

/// A weak tag matches nothing before a write (RFC 9110, section 13.1.1).
fn strong_digest(tag: &str) -> Option<Digest> {
    let tag = tag.trim();
    let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(tag).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_star_wants_the_tag_absent() {
        assert_eq!(condition(None, Some("*")), Condition::Absent);
        assert_eq!(condition(None, Some("\"sha256:00\"")), Condition::None);
    }

    #[test]
    fn if_match_lists_digests_quoted_or_bare() {
        let (one, two) = (Digest::sha256(b"1"), Digest::sha256(b"2"));

        assert_eq!(condition(Some(&format!("\"{one}\", {two}")), None), Condition::Current(vec![one, two]));
        assert_eq!(condition(Some("*"), None), Condition::Present);
        assert_eq!(condition(None, None), Condition::None);
    }

    #[test]
    fn weak_and_foreign_tags_satisfy_nothing() {
        let digest = Digest::sha256(b"1");

        assert_eq!(condition(Some(&format!("W/\"{digest}\", \"v1\"")), None), Condition::Current(vec![]));
    }
}
