//! The real binary over object stores: an image's way there and back over each, who the registry is without a
//! key, where it sends whom, what it says of a store that is not fit or needs a setting, and over the main one
//! large blobs and uploads over replicas that are killed.
//!
//! The environment names the stores; a test that has none says so and is skipped.

mod doctor;
mod habits;
mod identities;
mod journey;
mod killed;
mod large;
mod rules;
mod sender;
mod storage;

use tempfile::TempDir;

/// Room for configurations and logs.
fn home() -> TempDir {
    tempfile::Builder::new().prefix("entrepot-").tempdir().expect("there is room for files")
}
