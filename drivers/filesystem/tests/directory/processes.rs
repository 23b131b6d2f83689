//! Several real processes on one directory.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
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

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn a_child_that_writes_when_it_is_told_to() {
    block_on(async {
        let store = open(Path::new("."));
        for line in std::io::stdin().lines() {
            let line = line.unwrap();
            match line.strip_prefix('-') {
                Some(name) => store.delete(&key(name), None).await.unwrap(),
                None => super::put(&store, &line, b"content").await,
            }
            // On a descriptor of its own: what the harness prints goes to standard output.
            writeln!(std::io::stderr(), "done").unwrap();
        }
    });
}

#[test]
fn what_another_process_has_answered_is_listed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::a_child_that_writes_when_it_is_told_to", "--ignored", "--nocapture"])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut expected = BTreeSet::new();

    for step in 0..200 {
        let name = format!("tags/a/{}", step % 7);
        let order = if expected.remove(&name) { format!("-{name}") } else { name.clone() };
        if order == name {
            expected.insert(name);
        }
        writeln!(orders, "{order}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), "done");

        let page = block_on(store.list("tags/a/", None, 100)).unwrap();
        let listed: BTreeSet<_> = page.objects.iter().map(|meta| meta.key.to_string()).collect();
        assert_eq!(listed, expected, "after {order:?}");
    }

    drop(orders);
    assert!(child.wait().unwrap().success());
}

/// All locks on keys, held as another process would hold them.
fn hold_all_locks(root: &Path) -> Vec<std::fs::File> {
    let hold = |shard: usize| {
        let path = root.join(format!(".entrepot/locks/keys-{shard:02}"));
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
        file.lock().unwrap();
        file
    };
    (0..64).map(hold).collect()
}

#[test]
fn whoever_replaces_or_removes_an_object_waits_for_the_other_process() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        super::put(&store, "a", b"old").await;
        super::put(&store, "b", b"old").await;
        super::put(&store, "c", b"old").await;
        let version = store.stat(&key("b")).await.unwrap().version.unwrap();
        let (a, b, c) = (key("a"), key("b"), key("c"));
        let locks = hold_all_locks(directory.path());

        let new = Bytes::from_static(b"new");
        let mut overwrite = store.put(&a, new.clone(), PutMode::Overwrite);
        let mut swap = store.put(&b, new.clone(), PutMode::IfMatch(version));
        let mut delete = store.delete(&c, None);
        let some_time = tokio::time::sleep(std::time::Duration::from_millis(100));
        tokio::pin!(some_time);
        tokio::select! {
            biased;
            () = &mut some_time => {}
            _ = &mut overwrite => panic!("an overwrite went past the lock"),
            _ = &mut swap => panic!("a swap went past the lock"),
            _ = &mut delete => panic!("a delete went past the lock"),
        }
        for name in [&a, &b, &c] {
            assert_eq!(store.read(name).await.unwrap().unwrap().0, "old");
        }
        drop(locks);

        overwrite.await.unwrap();
        swap.await.unwrap();
        delete.await.unwrap();
        assert_eq!(store.read(&a).await.unwrap().unwrap().0, "new");
        assert_eq!(store.read(&b).await.unwrap().unwrap().0, "new");
        assert!(store.read(&c).await.unwrap().is_none());
    });
}
