//! What uploads and killed processes leave behind, and who removes it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use entrepot_storage::StorageDriver;

use super::{block_on, key, open, own_files};

fn instances(root: &Path) -> Vec<String> {
    let locks = own_files(root, "locks").into_iter();
    locks.filter_map(|name| name.strip_prefix("instance-").map(str::to_owned)).collect()
}

#[test]
fn temporary_files_of_the_dead_are_removed_and_those_of_the_living_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let first = open(root);
    let alive = format!("{}-00", instances(root)[0]);
    let dead = format!("{}-00", "d".repeat(32));
    for name in [&alive, &dead, &"odd".to_owned()] {
        std::fs::write(root.join(".entrepot/tmp").join(name), "half an object").unwrap();
    }

    let second = open(root);

    assert_eq!(own_files(root, "tmp"), [alive]);
    drop((first, second));
    // A process another test is just starting has our files open until it runs its program.
    let begun = Instant::now();
    loop {
        let _third = open(root);
        let left = (own_files(root, "tmp"), instances(root).len());
        if left == (Vec::new(), 1) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "what the dead held stays: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_upload_survives_its_process() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path());
        let upload = first.upload_begin(&key("a/object")).await.unwrap();
        let part = first.upload_part(&upload, 1, vec![Bytes::from_static(b"12345")]).await.unwrap();
        drop(first);

        let second = open(directory.path());
        let listed = second.list_uploads("a/", None, 10).await.unwrap();

        assert_eq!(listed.iter().map(|entry| &entry.upload).collect::<Vec<_>>(), [&upload]);
        assert!(listed[0].initiated.unwrap() <= SystemTime::now());
        second.upload_complete(&upload, &[part]).await.unwrap();
        assert!(own_files(directory.path(), "uploads").is_empty());
    });
}

#[test]
fn finished_uploads_leave_no_file() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        for (name, numbers) in [("in-order", [1, 2]), ("out-of-order", [2, 1])] {
            let upload = store.upload_begin(&key(name)).await.unwrap();
            let mut parts = Vec::new();
            for number in numbers {
                parts.push(
                    store.upload_part(&upload, number, vec![Bytes::from(vec![7; 5000])]).await.unwrap(),
                );
            }
            parts.sort_by_key(|part| part.number);
            store.upload_complete(&upload, &parts).await.unwrap();
        }
        let aborted = store.upload_begin(&key("aborted")).await.unwrap();
        store.upload_abort(&aborted).await.unwrap();

        assert!(own_files(directory.path(), "uploads").is_empty());
        assert!(own_files(directory.path(), "tmp").is_empty());
    });
}

#[test]
fn keys_of_uploads_without_a_file_are_removed_when_they_are_old() {
    let directory = tempfile::tempdir().unwrap();
    let uploads = directory.path().join(".entrepot/uploads");
    drop(open(directory.path()));
    let [old, young] = ["a", "b"].map(|letter| uploads.join(format!("{}.key", letter.repeat(32))));
    for path in [&old, &young] {
        symlink("some/object", path).unwrap();
    }
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    let since_epoch = two_days_ago.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let time = rustix::fs::Timespec { tv_sec: since_epoch.as_secs() as i64, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, &old, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();

    drop(open(directory.path()));

    assert!(std::fs::symlink_metadata(&old).is_err());
    assert!(std::fs::symlink_metadata(&young).is_ok(), "its process may be about to make the file");
}
