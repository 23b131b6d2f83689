//! What an object store changes: pushes become the store's parts, pulls are sent to the store, and a commit
//! has nothing left to move.
//!
//! What is pushed here goes to a registry that lives for one measurement, whose bytes are deleted with it:
//! gigabytes would pile up otherwise.

use std::thread;
use std::time::{Duration, Instant};

use entrepot_oci::Digest;
use rustix::fs::statvfs;

use super::lifetime::Fresh;
use super::transfers::{self, Renewed};
use super::{Setting, answers};
use crate::bench::content::{Image, MEBIBYTE};
use crate::bench::http;
use crate::bench::load::{Request, clients, curl, wrk};
use crate::bench::meter::{Memory, Meter, memory};
use crate::bench::note::Note;
use crate::bench::row::{Sample, Unit};
use crate::bench::subject::Subject;

pub(crate) use crate::bench::load::clients::Manner;

/// Work on a store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored {
    /// Where a blob is to be found, again and again.
    Redirects,
    ImagePush(Manner),
    ImagePull,
    Push,
    Pull,
    PullThrough,
    /// The PUT that ends a session whose bytes have all been sent.
    Commit {
        mebibytes: u64,
    },
    /// What the process grows by for each of so many uploads at once.
    Memory {
        uploads: u32,
    },
}

const MEBIBYTES: u64 = 1024;
/// Of each upload whose memory is measured.
const UPLOAD_MEBIBYTES: u64 = 256;
/// Longer files are not of noise, and are pushed only if that is asked for.
const LARGE_MEBIBYTES: u64 = 2048;
/// What has to be free beside what is pushed.
const RESERVE_MEBIBYTES: u64 = 4096;
/// One commit of few bytes is over in a few milliseconds.
const SMALL_COMMITS: usize = 5;
const CONNECTIONS: u32 = 16;
const REPOSITORY: &str = "bench/stored";
const TAG: &str = "v1";
/// An image as clients meet it: many layers of 8 to 64 KiB.
const LAYERS: usize = 100;
const LAYER_STEP_BYTES: usize = 8 * 1024;
const REST: Duration = Duration::from_secs(1);

impl Stored {
    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::Commit { mebibytes } if mebibytes > LARGE_MEBIBYTES)
    }

    pub(super) fn measure(self, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
        match self {
            Self::Redirects => redirects(subject, setting),
            Self::ImagePush(manner) => image_push(manner, subject, setting),
            Self::ImagePull => image_pull(subject, setting),
            Self::Push => with_fresh(subject, setting, push),
            Self::Pull => transfers::pull(MEBIBYTES, 1, subject, setting),
            Self::PullThrough => pull_through(subject, setting),
            Self::Commit { mebibytes } => {
                with_fresh(subject, setting, |fresh, setting| commit(mebibytes, fresh, setting))
            }
            Self::Memory { uploads } => {
                with_fresh(subject, setting, |fresh, setting| upload_memory(uploads, fresh, setting))
            }
        }
    }
}

/// Measures a registry that has nothing in it, after its first push: connections to the store are open, and
/// what is made once is made. Whatever comes of it, its bytes are deleted.
fn with_fresh(
    subject: &mut Subject,
    setting: &Setting,
    work: impl FnOnce(&Fresh, &Setting) -> Result<Sample, String>,
) -> Result<Sample, String> {
    let fresh = Fresh::like(subject, setting)?;
    let warm = transfers::fresh(1, 1, setting).and_then(|files| transfers::push_all(&files, &fresh.url()));
    let sample = warm.and_then(|()| work(&fresh, setting));
    fresh.remove();
    sample
}

/// Every answer is one to where the blob is: 16 connections, none of which follows it.
fn redirects(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    subject.once(REPOSITORY, |subject| http::push_blob(&subject.url(), REPOSITORY, &setting.blob_1mib))?;
    let url = format!("{}/v2/{REPOSITORY}/blobs/{}", subject.url(), Digest::sha256(&setting.blob_1mib));
    let answer = http::get(&url, None)?.expect(307, &url)?;
    let location = answer.location.ok_or_else(|| format!("{url}: no Location"))?;
    if http::get(&location, None)?.expect(200, &location)?.body != setting.blob_1mib {
        return Err(format!("{location}: not what was pushed"));
    }
    // The blob itself would be told by its length.
    let request = Request { url, accept: None, length: 0 };
    let meter = setting.meter(subject)?;
    let done = wrk::get(&request, CONNECTIONS, setting.seconds, &setting.directory)?;
    Ok(Unit::Requests.rate(done.count as f64, done.seconds, &meter.end()?))
}

fn image() -> Image {
    Image::of_lengths((0..LAYERS).map(|number| LAYER_STEP_BYTES * (1 + number % 8)))
}

/// Images nobody has seen, one after the other, for as long as a measurement takes.
fn image_push(manner: Manner, subject: &Subject, setting: &Setting) -> Result<Sample, String> {
    let registry = subject.url();
    let push = || {
        let image = image();
        let tag = image.digest().to_string().replace(':', "-");
        let begun = Instant::now();
        clients::push(&registry, REPOSITORY, &tag, &image, manner)?;
        Ok(begun.elapsed())
    };
    repeat(push, subject, setting)
}

