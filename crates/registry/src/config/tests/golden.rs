//! Documents printed from the table equal the files beside the crate.

use std::path::Path;

use super::*;

/// Compares with the file, or rewrites it when `ENTREPOT_UPDATE_GOLDEN` is set.
fn check(file: &str, document: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test's switch, not configuration of the product")]
    let update = std::env::var_os("ENTREPOT_UPDATE_GOLDEN").is_some();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    if update {
        std::fs::write(&path, document).expect("writable");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == document, "{file} is out of date; rewrite it with ENTREPOT_UPDATE_GOLDEN=1");
}

#[test]
fn what_becomes_of_distributions_keys_is_written_down() {
    check("distribution-keys.md", &distribution_keys());
}

#[test]
fn the_schema_is_written_down() {
    check("config.schema.json", &json_schema());
}

#[test]
fn the_defaults_are_written_down() {
    let loaded = load_environment(&Imagined::nothing()).expect("defaults are valid");

    check("defaults.yml", &show(&loaded.config));
}
