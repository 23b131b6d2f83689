//! Listings of any tree agree with an ordered map, also of one that keeps changing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use entrepot_storage::StorageDriver;
use proptest::prelude::*;

use super::{block_on, open};

/// Segments that sort differently as names and as leading text of a path.
fn segment() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a-", "a-b", "a.", "a0", "ab", "b", "!", "~", "A", "Z1"])
        .prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..5).prop_map(|segments| segments.join("/"))
}

/// Any beginning of a path, or a text that is none.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (path(), 0..12_usize).prop_map(|(path, cut)| path[..cut.min(path.len())].to_owned()),
        2 => path().prop_map(|path| path + "/"),
        1 => prop::sample::select(vec!["", "/", "a//", "../", "\u{7f}", "ä", "a/\u{0}"]).prop_map(str::to_owned),
    ]
}

/// Keys none of which is a directory of another, as the contract promises.
fn keys() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(path(), 0..40).prop_map(|paths| {
        let is_directory = |path: &String| {
            let below = format!("{path}/");
            paths.iter().any(|other| other.starts_with(&below))
        };
        paths.iter().filter(|path| !is_directory(path)).cloned().collect()
    })
}

fn empty(root: &Path) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str() {
            Some(".entrepot") => {}
            _ if path.is_dir() => std::fs::remove_dir_all(path).unwrap(),
            _ => std::fs::remove_file(path).unwrap(),
        }
    }
}

/// Lays objects down by hand: a listing needs no durable files.
fn plant(root: &Path, keys: &BTreeSet<String>) {
    for name in keys {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
}

#[test]
fn every_page_is_what_an_ordered_map_would_answer() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let questions = prop::collection::vec((text(), prop::option::of(text()), 0..12_usize), 20);

    proptest!(config, |(keys in keys(), questions in questions)| {
        empty(directory.path());
        plant(directory.path(), &keys);
        for (prefix, start, limit) in &questions {
            let page = block_on(store.list(prefix, start.as_deref(), *limit)).unwrap();

            let found: Vec<_> = page.objects.iter().map(|meta| meta.key.to_string()).collect();
            let expected: Vec<_> = keys
                .iter()
                .filter(|name| name.starts_with(prefix.as_str()))
                .filter(|name| start.as_ref().is_none_or(|start| *name > start))
                .cloned()
                .collect();
            prop_assert_eq!(&found, &expected[..expected.len().min(*limit)], "{:?} {:?}", prefix, start);
            prop_assert_eq!(page.more, expected.len() > *limit);
        }
    });
}

#[derive(Clone, Debug)]
enum Step {
    Write(String, u64),
    Remove(String),
    RemoveDirectory(String),
    List(String, Option<String>, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (path(), 0..20_u64).prop_map(|(path, size)| Step::Write(path, size)),
        2 => path().prop_map(Step::Remove),
        1 => path().prop_map(Step::RemoveDirectory),
        3 => (text(), prop::option::of(text()), 0..6_usize)
            .prop_map(|(prefix, start, limit)| Step::List(prefix, start, limit)),
    ]
}

/// Writes as a driver does, past this one. Answers whether the tree has room for it.
fn write(root: &Path, name: &str, size: u64) -> bool {
    let path = root.join(name);
    if path.is_dir() || std::fs::create_dir_all(path.parent().unwrap()).is_err() {
        return false;
    }
    let temporary = root.join(".entrepot/next");
    std::fs::write(&temporary, vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    std::fs::rename(temporary, path).unwrap();
    true
}

#[test]
fn pages_of_a_tree_that_others_change_are_what_an_ordered_map_would_answer() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let store = open(root);
    let config = ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() };

    proptest!(config, |(steps in prop::collection::vec(step(), 60))| {
        empty(root);
        let mut expected = BTreeMap::new();
        for step in &steps {
            match step {
                Step::Write(name, size) => {
                    if write(root, name, *size) {
                        expected.insert(name.clone(), *size);
                    }
                }
                Step::Remove(name) => {
                    let removed = std::fs::remove_file(root.join(name)).is_ok();
                    prop_assert_eq!(removed, expected.remove(name).is_some());
                }
                Step::RemoveDirectory(name) => {
                    if std::fs::remove_dir_all(root.join(name)).is_ok() {
                        expected.retain(|key, _| !key.starts_with(&format!("{name}/")));
                    }
                }
                Step::List(prefix, start, limit) => {
                    let page = block_on(store.list(prefix, start.as_deref(), *limit)).unwrap();
                    let found: Vec<_> =
                        page.objects.iter().map(|meta| (meta.key.to_string(), meta.size)).collect();
                    let all: Vec<_> = expected
                        .iter()
                        .filter(|(name, _)| name.starts_with(prefix.as_str()))
                        .filter(|(name, _)| start.as_ref().is_none_or(|start| *name > start))
                        .map(|(name, size)| (name.clone(), *size))
                        .collect();
                    prop_assert_eq!(&found, &all[..all.len().min(*limit)], "{:?} {:?}", prefix, start);
                    prop_assert_eq!(page.more, all.len() > *limit);
                }
            }
        }
    });
}
