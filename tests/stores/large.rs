//! One blob, however large: what happens after its last byte is the same, and memory is that of a few parts, when it
//! is pushed and when it is pulled through the registry.
//!
//! `ENTREPOT_TEST_LARGE=20GiB` adds a blob of that size, which needs as much room at the store.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use entrepot_oci::{Algorithm, Digest, Hasher};
use entrepot_storage::append::part_bytes;
use entrepot_tests::environment;
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};

use crate::home;
use crate::sender::{Content, push_with_a_pause};
use crate::storage::{clear, wait};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const PART_BYTES: u64 = 16 * MIB;
/// Parts S3 takes.
const MAX_PARTS: u32 = 10_000;
const PART_SIZE: &str = "uploads:\n  part_size: 16MiB\n";
/// Beyond a whole number of what the registry saves a session after, so that no record is on its way when the
/// last byte is waited for, and the last part is not full, whatever the size.
const MORE_BYTES: u64 = 101 * MIB;
/// Parts an upload holds at most: two on their way, one being filled, and one to go round.
const PARTS_HELD: u64 = 4;
/// What may come on top of these: the client of the store, and memory the allocator has not given back.
const MEMORY_BYTES: u64 = 64 * MIB;
/// How long the store may take for the parts that are complete. Nothing is asserted about it.
const PATIENCE: Duration = Duration::from_secs(300);

/// What one push did after its last byte.
#[derive(Debug)]
struct Ending {
    /// Calls of the store, by kind.
    calls: BTreeMap<&'static str, u64>,
    /// From the last byte to the answer of the PUT: told, not judged.
    time: Duration,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} after the last byte, by", self.time)?;
        let made = self.calls.iter().filter(|(_, count)| **count > 0);
        made.into_iter().try_for_each(|(action, count)| write!(f, " {count} {action}"))
    }
}

const ACTIONS: [&str; 12] = [
    "stat",
    "get",
    "put",
    "delete",
    "delete_many",
    "list",
    "upload_begin",
    "upload_part",
    "upload_flush",
    "upload_complete",
    "upload_abort",
    "list_uploads",
];

fn calls(server: &Server) -> BTreeMap<&'static str, u64> {
    let count = |action| server.metric("registry_storage_requests_total", &[("action", action)]);
    ACTIONS.into_iter().map(|action| (action, count(action))).collect()
}

/// How many parts are full before the last byte of `size`.
fn full_parts(size: u64) -> u32 {
    let mut left = size - 1;
    let mut parts = 0;
    while left >= part_bytes(PART_BYTES, parts + 1, MAX_PARTS) {
        parts += 1;
        left -= part_bytes(PART_BYTES, parts, MAX_PARTS);
    }
    parts
}

/// Until every part that is full has reached the store, so that what comes after is the last byte's doing.
fn wait_for_parts(server: &Server, parts: u64) {
    let begun = Instant::now();
    while calls(server)["upload_part"] < parts {
        assert!(begun.elapsed() < PATIENCE, "{} of {parts} parts were stored", calls(server)["upload_part"]);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn push(server: &Server, size: u64) -> Ending {
    let content = content(size);
    let parts = calls(server)["upload_part"] + u64::from(full_parts(content.size));
    let mut before = BTreeMap::new();
    let mut begun = Instant::now();
    let answer = push_with_a_pause(server.address(), "large", content, || {
        wait_for_parts(server, parts);
        before = calls(server);
        begun = Instant::now();
    });
    let time = begun.elapsed();
    answer.expect(201);
    let calls = calls(server).into_iter().map(|(action, count)| (action, count - before[action]));
    Ending { calls: calls.collect(), time }
}

/// The content [`push`] sends for `size`.
fn content(size: u64) -> Content {
    let size = size + MORE_BYTES;
    Content { seed: size, size }
}

/// Pulls a blob through the registry, a piece at a time, and answers the digest and the length of what came.
fn pull(server: &Server, digest: Digest) -> (Digest, u64) {
    let connection = TcpStream::connect(server.address()).expect("the server listens");
    let request = format!(
        "GET /v2/large/blobs/{digest} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        server.address()
    );
    (&connection).write_all(request.as_bytes()).expect("a request can be sent");
    let mut answer = BufReader::new(connection);
    let mut line = String::new();
    answer.read_line(&mut line).expect("an answer");
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    while line != "\r\n" {
        line.clear();
        assert!(answer.read_line(&mut line).expect("headers") > 0, "the headers have no end");
    }
    let (mut hasher, mut length, mut piece) = (Hasher::new(Algorithm::Sha256), 0, vec![0; 256 << 10]);
    loop {
        match answer.read(&mut piece).expect("a body") {
            0 => return (hasher.finish(), length),
            count => {
                hasher.update(&piece[..count]);
                length += count as u64;
            }
        }
    }
}

/// The most memory the process ever held.
fn peak_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id()));
    let status = status.expect("the system knows the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has a peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a peak is a number");
    kib * 1024
}

#[test]
fn a_large_blob_costs_no_more_after_its_last_byte_and_no_more_memory_than_its_parts() {
    let Some(store) = ObjectStore::find(Kind::S3) else { return };
    let home = home();
    let server = Server::start(home.path(), &Storage::Object(store.clone()), PART_SIZE);
    let larger = environment::variable("ENTREPOT_TEST_LARGE");
    let larger = larger.map(|text| {
        let gibibytes = text.strip_suffix("GiB").and_then(|number| number.parse::<u64>().ok());
        gibibytes.expect("ENTREPOT_TEST_LARGE is such as 20GiB") * GIB
    });

    // Connections, caches and the first record are made by the first push, whatever it is.
    let idle = peak_bytes(&server);
    push(&server, 0);
    let small = push(&server, 256 * MIB);
    println!("256 MiB: {small}; {} MiB of memory at rest", idle / MIB);

    let home_of_another = home.path().join("proxied");
    let proxied = Storage::Object(store.clone().redirects(false));
    let another = Server::start(&home_of_another, &proxied, PART_SIZE);
    let idle_another = peak_bytes(&another);

    let mut before = None;
    for size in [Some(GIB), larger].into_iter().flatten() {
        let large = push(&server, size);
        let (peak, part) = (peak_bytes(&server), part_bytes(PART_BYTES, full_parts(size), MAX_PARTS));
        println!("{} GiB: {large}; {} MiB at most, in parts of {} MiB", size / GIB, peak / MIB, part / MIB);
        assert_eq!(large.calls, small.calls, "the last byte of {size} costs more than that of 256 MiB");
        assert!(peak <= idle + PARTS_HELD * part + MEMORY_BYTES, "{peak} bytes were held");
        // However large, as long as its parts are no larger.
        if part == PART_BYTES {
            let most = before.unwrap_or(peak) + MEMORY_BYTES / 2;
            assert!(peak <= most, "{peak} bytes were held, where {most} should do");
        }
        before = before.or(Some(peak));

        let content = content(size);
        assert_eq!(pull(&another, content.digest()), (content.digest(), content.size));
        let peak = peak_bytes(&another);
        println!("{} MiB at most when it is pulled through the registry", peak / MIB);
        assert!(peak <= idle_another + PARTS_HELD * PART_BYTES + MEMORY_BYTES, "{peak} bytes were held");
    }
    wait(clear(&store));
}
