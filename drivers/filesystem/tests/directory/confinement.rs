//! Nothing outside the root is read, written or removed, whatever lies inside it.

use std::os::unix::fs::symlink;

use bytes::Bytes;
use entrepot_driver_filesystem::FilesystemDriver;
use entrepot_storage::{ErrorKind, Part, PutMode, ReadRange, StorageDriver, Upload};

use super::{block_on, key, open, put};

const REFUSED: ErrorKind = ErrorKind::Backend { retryable: false };

struct Trap {
    outside: tempfile::TempDir,
    store: FilesystemDriver,
}

/// A store with links that lead out of it, and files outside that must stay as they are.
fn trap() -> Trap {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    let store = open(&root);
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::fs::create_dir_all(root.join("a")).unwrap();
    symlink("../secret", root.join("file")).unwrap();
    symlink(outside.path(), root.join("directory")).unwrap();
    symlink(outside.path().join("secret"), root.join("a/absolute")).unwrap();
    symlink("missing", root.join("a/dangling")).unwrap();
    symlink("a", root.join("inside")).unwrap();
    Trap { outside, store }
}

impl Trap {
    fn assert_untouched(&self) {
        assert_eq!(std::fs::read_to_string(self.outside.path().join("secret")).unwrap(), "secret");
        let mut names: Vec<_> = std::fs::read_dir(self.outside.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["root", "secret"]);
    }
}

const THROUGH_LINKS: [&str; 5] = ["file", "directory/secret", "a/absolute", "a/dangling", "inside/new"];

#[test]
fn links_are_not_read_through() {
    block_on(async {
        let trap = trap();

        for name in THROUGH_LINKS {
            assert_eq!(trap.store.stat(&key(name)).await.unwrap_err().kind(), REFUSED, "{name}");
            let get = trap.store.get(&key(name), ReadRange::Whole).await;
            assert_eq!(get.unwrap_err().kind(), REFUSED, "{name}");
        }
    });
}

#[test]
fn links_are_not_written_through() {
    block_on(async {
        let trap = trap();
        let body = Bytes::from_static(b"overwritten");

        for name in ["directory/secret", "directory/new", "directory/new/deep", "inside/new"] {
            for mode in [PutMode::Overwrite, PutMode::IfAbsent] {
                let outcome = trap.store.put(&key(name), body.clone(), mode).await;
                assert_eq!(outcome.unwrap_err().kind(), REFUSED, "{name}");
            }
            let upload = trap.store.upload_begin(&key(name)).await.unwrap();
            let part = trap.store.upload_part(&upload, 1, vec![body.clone()]).await.unwrap();
            let completed = trap.store.upload_complete(&upload, &[part]).await;
            assert_eq!(completed.unwrap_err().kind(), REFUSED, "{name}");
        }
        for name in ["file", "a/absolute", "a/dangling"] {
            trap.store.put(&key(name), body.clone(), PutMode::IfAbsent).await.unwrap_err();
        }

        trap.assert_untouched();
        assert!(std::fs::read_dir(trap.store.root().join("a")).unwrap().all(|entry| {
            let name = entry.unwrap().file_name();
            name != "new"
        }));
    });
}

#[test]
fn an_overwrite_replaces_a_link_and_not_what_it_names() {
    block_on(async {
        let trap = trap();

        put(&trap.store, "file", b"an object").await;

        assert!(std::fs::symlink_metadata(trap.store.root().join("file")).unwrap().is_file());
        trap.assert_untouched();
    });
}

#[test]
fn links_are_not_deleted_through() {
    block_on(async {
        let trap = trap();

        for name in ["file", "directory/secret", "a/absolute", "inside/absolute"] {
            assert_eq!(trap.store.delete(&key(name), None).await.unwrap_err().kind(), REFUSED, "{name}");
        }
        let failures = trap.store.delete_many(&[key("directory/secret"), key("none")]).await.unwrap();

        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].key(), Some(&key("directory/secret")));
        trap.assert_untouched();
    });
}

#[test]
fn links_are_not_listed_through() {
    block_on(async {
        let trap = trap();
        put(&trap.store, "a/object", b"x").await;

        let listed = trap.store.list("", None, 100).await.unwrap();
        let keys: Vec<_> = listed.objects.iter().map(|meta| meta.key.as_str()).collect();
        assert_eq!(keys, ["a/object"]);
        for prefix in ["directory/", "inside/"] {
            // Refused or empty are both fine; what is outside must not show.
            let below = trap.store.list(prefix, None, 100).await;
            assert!(below.map_or_else(|error| error.kind() == REFUSED, |page| page.objects.is_empty()));
        }
    });
}

#[test]
fn the_drivers_own_files_are_no_objects() {
    block_on(async {
        let trap = trap();
        let upload = trap.store.upload_begin(&key("b/object")).await.unwrap();
        trap.store.upload_part(&upload, 1, vec![Bytes::from_static(b"x")]).await.unwrap();

        for prefix in ["", ".", ".entrepot", ".entrepot/uploads/"] {
            assert!(trap.store.list(prefix, None, 100).await.unwrap().objects.is_empty(), "{prefix:?}");
        }
    });
}

#[test]
fn an_upload_id_is_a_name_of_ours_or_nothing() {
    block_on(async {
        let trap = trap();
        let part = Part { number: 1, size: 6, tag: "0".into() };

        for id in ["", ".", "..", "../../../secret", "../tmp", "/etc/passwd", "x".repeat(32).as_str(), "\0"] {
            let upload = Upload { key: key("object"), id: id.to_owned() };
            let body = vec![Bytes::from_static(b"x")];
            let appended = trap.store.upload_part(&upload, 1, body).await;
            assert_eq!(appended.unwrap_err().kind(), ErrorKind::UploadGone, "{id:?}");
            let completed = trap.store.upload_complete(&upload, std::slice::from_ref(&part)).await;
            assert_eq!(completed.unwrap_err().kind(), ErrorKind::UploadGone, "{id:?}");
            assert_eq!(trap.store.upload_flush(&upload).await.unwrap_err().kind(), ErrorKind::UploadGone);
            trap.store.upload_abort(&upload).await.expect("an unknown upload is gone already");
        }

        trap.assert_untouched();
    });
}

#[test]
fn what_is_neither_file_nor_directory_does_not_hold_a_reader_up() {
    block_on(async {
        let trap = trap();
        let made = std::process::Command::new("mkfifo").arg(trap.store.root().join("pipe")).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: mkfifo is not to be had");
            return;
        }

        let get = trap.store.get(&key("pipe"), ReadRange::Whole).await;

        assert_eq!(get.unwrap_err().kind(), REFUSED);
    });
}

#[test]
fn a_directory_is_no_object() {
    block_on(async {
        let trap = trap();
        put(&trap.store, "some/object", b"x").await;

        assert_eq!(trap.store.stat(&key("some")).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(
            trap.store.get(&key("some"), ReadRange::Whole).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(trap.store.stat(&key("some/object/x")).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}
