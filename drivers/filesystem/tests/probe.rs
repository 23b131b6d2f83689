//! The probe of stores, on a directory.

use std::sync::Arc;
use std::time::SystemTime;

use entrepot_driver_filesystem::{Config, FilesystemDriver};
use entrepot_storage::SharedDriver;
use entrepot_storage::probe::{self, Outcome, Promise};

#[test]
fn a_directory_keeps_every_promise_and_is_left_empty() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let store: SharedDriver = Arc::new(FilesystemDriver::open(&Config::at(root.path())).expect("it opens"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a test can have a runtime");

    let (report, left) = runtime.block_on(async {
        let report = probe::run(&store, "probe/1/", SystemTime::now).await;
        (report, store.list("", None, 10).await.expect("it lists").objects)
    });

    for check in &report.checks {
        let expected = if check.promise == Promise::Presign { Outcome::Undeclared } else { Outcome::Holds };
        assert_eq!(check.outcome, expected, "{:?}", check.promise);
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_directory_tells_what_it_lies_on() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let store = FilesystemDriver::open(&Config::at(root.path())).expect("it opens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a test can have a runtime");

    let findings = runtime.block_on(store.inspect());

    let subjects: Vec<&str> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["directory", "filesystem", "free space", "free files"]);
}
