//! What a directory owes beyond the contract: confinement, full and lost disks, killed processes.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test, in helpers too")]

mod confinement;
mod disk;
mod killed;
mod listing;
mod processes;
mod remnants;
mod windows;

use std::path::Path;

use bytes::Bytes;
use entrepot_driver_filesystem::{Config, FilesystemDriver};
use entrepot_storage::{Key, PutMode, StorageDriver};

fn key(name: &str) -> Key {
    name.parse().expect("tests use valid names")
}

fn open(root: &Path) -> FilesystemDriver {
    FilesystemDriver::open(&Config::at(root)).expect("the directory opens")
}

async fn put(store: &FilesystemDriver, name: &str, content: &'static [u8]) {
    store.put(&key(name), Bytes::from_static(content), PutMode::Overwrite).await.expect("it is written");
}

/// A current-thread runtime: the driver brings its own threads for what may wait.
fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a test can have a runtime")
        .block_on(test)
}

/// The names in one of the driver's own directories.
fn own_files(root: &Path, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(".entrepot").join(directory)).expect("it is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("it reads").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}
