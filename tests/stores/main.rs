//! The real binary over an object store: large blobs, and uploads over replicas that are killed.
//!
//! `ENTREPOT_TEST_S3` names the store; without it these tests say so and are skipped.

mod killed;
mod large;
mod sender;
mod storage;

use tempfile::TempDir;

/// Room for configurations and logs.
fn home() -> TempDir {
    tempfile::Builder::new().prefix("entrepot-").tempdir().expect("there is room for files")
}
