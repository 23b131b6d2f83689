//! What an index must not miss, each way a directory can change.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use entrepot_storage::PutMode;
use rustix::fs::{CWD, Mode, RenameFlags, renameat_with};

use super::watches::{Notice, is_local};
use super::*;
use crate::Config;
use crate::client::Client;
use crate::delete::delete;
use crate::entries::{Kind, Seen};
use crate::list::{at_hand, walk};
use crate::resolve::DIRECTORY;
use crate::write::put;

/// A store with an index, and another client of the same directory: to the kernel another process.
struct Shop {
    root: tempfile::TempDir,
    client: Client,
    other: Client,
}

/// A directory whose changes the kernel tells.
fn local_directory() -> tempfile::TempDir {
    let usual = tempfile::tempdir().unwrap();
    match rustix::fs::open(usual.path(), DIRECTORY, Mode::empty()) {
        Ok(directory) if is_local(&directory) => usual,
        // A container's own filesystem is none.
        _ => tempfile::tempdir_in("/dev/shm").unwrap(),
    }
}

impl Shop {
    fn new() -> Self {
        Self::within(Limits::default())
    }

    fn within(limits: Limits) -> Self {
        let root = local_directory();
        let mut client = Client::open(&Config::at(root.path())).unwrap();
        client.index = Index::within(limits);
        let other = Client::open(&Config::at(root.path())).unwrap();
        Self { root, client, other }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Lays an object down by hand, `size` bytes long.
    fn plant(&self, name: &str, size: usize) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; size]).unwrap();
    }

    fn put(&self, name: &str, size: usize) {
        let body = Bytes::from(vec![b'x'; size]);
        put(&self.other, &name.parse().unwrap(), &body, &PutMode::Overwrite).unwrap();
    }

    /// The whole listing, with sizes.
    fn list(&self, prefix: &str) -> Vec<(String, u64)> {
        shown(walk(&self.client, prefix, None, 1000).unwrap())
    }

    /// The same where it needs no look at the directory.
    fn at_hand(&self, prefix: &str) -> Option<Vec<(String, u64)>> {
        at_hand(&self.client, prefix, None, 1000).map(shown)
    }

    fn open(&self, path: &'static str) -> (OwnedFd, Here<'static>) {
        let directory = rustix::fs::open(self.path(path), DIRECTORY, Mode::empty()).unwrap();
        let here = Here::of(&directory, path).unwrap();
        (directory, here)
    }

    fn known(&self) -> usize {
        self.client.index.state.read().unwrap().directories()
    }
}

fn shown(page: ListPage) -> Vec<(String, u64)> {
    page.objects.into_iter().map(|meta| (meta.key.to_string(), meta.size)).collect()
}

fn entries<const N: usize>(expected: [(&str, u64); N]) -> Vec<(String, u64)> {
    expected.into_iter().map(|(name, size)| (name.to_owned(), size)).collect()
}

#[test]
fn a_second_page_reads_nothing() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.plant("tags/a/2", 11);

    assert_eq!(shop.at_hand("tags/a/"), None);
    let listed = shop.list("tags/a/");

    assert_eq!(listed, entries([("tags/a/1", 8), ("tags/a/2", 11)]));
    assert_eq!(shop.at_hand("tags/a/"), Some(listed));
    assert_eq!(shop.at_hand("tags/a/2"), Some(entries([("tags/a/2", 11)])));
}

#[test]
fn a_page_is_at_hand_once_it_and_the_next_entry_were_seen() {
    let shop = Shop::new();
    (0..9).for_each(|number| shop.plant(&format!("tags/a/{number}"), 8));

    let first = walk(&shop.client, "tags/a/", None, 3).unwrap();

    assert!(first.more);
    let again = at_hand(&shop.client, "tags/a/", None, 3).unwrap();
    assert_eq!((again.objects, again.more), (first.objects, true));
    assert!(at_hand(&shop.client, "tags/a/", Some("tags/a/2"), 3).is_none());
}

#[test]
fn an_object_that_is_replaced_shows_its_new_length() {
    let shop = Shop::new();
    shop.put("tags/a/1", 8);
    shop.list("tags/a/");

    shop.put("tags/a/1", 11);

    assert_eq!(shop.at_hand("tags/a/"), None, "something has happened");
    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 11)]));
    assert_eq!(shop.at_hand("tags/a/"), Some(entries([("tags/a/1", 11)])));
}

