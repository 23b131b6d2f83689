//! Entity tags: content is its digest, so `"<digest>"` is a strong tag for it for ever.
//!
//! Conditional headers are compared by the rules of RFC 9110, section 13.1. Bare digests are understood
//! too, because registries have always been asked that way.

use crate::Digest;

/// The `ETag` of this content: the digest in quotes.
pub fn of(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether an `If-None-Match` header lists `current`, so that a read is answered by 304. `*` matches
/// whatever exists, `W/` is of no consequence.
pub fn if_none_match(header: &str, current: &Digest) -> bool {
    lists(header, current, true)
}

/// Whether an `If-Match` header lists `current`, so that a write may go on. `*` matches whatever
/// exists; a weak tag matches nothing, as the RFC demands before a write.
pub fn if_match(header: &str, current: &Digest) -> bool {
    lists(header, current, false)
}

/// Whether an `If-Range` header names `current`, so that `Range` is to be honoured. A date never does:
/// the registry has sent none.
pub fn if_range(header: &str, current: &Digest) -> bool {
    let tag = header.trim_matches(BLANK);
    tag != "*" && !tag.contains(',') && lists(tag, current, false)
}

const BLANK: [char; 2] = [' ', '\t'];

fn lists(header: &str, current: &Digest, weak_counts: bool) -> bool {
    let current = current.to_string();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return false;
        }
        let (tag, after) = next(rest);
        if tag.text == "*" && !tag.quoted || tag.text == current && (weak_counts || !tag.weak) {
            return true;
        }
        rest = after;
    }
}

struct EntityTag<'h> {
    text: &'h str,
    quoted: bool,
    weak: bool,
}

/// Splits off one tag. A quoted one may contain commas, so the list cannot simply be split at them. An
/// unclosed quote swallows the rest and matches nothing.
fn next(header: &str) -> (EntityTag<'_>, &str) {
    let (weak, rest) = header.strip_prefix("W/").map_or((false, header), |rest| (true, rest));
    if let Some(inner) = rest.strip_prefix('"') {
        let (text, after) = inner.split_once('"').unwrap_or_default();
        return (EntityTag { text, quoted: true, weak }, after);
    }
    let (text, after) = rest.split_once(',').unwrap_or((rest, ""));
    (EntityTag { text: text.trim_end_matches(BLANK), quoted: false, weak }, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn a() -> Digest {
        A.parse().unwrap()
    }

    #[test]
    fn a_digest_is_found_quoted_bare_weak_or_among_others() {
        for header in [
            of(&a()),
            A.to_owned(),
            format!("W/\"{A}\""),
            format!("\"x\", \"{A}\""),
            format!(",, \"with,comma\" ,{A} , \"y\""),
            "*".to_owned(),
            format!("\"x\"\"{A}\""),
        ] {
            assert!(if_none_match(&header, &a()), "{header}");
        }
    }

    #[test]
    fn other_tags_do_not_match() {
        for header in [
            String::new(),
            ",".to_owned(),
            "\"*\"".to_owned(),
            "\"sha256:bbbb\"".to_owned(),
            A.replace('a', "b"),
            A.to_uppercase(),
            format!("\"x,{A}\""),
            format!("\"{A}"),
            format!("{A}\""),
            format!("w/\"{A}\""),
        ] {
            assert!(!if_none_match(&header, &a()), "{header}");
        }
    }

    #[test]
    fn a_weak_tag_never_lets_a_write_or_a_range_through() {
        let weak = format!("W/{}", of(&a()));

        assert!(!if_match(&weak, &a()));
        assert!(!if_range(&weak, &a()));
        assert!(if_match(&of(&a()), &a()));
        assert!(if_match("*", &a()));
        assert!(if_range(&format!(" {} ", of(&a())), &a()));
    }

    #[test]
    fn if_range_takes_one_tag_and_no_date() {
        for header in ["*", "Sat, 21 Nov 2026 00:00:00 GMT", &format!("{A},{A}"), ""] {
            assert!(!if_range(header, &a()), "{header}");
        }
    }
}