fn image_pull(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let image = setting.stored_image.get_or_init(image);
    subject.once("image", |subject| answers::push_image(&subject.url(), REPOSITORY, TAG, image))?;
    let registry = subject.url();
    let pull = || {
        let begun = Instant::now();
        clients::pull(&registry, REPOSITORY, TAG, image)?;
        Ok(begun.elapsed())
    };
    repeat(pull, subject, setting)
}

/// Does it again and again; only the time it says it took counts.
fn repeat(
    work: impl Fn() -> Result<Duration, String>,
    subject: &Subject,
    setting: &Setting,
) -> Result<Sample, String> {
    let meter = setting.meter(subject)?;
    let (mut count, mut time) = (0, Duration::ZERO);
    while time < Duration::from_secs(setting.seconds) {
        time += work()?;
        count += 1;
    }
    Ok(Unit::Images.rate(f64::from(count), time.as_secs_f64(), &meter.end()?))
}

fn push(fresh: &Fresh, setting: &Setting) -> Result<Sample, String> {
    let file = file(MEBIBYTES, setting)?;
    let meter = Meter::begin(fresh.pid(), setting.cores)?;
    file.push(&fresh.url())?;
    let usage = meter.end()?;
    file.check(&fresh.url())?;
    Ok(Unit::Mebibytes.rate(MEBIBYTES as f64, usage.seconds, &usage))
}

/// By a second registry of the same kind on the same data.
fn pull_through(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let digest = transfers::hold_large(MEBIBYTES, subject, setting)?;
    let fresh = Fresh::without_redirects(subject, setting)?;
    let url = transfers::blob(&fresh.url(), &digest);
    http::head_of(&url)?.expect(200, &url)?;
    let request = Request { url, accept: None, length: MEBIBYTES * MEBIBYTE as u64 };
    let meter = Meter::begin(fresh.pid(), setting.cores)?;
    let done = curl::pull(&request, 1)?;
    Ok(Unit::Mebibytes.rate(MEBIBYTES as f64, done.seconds, &meter.end()?))
}

fn commit(mebibytes: u64, fresh: &Fresh, setting: &Setting) -> Result<Sample, String> {
    check_room(mebibytes, setting)?;
    let commits = if mebibytes < 100 { SMALL_COMMITS } else { 1 };
    let times: Result<Vec<_>, String> =
        (0..commits).map(|_| commit_once(mebibytes, fresh, setting)).collect();
    let mut times = times?;
    times.sort();
    let (time, completion) = times[commits / 2];
    let mut sample = Sample { value: time.as_secs_f64() * 1000.0, ..Sample::default() };
    if completion > Duration::ZERO {
        let share = completion.as_secs_f64() / time.as_secs_f64();
        sample.notes.push(Note::share("one request took of it in which the store joins the parts", share));
    }
    Ok(sample)
}

/// How long a commit took, and how much of it the store's own joining of the parts, where the registry
/// tells: its time grows with their number, in the store.
fn commit_once(mebibytes: u64, fresh: &Fresh, setting: &Setting) -> Result<(Duration, Duration), String> {
    let completions = || fresh.metric("registry_storage_action_seconds_sum", "action=\"upload_complete\"");
    let file = file(mebibytes, setting)?;
    let location = file.send(&fresh.url())?;
    let before = completions()?;
    let begun = Instant::now();
    file.commit(&location)?;
    let time = begun.elapsed();
    let completion = Duration::try_from_secs_f64(completions()? - before).unwrap_or_default();
    file.check(&fresh.url())?;
    Ok((time, completion))
}

fn check_room(mebibytes: u64, setting: &Setting) -> Result<(), String> {
    let disk = statvfs(&setting.directory).map_err(|error| format!("free space: {error}"))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) / MEBIBYTE as u64;
    let needed = mebibytes + RESERVE_MEBIBYTES;
    if free >= needed { Ok(()) } else { Err(format!("{needed} MiB are needed and {free} MiB free")) }
}

fn upload_memory(uploads: u32, fresh: &Fresh, setting: &Setting) -> Result<Sample, String> {
    let files = transfers::fresh(uploads, UPLOAD_MEBIBYTES, setting)?;
    thread::sleep(REST);
    let before = memory(fresh.pid(), Memory::Resident)?;
    transfers::push_all(&files, &fresh.url())?;
    let grown = memory(fresh.pid(), Memory::Peak)? - before;
    Ok(Sample { value: grown / f64::from(uploads), ..Sample::default() })
}

fn file(mebibytes: u64, setting: &Setting) -> Result<Renewed, String> {
    Ok(transfers::fresh(1, mebibytes, setting)?.remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_longer_than_a_pushed_gibibyte_is_large() {
        assert!(Stored::Commit { mebibytes: 20 * 1024 }.is_large());
        assert!(!Stored::Commit { mebibytes: 1024 }.is_large() && !Stored::Push.is_large());
    }

    #[test]
    fn an_image_has_a_hundred_layers_of_8_to_64_kib() {
        let lengths: Vec<_> = image().blobs.iter().take(LAYERS).map(String::len).collect();

        assert_eq!(lengths.len(), LAYERS);
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&8192), Some(&65536)));
    }
}