#[test]
fn a_file_written_into_by_hand_shows_its_new_length() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.list("tags/a/");

    shop.plant("tags/a/1", 11);

    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 11)]));
}

#[test]
fn objects_that_come_and_go_do_so_in_listings() {
    let shop = Shop::new();
    shop.put("tags/a/1", 8);
    shop.put("tags/a/3", 8);
    shop.list("tags/a/");

    delete(&shop.other, &"tags/a/1".parse().unwrap(), None).unwrap();
    shop.put("tags/a/2", 8);

    assert_eq!(shop.list("tags/a/"), entries([("tags/a/2", 8), ("tags/a/3", 8)]));
}

#[test]
fn a_directory_removed_and_made_again_is_another() {
    let shop = Shop::new();
    shop.plant("tags/a/old", 8);
    shop.list("tags/a/");

    std::fs::remove_dir_all(shop.path("tags/a")).unwrap();
    assert_eq!(shop.list("tags/a/"), []);
    shop.plant("tags/a/new", 8);

    assert_eq!(shop.list("tags/a/"), entries([("tags/a/new", 8)]));
}

#[test]
fn a_directory_that_is_moved_takes_its_objects_with_it() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.list("tags/a/");

    std::fs::rename(shop.path("tags/a"), shop.path("tags/b")).unwrap();
    shop.plant("tags/a/2", 8);

    assert_eq!(shop.list("tags/b/"), entries([("tags/b/1", 8)]));
    assert_eq!(shop.list("tags/a/"), entries([("tags/a/2", 8)]));
    assert_eq!(shop.at_hand("tags/b/"), Some(entries([("tags/b/1", 8)])));
}

#[test]
fn objects_exchanged_with_each_other_are_both_there() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.plant("tags/a/2", 11);
    shop.list("tags/a/");

    let (one, other) = (shop.path("tags/a/1"), shop.path("tags/a/2"));
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();

    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 11), ("tags/a/2", 8)]));
}

#[test]
fn what_is_neither_file_nor_directory_is_passed_over_whenever_it_comes() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    std::os::unix::fs::symlink("1", shop.path("tags/a/before")).unwrap();
    shop.list("tags/a/");

    std::os::unix::fs::symlink("1", shop.path("tags/a/after")).unwrap();
    std::fs::write(shop.path("tags/a/.hidden"), "x").unwrap();
    std::fs::write(shop.path("tags/a/ä"), "x").unwrap();

    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 8)]));
}

#[test]
fn directories_within_a_directory_come_and_go() {
    let shop = Shop::new();
    shop.plant("manifests/a/x", 8);
    shop.list("manifests/");

    shop.plant("manifests/b/y", 8);
    assert_eq!(shop.list("manifests/"), entries([("manifests/a/x", 8), ("manifests/b/y", 8)]));
    std::fs::remove_dir_all(shop.path("manifests/a")).unwrap();
    shop.plant("manifests/a", 11);

    assert_eq!(shop.list("manifests/"), entries([("manifests/a", 11), ("manifests/b/y", 8)]));
}

#[test]
fn a_walk_continues_within_directories_from_their_indexes() {
    let shop = Shop::new();
    let names: Vec<String> = (0..40).map(|number| format!("data/{}/{number:02}", number / 10)).collect();
    names.iter().for_each(|name| shop.plant(name, 8));

    let (mut found, mut after) = (Vec::new(), None::<String>);
    while let Some(last) = {
        let page = walk(&shop.client, "data/", after.as_deref(), 7).unwrap();
        let last = page.objects.last().map(|meta| meta.key.to_string());
        found.extend(shown(page).into_iter().map(|(name, _)| name));
        last
    } {
        after = Some(last);
    }

    assert_eq!(found, names);
    assert_eq!(shop.known(), 5, "where the listing began, and where it was continued");
}

#[test]
fn what_is_moved_away_is_gone() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.plant("tags/b", 8);
    shop.plant("tags/c", 8);
    shop.list("tags/");

    std::fs::rename(shop.path("tags/a"), shop.path("a")).unwrap();
    std::fs::rename(shop.path("tags/b"), shop.path("b")).unwrap();

    assert_eq!(shop.list("tags/"), entries([("tags/c", 8)]));
    assert_eq!(shop.at_hand("tags/"), Some(entries([("tags/c", 8)])));
}

