//! What may be called how, and how a file begins.

use super::{Finding, is_rust};
use crate::workspace::Source;

/// What the top of the repository consists of, besides dot files.
const TOP: &[&str] =
    &["Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "crates", "drivers", "helm", "terraform", "tests"];

/// Names that say nothing about what lies under them.
const EMPTY_WORDS: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "misc", "manager", "managers", "shared", "stuff"];

/// Everything about names and beginnings.
pub(super) fn findings(sources: &[Source]) -> Vec<Finding> {
    let judge = |source| [top(source), name(source), module_words(source)];
    sources.iter().flat_map(judge).flatten().collect()
}

fn top(source: &Source) -> Option<Finding> {
    let entry = source.path.split('/').next().unwrap_or_default();
    let known = entry.starts_with('.') || TOP.contains(&entry);
    (!known).then(|| {
        Finding::new(&source.path, 1, format!("{entry} does not belong at the top of the repository"))
    })
}

fn name(source: &Source) -> Option<Finding> {
    let stem = |part: &str| part.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let mut parts = source.path.split('/').map(stem);
    let empty = parts.find(|part| EMPTY_WORDS.contains(&part.as_str()))?;
    Some(Finding::new(&source.path, 1, format!("`{empty}` says nothing; name the subject")))
}

/// A file begins with its duty, after attributes at most.
fn module_words(source: &Source) -> Option<Finding> {
    if !is_rust(source) {
        return None;
    }
    let first = source.text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    let begins = first.is_some_and(|line| line.starts_with("//!"));
    (!begins).then(|| Finding::new(&source.path, 1, "a file begins with `//!` and its duty"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    fn judged(path: &str, text: &str) -> Vec<String> {
        findings(&[source(path, text)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_new_entry_at_the_top_is_reported_and_a_dot_file_is_not() {
        assert_eq!(
            judged("notes.md", ""),
            ["notes.md:1: notes.md does not belong at the top of the repository"]
        );
        assert!(judged(".ci/run", "").is_empty());
    }

    #[test]
    fn a_folder_or_file_with_an_empty_name_is_reported() {
        assert_eq!(judged("crates/oci/src/util.rs", "//! Words.").len(), 1);
        assert_eq!(judged("crates/common/src/lib.rs", "//! Words.").len(), 1);
        assert!(judged("crates/oci/src/tag.rs", "//! Words.").is_empty());
    }

    #[test]
    fn a_file_without_its_duty_is_reported() {
        assert_eq!(judged("crates/oci/src/tag.rs", "use std::fmt;\n").len(), 1);
        assert!(judged("tests/fuzz/targets/tag.rs", "#![no_main]\n//! Tags.\n").is_empty());
    }
}
