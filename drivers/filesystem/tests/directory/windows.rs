//! Bodies that go to a socket without being read.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use bytes::Bytes;
use entrepot_driver_filesystem::FilesystemDriver;
use entrepot_storage::{Body, Piece, PieceStream, PutMode, ReadRange, StorageDriver, Window};
use futures_util::{StreamExt, TryStreamExt};

use crate::{block_on, key, open};

const MIB: usize = 1024 * 1024;

fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// A store with one object, which the page cache holds because it was just written.
async fn store_with(root: &Path, content: &Bytes) -> FilesystemDriver {
    let store = open(root);
    store.put(&key("data/blob"), content.clone(), PutMode::Overwrite).await.expect("it is written");
    store
}

async fn pieces(store: &FilesystemDriver, range: ReadRange) -> PieceStream {
    let object = store.get(&key("data/blob"), range).await.expect("it is there");
    match object.body {
        Body::Local(file) => file.into_pieces(),
        other => panic!("{other:?} is no file"),
    }
}

/// The first window of the whole object, and what comes after it.
async fn first_window(store: &FilesystemDriver) -> (PieceStream, Box<dyn Window>) {
    let mut pieces = pieces(store, ReadRange::Whole).await;
    let Some(Ok(Piece::Window(window))) = pieces.next().await else { panic!("no window") };
    (pieces, window)
}

/// What a socket receives of a window.
fn sent(window: &dyn Window) -> Vec<u8> {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).map(|_| all)
    });
    let mut from = 0;
    while from < window.len() {
        from += window.send(ours.as_fd(), from).unwrap();
    }
    drop(ours);
    reader.join().unwrap().unwrap()
}

#[test]
fn windows_show_exactly_the_bytes_of_the_range() {
    let directory = tempfile::tempdir().unwrap();
    let content = content(3 * MIB + 17);
    block_on(async {
        let store = store_with(directory.path(), &content).await;
        let whole = content.len() as u64;
        for (range, meant) in [
            (ReadRange::Whole, 0..whole),
            (ReadRange::Bounded(1..2_000_003), 1..2_000_003),
            (ReadRange::Bounded(4095..4096 + 1_048_577), 4095..4096 + 1_048_577),
            (ReadRange::From(1_048_575), 1_048_575..whole),
            (ReadRange::Suffix(300_001), whole - 300_001..whole),
        ] {
            let mut windows = 0;
            let mut all = Vec::new();
            let mut pieces = pieces(&store, range.clone()).await;
            while let Some(piece) = pieces.try_next().await.unwrap() {
                match piece {
                    Piece::Bytes(bytes) => all.extend_from_slice(&bytes),
                    Piece::Window(window) => {
                        windows += 1;
                        all.extend(sent(&*window));
                    }
                }
            }
            assert!(windows > 0, "{range:?} was read");
            assert!(all == content[meant.start as usize..meant.end as usize], "{range:?}");
        }
    });
}

#[test]
fn a_file_cut_off_beneath_a_window_is_an_error_and_not_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let content = content(3 * MIB);
    block_on(async {
        let store = store_with(directory.path(), &content).await;
        let (mut rest, window) = first_window(&store).await;

        std::fs::File::options()
            .write(true)
            .open(directory.path().join("data/blob"))
            .and_then(|file| file.set_len(0))
            .unwrap();

        // A program that touched these bytes would be killed here.
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = window.send(ours.as_fd(), 0).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        let error = rest.next().await.expect("the body is not over").expect_err("the bytes are gone");
        assert!(error.to_string().contains("shorter"), "{error}");
    });
}

#[test]
fn what_the_system_has_dropped_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let content = content(2 * MIB);
    block_on(async {
        let store = store_with(directory.path(), &content).await;
        let (_, window) = first_window(&store).await;
        assert!(window.is_at_hand(0) && window.is_at_hand(window.len() - 1));
        let file = std::fs::File::open(directory.path().join("data/blob")).unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        if window.is_at_hand(0) {
            return; // a filesystem in memory, which drops nothing
        }

        window.fetch(5000).await.unwrap();

        assert!(window.is_at_hand(5000) && !window.is_at_hand(0));
        window.fetch(0).await.unwrap();
        assert!(sent(&*window) == content[..window.len()]);
    });
}

#[test]
fn a_window_takes_no_more_than_the_socket() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let store = store_with(directory.path(), &content(2 * MIB)).await;
        let (_, window) = first_window(&store).await;
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();

        let mut from = 0;
        let full = loop {
            match window.send(ours.as_fd(), from) {
                Ok(taken) => from += taken,
                Err(error) => break error,
            }
        };

        assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
        assert!(from > 0 && from < window.len());
        assert!(window.send(ours.as_fd(), window.len() + 1).is_err(), "there is nothing beyond its end");
    });
}
