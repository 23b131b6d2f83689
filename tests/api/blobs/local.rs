//! Blobs in files of this machine, sent without being read once their digest was found right.

use std::fs;
use std::path::{Path, PathBuf};

use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::noise;

const MIB: usize = 1024 * 1024;

/// The one file of `length` bytes below `directory`.
fn file_of(directory: &Path, length: usize) -> PathBuf {
    let mut below = vec![directory.to_owned()];
    while let Some(directory) = below.pop() {
        for entry in fs::read_dir(directory).expect("it is a directory").map(|entry| entry.expect("it reads"))
        {
            let meta = entry.metadata().expect("it is there");
            if meta.is_dir() {
                below.push(entry.path());
            } else if meta.len() == length as u64 {
                return entry.path();
            }
        }
    }
    panic!("no file of {length} bytes");
}

#[test]
fn a_large_blob_is_the_same_whether_it_is_read_or_not() {
    let registry = Setup::filesystem().start();
    let content = noise(1, 5 * MIB + 4097);
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", &content));
    let mut connection = registry.connect();

    // The first answer is hashed on its way, the others are not. One connection takes them all: what follows
    // a body begins where it ends.
    for _ in 0..3 {
        let answer = registry.get(&target).on(&mut connection).expect(200);
        assert!(answer.body == content, "{} bytes of {}", answer.body.len(), content.len());
        let ranges = [(0, 0), (1, 2 * MIB), (MIB - 1, 4 * MIB + 4096), (4 * MIB + 1, content.len() - 1)];
        for (first, last) in ranges {
            let range = format!("bytes={first}-{last}");
            let answer = registry.get(&target).header("Range", &range).on(&mut connection).expect(206);
            assert!(answer.body == content[first..=last], "{range}");
        }
        registry.get("/v2/").on(&mut connection).expect(200);
    }
}

#[test]
fn several_ranges_of_a_large_blob_come_in_parts() {
    let registry = Setup::filesystem().start();
    let content = noise(2, 4 * MIB);
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", &content));
    registry.get(&target).send().expect(200);

    let ranges = format!("bytes=0-{},{}-{}", 2 * MIB, 3 * MIB, 3 * MIB + 9);
    let answer = registry.get(&target).header("Range", ranges).send().expect(206);

    assert!(answer.expect_header("Content-Type").starts_with("multipart/byteranges"));
    assert!(answer.body.windows(10).any(|bytes| bytes == &content[3 * MIB..3 * MIB + 10]));
    assert!(answer.body.len() > 2 * MIB + 11);
}

#[test]
fn a_file_cut_off_under_an_answer_breaks_that_answer_only() {
    let setup = Setup::filesystem();
    let registry = setup.start();
    // More than both ends of a connection hold.
    let content = noise(3, 48 * MIB);
    let target = format!("/v2/a/blobs/{}", registry.push_blob("a", &content));
    registry.get(&target).send().expect(200);
    let mut connection = registry.connect();
    connection.write(format!("GET {target} HTTP/1.1\r\nHost: r\r\n\r\n").as_bytes());
    connection.read_exact(MIB);

    let file = file_of(setup.directory().expect("it lies in one"), content.len());
    fs::File::options().write(true).open(file).and_then(|file| file.set_len(MIB as u64)).expect("it is cut");

    assert!(connection.rest().len() < content.len() - MIB, "the answer was completed by other bytes");
    registry.get("/v2/").send().expect(200);
}
