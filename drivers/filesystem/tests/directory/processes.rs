//! Several real processes on one directory.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use entrepot_storage::{ErrorKind, PutMode, StorageDriver, StorageDriverExt};

use super::{block_on, key, open};

const CHILDREN: u64 = 3;
const STEPS: u64 = 40;

#[test]
#[ignore = "run by the test below, in processes of its own"]
fn a_child_that_counts() {
    block_on(async {
        let store = open(Path::new("."));
        for step in 0..STEPS {
            count_one(&store).await;
            let token = format!("tokens/{step}");
            match store.put(&key(&token), Bytes::from_static(b"1"), PutMode::IfAbsent).await {
                Ok(_) => add_to(&store, "won").await,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
            }
        }
    });
}

async fn count_one(store: &impl StorageDriver) {
    add_to(store, "counter").await;
}

async fn add_to(store: &impl StorageDriver, name: &str) {
    loop {
        let (bytes, meta) = store.read(&key(name)).await.unwrap().expect("the parent made it");
        let count: u64 = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
        let next = Bytes::from((count + 1).to_string());
        match store.put(&key(name), next, PutMode::IfMatch(meta.version.unwrap())).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Precondition, "{error}"),
        }
    }
}

fn spawn(root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::a_child_that_counts", "--ignored", "--nocapture"])
        .current_dir(root)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn counters_of_several_processes_are_exact() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    block_on(async {
        super::put(&store, "counter", b"0").await;
        super::put(&store, "won", b"0").await;
    });

    let children: Vec<_> = (0..CHILDREN).map(|_| spawn(directory.path())).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }

    block_on(async {
        let counter = store.read(&key("counter")).await.unwrap().unwrap().0;
        assert_eq!(counter, (CHILDREN * STEPS).to_string());
        let won = store.read(&key("won")).await.unwrap().unwrap().0;
        assert_eq!(won, STEPS.to_string(), "each token had one winner");
    });
}
