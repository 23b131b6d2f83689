//! The driver contract, case by case, on a directory that two driver instances share.

use std::sync::Arc;

use entrepot_driver_filesystem::{Config, FilesystemDriver};
use entrepot_storage::conformance::Subject;

async fn directory() -> Subject {
    let root = tempfile::tempdir().expect("a temporary directory");
    let open = || Arc::new(FilesystemDriver::open(&Config::at(root.path())).expect("it opens"));
    Subject::new(open()).with_second(open()).keeping(root)
}

entrepot_storage::conformance_tests!(directory);
