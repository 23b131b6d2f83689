//! `kill -9` of a real process at any moment.
//!
//! The test runs itself once more as a child, which writes into its working directory and tells each
//! write that was answered. Whatever was told must be there afterwards, and nothing that is there may be
//! less than whole.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use entrepot_driver_filesystem::FilesystemDriver;
use entrepot_storage::{PutMode, StorageDriver, StorageDriverExt};

use super::{block_on, key, open, own_files};

/// Content that tells by itself whether it is whole: its length and its seed are in its first bytes.
fn content(seed: u64) -> Bytes {
    let length = 16 + (seed.wrapping_mul(7919) % 90_000) as usize;
    let mut bytes = vec![(seed % 251) as u8; length];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(length as u64).to_le_bytes());
    bytes.into()
}

fn seed_of(bytes: &Bytes) -> u64 {
    let seed = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    assert_eq!(*bytes, content(seed), "the object is whole");
    seed
}

async fn write_one(store: &FilesystemDriver, round: u64) -> String {
    let name = format!("d{}/object-{}", round % 5, round % 17);
    match round % 3 {
        0 => {
            store.put(&key(&name), content(round), PutMode::Overwrite).await.expect("it is written");
            format!("{name} {round}")
        }
        1 => {
            let name = format!("new/{round}/object");
            store.put(&key(&name), content(round), PutMode::IfAbsent).await.expect("it is created");
            format!("{name} {round}")
        }
        _ => {
            let name = format!("uploaded/{round}");
            let upload = store.upload_begin(&key(&name)).await.expect("it begins");
            let whole = content(round);
            let mut parts = Vec::new();
            for (number, half) in (1..).zip([whole.slice(..8), whole.slice(8..)]) {
                parts.push(store.upload_part(&upload, number, vec![half]).await.expect("it is appended"));
            }
            store.upload_complete(&upload, &parts).await.expect("it is completed");
            format!("{name} {round}")
        }
    }
}

#[test]
#[ignore = "run by the test below, in a process that is killed"]
fn a_child_that_writes_until_it_is_killed() {
    block_on(async {
        let store = open(Path::new("."));
        for round in 0.. {
            let told = write_one(&store, round).await;
            let mut out = std::io::stdout().lock();
            writeln!(out, "written {told}").and_then(|()| out.flush()).expect("the parent listens");
        }
    });
}

/// Kills the child also when a test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets a child write until it has told `count` writes, kills it, and answers what it told.
fn write_and_kill(root: &Path, count: usize) -> Vec<(String, u64)> {
    let child = Command::new(std::env::current_exe().expect("the test knows itself"))
        .args(["--exact", "killed::a_child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Killed(child.expect("it runs once more"));
    let mut lines = BufReader::new(child.0.stdout.take().expect("it is piped")).lines();
    let told = |line: std::io::Result<String>| {
        let line = line.expect("it tells text");
        let (_, told) = line.split_once("written ")?;
        let (name, seed) = told.split_once(' ')?;
        Some((name.to_owned(), seed.parse().ok()?))
    };
    let mut written: Vec<_> = lines.by_ref().filter_map(told).take(count).collect();
    child.0.kill().expect("it is killed");
    // What it told between our last look and its death.
    written.extend(lines.filter_map(told));
    written
}

#[test]
fn what_was_answered_before_a_kill_is_there_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    for count in [1, 2, 5, 9, 14, 20, 33, 50] {
        let root = directory.path().join(count.to_string());
        std::fs::create_dir(&root).unwrap();

        let written = write_and_kill(&root, count);

        assert!(written.len() >= count, "the child got to work");
        block_on(check(&root, &written));
    }
}

async fn check(root: &Path, written: &[(String, u64)]) {
    let store = open(root);
    for (name, seed) in written {
        let (bytes, _) = store.read(&key(name)).await.unwrap().expect("what was answered is there");
        assert!(seed_of(&bytes) >= *seed, "{name} is at least as new as what was answered");
    }
    for meta in store.list("", None, 10_000).await.unwrap().objects {
        seed_of(&store.read(&meta.key).await.unwrap().expect("it was listed").0);
    }
    assert!(own_files(root, "tmp").is_empty(), "what the dead one left was swept");
    for entry in store.list_uploads("", None, 100).await.unwrap() {
        store.upload_abort(&entry.upload).await.unwrap();
    }
    assert!(own_files(root, "uploads").is_empty());
}
