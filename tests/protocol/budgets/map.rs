//! The tables in `crates/README.md`, each between two marks.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Tests of one process that rewrite the map do it one after the other.
static MAP: Mutex<()> = Mutex::new(());

/// Holds what stands between the marks of `name` against what `wanted` makes of it, or rewrites it where
/// somebody asked for that.
pub(crate) fn hold(name: &str, wanted: impl FnOnce(&str) -> String) {
    let _alone = MAP.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = format!("<!-- {name}: begin, written by tests/protocol/budgets.rs -->\n");
    let end = format!("<!-- {name}: end -->\n");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/README.md");
    let map = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = map.split_once(&begin).expect("the map has the mark where the table begins");
    let (found, after) = rest.split_once(&end).expect("and the one where it ends");

    let wanted = wanted(found);

    #[expect(clippy::disallowed_methods, reason = "a test's switch, not configuration of the product")]
    if std::env::var_os("ENTREPOT_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, [before, &begin, &wanted, &end, after].concat()).unwrap();
        return;
    }
    assert!(
        found == wanted,
        "an operation costs other requests than crates/README.md says; if that is wanted, rewrite it with \
         ENTREPOT_UPDATE_GOLDEN=1. It is now:\n{wanted}"
    );
}

/// What is shown for a cell: nothing was done, or nothing was asked.
pub(crate) fn cell<S: ToString>(spent: Option<&S>) -> String {
    spent.map_or_else(|| "–".to_owned(), S::to_string)
}

/// `2 get, 1 put`; `nothing` where there is nothing.
pub(crate) fn words(each: impl IntoIterator<Item = (u64, String)>) -> String {
    let spent = each.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = spent.map(|(count, word)| format!("{count} {word}")).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
