//! Mixed load for a long time, and whether memory stays where it was: clients push, pull, list and delete
//! without a pause of more than a moment, while resident memory, threads and open files are watched.
//!
//! Every answer is checked, so a soak is a test of correctness as well. The cache is made small, so that it is
//! full soon: filling it is no leak. What is deleted keeps its room on disk: an hour takes some 20 GB.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use entrepot_oci::Digest;

use super::content::{self, Image, MEBIBYTE};
use super::instance::{Instance, Recipe};
use super::load::clients::{self, Manner};
use super::meter::{self, Memory};
use super::product::Product;
use super::store::Storage;
use super::{Arguments, http, setup};

const CLIENTS: usize = 3;
const REPOSITORIES: usize = 200;
const TAGS: usize = 50;
/// Rounds of looking and pulling after each push.
const READS: usize = 20;
/// After each round: the load is to be mixed, not the heaviest.
const PAUSE: Duration = Duration::from_millis(30);
/// Between two looks at the server.
const LOOK: Duration = Duration::from_secs(15);
/// How far above where it was a number may be, to count as flat.
const TOLERANCE: f64 = 1.10;
/// And by how many besides, which is what a burst of threads comes to.
const FEW: f64 = 4.0;
/// Up to here open files follow what was read in the last ten seconds: 1,024 small objects the filesystem
/// driver keeps at hand, and some more for connections and what is under way.
const FILES: f64 = 1100.0;

/// What was seen of the server at one moment.
struct Sample {
    minute: f64,
    /// MiB.
    resident: f64,
    threads: usize,
    files: usize,
}

/// What the clients have done.
#[derive(Default)]
struct Done {
    pushes: AtomicUsize,
    reads: AtomicUsize,
    deletes: AtomicUsize,
}

/// Runs the load for so many minutes. Returns whether memory was flat and every answer right.
pub(super) fn run(arguments: &Arguments, minutes: u32) -> Result<bool, String> {
    let program = setup::program(arguments)?;
    let directory = setup::directory(arguments)?;
    setup::settle(arguments)?;
    let recipe = Recipe {
        product: Product::Entrepot,
        program,
        core: arguments.server_core,
        storage: Storage::SmallCache,
    };
    let instance = Instance::start(&recipe, &directory.path().join("soak"))?;
    let (stop, done) = (AtomicBool::new(false), Done::default());
    let samples = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let (url, stop, done) = (instance.url(), &stop, &done);
                    move || client(&url, number, stop, done)
                })
            })
            .collect();
        let samples = watch(&instance, minutes, &done, || clients.iter().any(|client| client.is_finished()));
        stop.store(true, Ordering::Relaxed);
        let failures = clients.into_iter().map(|client| client.join().expect("a client does not panic"));
        failures.collect::<Result<(), String>>().and(samples)
    })?;
    Ok(conclude(&samples))
}

/// Looks at the server until the time is over, or a client gave up.
fn watch(
    instance: &Instance,
    minutes: u32,
    done: &Done,
    is_over: impl Fn() -> bool,
) -> Result<Vec<Sample>, String> {
    println!("minute  MiB resident  threads  files   pushes    reads  deletes");
    let (begun, mut samples) = (Instant::now(), Vec::new());
    let whole = Duration::from_secs(u64::from(minutes) * 60);
    while begun.elapsed() < whole && !is_over() {
        thread::sleep(LOOK);
        let sample = Sample::take(instance.pid(), begun)?;
        if samples.len() % 4 == 3 {
            let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
            println!(
                "{:>6.0}  {:>12.1}  {:>7}  {:>5}  {:>7}  {:>7}  {:>7}",
                sample.minute,
                sample.resident,
                sample.threads,
                sample.files,
                count(&done.pushes),
                count(&done.reads),
                count(&done.deletes)
            );
            // It would fill the disk.
            instance.empty_log()?;
        }
        samples.push(sample);
    }
    Ok(samples)
}

impl Sample {
    fn take(pid: u32, begun: Instant) -> Result<Self, String> {
        let entries = |what: &str| {
            let path = format!("/proc/{pid}/{what}");
            fs::read_dir(Path::new(&path)).map(Iterator::count).map_err(|error| format!("{path}: {error}"))
        };
        Ok(Self {
            minute: begun.elapsed().as_secs_f64() / 60.0,
            resident: meter::memory(pid, Memory::Resident)?,
            threads: entries("task")?,
            files: entries("fd")?,
        })
    }
}