#[test]
fn a_directory_first_listed_while_it_is_written_to_is_known_whole() {
    const OLD: usize = 300;
    const NEW: usize = 20;
    let shop = Shop::new();
    for round in 0..40 {
        let prefix = format!("tags/{round}/");
        (0..OLD).for_each(|number| shop.plant(&format!("{prefix}old-{number}"), 0));

        std::thread::scope(|scope| {
            scope.spawn(|| (0..NEW).for_each(|number| shop.plant(&format!("{prefix}new-{number}"), 0)));
            shop.list(&prefix);
        });

        assert_eq!(shop.list(&prefix).len(), OLD + NEW, "round {round}");
    }
}

#[test]
fn lost_events_mean_reading_again() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.list("tags/a/");

    shop.client.index.write().note(Notice::Overflow);

    assert_eq!(shop.at_hand("tags/a/"), None);
    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 8)]));
    assert!(shop.at_hand("tags/a/").is_some());
}

#[test]
fn more_events_than_the_kernel_keeps_lose_nothing() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.plant("tags/a/2", 8);
    shop.list("tags/a/");
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();

    // Two in turn, because the kernel joins events that are alike.
    let append = |name| std::fs::OpenOptions::new().append(true).open(shop.path(name)).unwrap();
    let mut files = [append("tags/a/1"), append("tags/a/2")];
    for number in 0..=limit.trim().parse::<usize>().unwrap() {
        files[number % 2].write_all(b"x").unwrap();
    }
    shop.plant("tags/a/3", 8);

    assert_eq!(shop.list("tags/a/").last(), Some(&("tags/a/3".to_owned(), 8)));
}

#[test]
fn a_panic_under_the_lock_means_reading_again() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    shop.list("tags/a/");

    let index = &shop.client.index;
    shop.plant("tags/a/2", 8);
    std::thread::scope(|scope| {
        let panicking = scope.spawn(|| {
            let mut state = index.state.write().unwrap();
            state.lose_news();
            panic!("on purpose");
        });
        panicking.join().unwrap_err();
    });

    assert_eq!(shop.at_hand("tags/a/"), None);
    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 8), ("tags/a/2", 8)]));
}

#[test]
fn the_directory_used_last_is_given_up_last() {
    let shop = Shop::within(Limits { directories: 2, ..Limits::default() });
    for name in ["a", "b", "c"] {
        shop.plant(&format!("tags/{name}/1"), 8);
    }
    shop.list("tags/a/");
    shop.list("tags/b/");
    assert!(shop.at_hand("tags/a/").is_some());

    shop.list("tags/c/");

    assert_eq!(shop.known(), 2);
    assert!(shop.at_hand("tags/a/").is_some() && shop.at_hand("tags/c/").is_some());
    shop.plant("tags/b/2", 8);
    assert_eq!(shop.list("tags/b/"), entries([("tags/b/1", 8), ("tags/b/2", 8)]));
}

#[test]
fn memory_is_bounded_and_what_does_not_fit_is_listed_all_the_same() {
    let shop = Shop::within(Limits { bytes: 2000, ..Limits::default() });
    let plant = |directory: &str, count: usize| {
        (0..count).for_each(|number| shop.plant(&format!("tags/{directory}/{number:02}"), 8));
    };
    plant("small", 5);
    plant("large", 50);

    assert_eq!(shop.list("tags/small/").len(), 5);
    assert_eq!(shop.list("tags/large/").len(), 50);
    assert_eq!((shop.at_hand("tags/large/"), shop.known()), (None, 1), "small stays");
    let (directory, here) = shop.open("tags/large/");
    assert!(shop.client.index.write().begin(&directory, here).is_none(), "it is not tried again");
    plant("small", 50);
    assert_eq!(shop.list("tags/small/").len(), 50, "also when it grows while it is known");
    assert_eq!(shop.known(), 0);
}

#[test]
fn a_store_without_room_for_an_index_is_listed_all_the_same() {
    let shop = Shop::within(Limits { directories: 0, ..Limits::default() });
    shop.plant("tags/a/1", 8);
    shop.list("tags/a/");

    shop.plant("tags/a/2", 8);

    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 8), ("tags/a/2", 8)]));
    assert_eq!(shop.at_hand("tags/a/"), None);
}

