//! Disks that are full, lost, or change under us.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use entrepot_driver_filesystem::{Config, FilesystemDriver, OpenError};
use entrepot_storage::{ErrorKind, PutMode, ReadRange, StorageDriver, StorageDriverExt};
use futures_util::StreamExt;

use super::{block_on, key, open, own_files, put};

const MIB: usize = 1024 * 1024;

/// A disk of a few MiB, or nothing where mounting is not allowed.
struct SmallDisk {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&path).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            #[expect(clippy::print_stdout, reason = "a skipped test says so on its own output")]
            {
                println!("skipped: mounting a small tmpfs needs root; run the test with sudo");
            }
            return None;
        }
        Some(Self { path, _directory: directory })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

#[test]
fn a_put_that_does_not_fit_says_full_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    block_on(async {
        let store = open(&disk.path);
        put(&store, "a/old", b"old").await;

        for (name, mode) in [("a/new", PutMode::IfAbsent), ("a/old", PutMode::Overwrite)] {
            let outcome = store.put(&key(name), Bytes::from(vec![7; 6 * MIB]), mode).await;
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Full);
        }

        assert!(store.stat(&key("a/new")).await.unwrap_err().is_not_found());
        assert_eq!(store.read(&key("a/old")).await.unwrap().unwrap().0, "old");
        assert!(own_files(&disk.path, "tmp").is_empty());
        put(&store, "a/small", b"there is room again").await;
    });
}

#[test]
fn a_part_that_does_not_fit_says_full_and_spoils_no_other() {
    let Some(disk) = SmallDisk::mount() else { return };
    block_on(async {
        let store = open(&disk.path);
        let upload = store.upload_begin(&key("object")).await.unwrap();
        let first = store.upload_part(&upload, 1, vec![Bytes::from(vec![1; MIB])]).await.unwrap();

        let outcome = store.upload_part(&upload, 2, vec![Bytes::from(vec![2; MIB]); 5]).await;

        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Full);
        let second = store.upload_part(&upload, 2, vec![Bytes::from(vec![3; 1000])]).await.unwrap();
        assert_eq!(second.tag, MIB.to_string(), "the half part was cut off, so completion need not copy");
        let meta = store.upload_complete(&upload, &[first, second]).await.unwrap();
        assert_eq!(meta.size, MIB as u64 + 1000);
    });
}

#[test]
fn a_removed_root_is_a_failure_and_not_an_empty_store() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        let store = open(&root);
        put(&store, "a/object", b"x").await;

        std::fs::remove_dir_all(&root).unwrap();

        let failed = |kind| matches!(kind, ErrorKind::Backend { .. });
        assert!(failed(store.stat(&key("a/object")).await.unwrap_err().kind()));
        assert!(failed(store.get(&key("a/object"), ReadRange::Whole).await.unwrap_err().kind()));
        assert!(failed(store.list("", None, 10).await.unwrap_err().kind()));
        assert!(failed(store.list("a/", None, 10).await.unwrap_err().kind()));
        assert!(failed(store.delete(&key("a/object"), None).await.unwrap_err().kind()));
        assert!(failed(store.list_uploads("", None, 10).await.unwrap_err().kind()));
        assert!(failed(store.upload_begin(&key("b")).await.unwrap_err().kind()));
        let body = Bytes::from_static(b"x");
        assert!(failed(store.put(&key("b"), body, PutMode::IfAbsent).await.unwrap_err().kind()));
        assert!(!root.exists(), "it is not made again behind the operator's back");
    });
}

#[test]
fn a_file_cut_short_while_it_is_read_is_an_error_and_never_an_end() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let content = Bytes::from(vec![7; 4 * MIB]);
        store.put(&key("large"), content, PutMode::Overwrite).await.unwrap();

        let mut body = store.get(&key("large"), ReadRange::Whole).await.unwrap().body.into_stream();
        body.next().await.unwrap().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(directory.path().join("large")).unwrap();
        file.set_len(2 * MIB as u64 + 5).unwrap();

        let rest: Vec<_> = body.collect().await;
        let errors = rest.iter().filter(|chunk| chunk.is_err()).count();
        assert_eq!(errors, 1);
        assert!(rest.last().unwrap().is_err());
    });
}

#[test]
fn directories_that_vanish_while_they_are_needed_are_made_again() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (stopped, path) = (stop.clone(), directory.path().join("a"));
        let remover = std::thread::spawn(move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                // Fails unless they are empty.
                let _ = std::fs::remove_dir(path.join("b"));
                let _ = std::fs::remove_dir(&path);
            }
        });

        for round in 0..60 {
            let key = key("a/b/object");
            let mode = if round % 2 == 0 { PutMode::IfAbsent } else { PutMode::Overwrite };
            // So many removals in a row may exhaust its patience, but never hide what was written.
            match store.put(&key, Bytes::from_static(b"x"), mode).await {
                Ok(_) => assert_eq!(store.stat(&key).await.unwrap().size, 1),
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
            store.delete(&key, None).await.unwrap();
        }

        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        remover.join().unwrap();
    });
}

#[test]
fn a_root_that_is_a_file_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "x").unwrap();

    let error = FilesystemDriver::open(&Config::at(&path)).unwrap_err();

    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_missing_root_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("some/where/new");

    open(&root);

    assert!(Path::is_dir(&root));
}
