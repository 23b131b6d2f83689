//! Files that show every change of the contract in review: what clients may come to rely on.

use std::path::Path;

use crate::{Failure, emit};

/// Compares `text` with a file of this crate, or rewrites the file when `ENTREPOT_UPDATE_GOLDEN` is set.
fn check(file: &str, text: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test's switch, not configuration of the product")]
    let update = std::env::var_os("ENTREPOT_UPDATE_GOLDEN").is_some();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if update {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{file} is out of date; rewrite it with ENTREPOT_UPDATE_GOLDEN=1");
}

#[test]
fn the_openapi_file_is_up_to_date() {
    check("openapi.json", &emit::openapi::document());
}

#[test]
fn the_markdown_file_is_up_to_date() {
    check("API.md", &emit::markdown::document());
}

#[test]
fn every_failure_keeps_its_status_code_and_message() {
    let line = |failure: &Failure| {
        let (status, code) = (failure.status().code(), failure.code());
        format!("{} {status} {code} {}\n", failure.as_str(), failure.message())
    };
    check("failures.txt", &Failure::ALL.iter().map(line).collect::<String>());
}

#[test]
fn a_document_is_the_same_each_time() {
    assert_eq!(emit::openapi::document(), emit::openapi::document());
    assert_eq!(emit::markdown::document(), emit::markdown::document());
}