fn client(registry: &str, number: usize, stop: &AtomicBool, done: &Done) -> Result<(), String> {
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let repository = format!("soak/c{number}r{}", round % REPOSITORIES);
        let tag = format!("t{}", round % TAGS);
        // Numbers without a common divisor: every size is sent in every manner, and some of each are deleted.
        let last = if round % 19 == 0 { 20 * MEBIBYTE } else { MEBIBYTE / 4 };
        let image = Image::of_lengths([1024, 50_000, last].into_iter());
        let manner = if round % 2 == 0 { Manner::Put } else { Manner::Patch };
        clients::push(registry, &repository, &tag, &image, manner)?;
        done.pushes.fetch_add(1, Ordering::Relaxed);
        for _ in 0..READS {
            done.reads.fetch_add(read(registry, &repository, &tag, &image)?, Ordering::Relaxed);
            thread::sleep(PAUSE);
        }
        if round % 3 == 0 {
            done.deletes.fetch_add(delete(registry, &repository, &image)?, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Pulls an image and looks around. Answers how many requests that took.
fn read(registry: &str, repository: &str, tag: &str, image: &Image) -> Result<usize, String> {
    let get = |path: String, status| {
        let url = format!("{registry}/v2/{path}");
        http::get(&url, None)?.expect(status, &url)
    };
    clients::pull(registry, repository, tag, image)?;
    get(format!("{repository}/tags/list?n=100"), 200)?;
    get("_catalog?n=100".to_owned(), 200)?;
    get(format!("{repository}/manifests/nothing"), 404)?;
    get(format!("{repository}/blobs/{}", Digest::sha256(content::word(16).as_bytes())), 404)?;
    Ok(image.blobs.len() + 5)
}

/// Deletes an image and its blobs. Answers how many requests that took.
fn delete(registry: &str, repository: &str, image: &Image) -> Result<usize, String> {
    let manifest = format!("{registry}/v2/{repository}/manifests/{}", image.digest());
    http::delete(&manifest)?.expect(202, &manifest)?;
    for blob in &image.blobs {
        let url = format!("{registry}/v2/{repository}/blobs/{}", Digest::sha256(blob.as_bytes()));
        http::delete(&url)?.expect(202, &url)?;
    }
    Ok(1 + image.blobs.len())
}

/// Flat is what the last third of the time needed no more of than the one before, or of which that much is
/// free.
fn conclude(samples: &[Sample]) -> bool {
    let judge = |what: &str, free: f64, of: fn(&Sample) -> f64| {
        let third = samples.len() / 3;
        let most = |samples: &[Sample]| samples.iter().map(of).fold(0.0, f64::max);
        let (before, last) = (most(&samples[third..2 * third]), most(&samples[2 * third..]));
        let is_flat = third > 0 && last <= (before * TOLERANCE + FEW).max(free);
        let verdict = if is_flat { "flat" } else { "NOT FLAT" };
        println!(
            "{what}: {verdict}, at most {before:.1} in the second third of the time, {last:.1} in the last"
        );
        is_flat
    };
    println!();
    // All of them are told.
    let flat = [
        judge("MiB resident", 0.0, |sample| sample.resident),
        judge("threads", 0.0, |sample| sample.threads as f64),
        judge("open files", FILES, |sample| sample.files as f64),
    ];
    flat.iter().all(|is_flat| *is_flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(resident: impl IntoIterator<Item = f64>) -> Vec<Sample> {
        let sample = |resident| Sample { minute: 0.0, resident, threads: 1, files: 1 };
        resident.into_iter().map(sample).collect()
    }

    #[test]
    fn memory_that_grew_at_first_only_is_flat() {
        assert!(conclude(&samples([10.0, 20.0, 30.0, 30.0, 31.0, 30.0])));
        assert!(!conclude(&samples([10.0, 20.0, 30.0, 30.0, 31.0, 38.0])));
    }

    #[test]
    fn too_few_looks_show_nothing() {
        assert!(!conclude(&samples([10.0, 10.0])));
    }
}