/// A directory in the middle of being read.
fn reading(shop: &Shop) -> (OwnedFd, Here<'static>, state::Reading) {
    let (directory, here) = shop.open("tags/a/");
    let reading = shop.client.index.write().begin(&directory, here).unwrap();
    (directory, here, reading)
}

#[test]
fn what_changes_while_a_directory_is_read_is_not_missed() {
    let shop = Shop::new();
    shop.plant("tags/a/early", 8);
    shop.plant("tags/a/stays", 8);
    let (directory, here, reading) = reading(&shop);

    let names = Names::read(&directory, reading.since, reading.bytes);
    std::fs::remove_file(shop.path("tags/a/early")).unwrap();
    shop.plant("tags/a/late", 8);
    assert_eq!(shop.list("tags/a/"), entries([("tags/a/late", 8), ("tags/a/stays", 8)]));
    let mut state = shop.client.index.write();
    state.finish(&reading, names);
    drop(state);

    assert!(shop.client.index.state.read().unwrap().names(here).is_some());
    assert_eq!(shop.list("tags/a/"), entries([("tags/a/late", 8), ("tags/a/stays", 8)]));
}

#[test]
fn too_many_changes_while_a_directory_is_read_give_it_up() {
    let shop = Shop::within(Limits { changes: 3, ..Limits::default() });
    shop.plant("tags/a/1", 8);
    let (directory, _, reading) = reading(&shop);
    let names = Names::read(&directory, reading.since, reading.bytes);
    (2..9).for_each(|number| shop.plant(&format!("tags/a/{number}"), 8));

    let mut state = shop.client.index.write();
    state.take_note();
    state.finish(&reading, names);
    drop(state);

    assert_eq!(shop.known(), 0);
    assert_eq!(shop.list("tags/a/").len(), 8);
}

#[test]
fn a_look_that_a_change_has_overtaken_is_not_kept() {
    let shop = Shop::new();
    shop.plant("tags/a/1", 8);
    let (directory, here, reading) = reading(&shop);
    let names = Names::read(&directory, reading.since, reading.bytes);
    shop.client.index.write().finish(&reading, names);
    let wanted = Wanted::of("tags/a/", "tags/a/", None).unwrap();
    let first = || shop.client.index.batch(here, &wanted, 1).unwrap().entries[0].kind.clone();
    let Kind::Unseen(since) = first() else { panic!("nobody has looked") };
    let seen = Seen::of("tags/a/1".parse().unwrap(), &rustix::fs::stat(shop.path("tags/a/1")).unwrap());
    let look = Look { name: "1".to_owned(), since, seen: Some(seen) };

    shop.plant("tags/a/1", 11);
    assert_ne!(first(), Kind::Unseen(since), "the change was taken note of");
    shop.client.index.learn(here, vec![look]);

    assert_eq!(shop.list("tags/a/"), entries([("tags/a/1", 11)]));
}

#[test]
fn where_others_may_write_unseen_there_is_no_index() {
    let elsewhere = rustix::fs::open("/proc", DIRECTORY, Mode::empty()).unwrap();

    assert!(!is_local(&elsewhere));
}

/// Writer and reader in turn: whatever the writer has done is listed, while a third keeps taking events.
#[test]
fn what_was_answered_is_listed_however_many_listings_run() {
    const STEPS: u64 = 2_000;
    let shop = Shop::new();
    shop.plant("tags/a/0", 8);
    let is_done = AtomicBool::new(false);

    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    shop.list("tags/a/");
                }
            });
        }
        for step in 0..STEPS {
            let (name, size) = (format!("tags/a/{}", step % 5), step % 50);
            if step % 3 == 0 {
                let _ = std::fs::remove_file(shop.path(&name));
            } else {
                std::fs::write(shop.path(".entrepot/next"), vec![b'x'; size as usize]).unwrap();
                std::fs::rename(shop.path(".entrepot/next"), shop.path(&name)).unwrap();
            }

            let listed = shop.at_hand("tags/a/").unwrap_or_else(|| shop.list("tags/a/"));
            let found = listed.iter().find(|(listed, _)| *listed == name).map(|(_, size)| *size);
            if found != (step % 3 != 0).then_some(size) {
                is_done.store(true, Ordering::Relaxed);
                panic!("step {step}: {found:?} in {listed:?}");
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
}
