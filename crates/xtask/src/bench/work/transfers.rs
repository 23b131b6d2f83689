//! Half a gibibyte, out and in, by curl.

use std::path::{Path, PathBuf};
use std::thread;

use entrepot_oci::Digest;

use super::Setting;
use crate::bench::content::{self, MEBIBYTE};
use crate::bench::http;
use crate::bench::load::{Request, curl};
use crate::bench::row::{Sample, Unit};
use crate::bench::subject::Subject;

const REPOSITORY: &str = "bench/large";
/// What goes through in one measurement of a push, by all streams together, and in each stream of a pull.
const MEBIBYTES: u64 = 512;
const BYTES: u64 = MEBIBYTES * MEBIBYTE as u64;

pub(super) fn pull(streams: u32, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let digest = hold_large(subject, setting)?;
    let url = blob(&subject.url(), &digest);
    let request = Request { url, accept: None, length: BYTES };
    let meter = setting.meter(subject)?;
    let done = curl::pull(&request, streams)?;
    Ok(Unit::Mebibytes.rate(done.count as f64 / MEBIBYTE as f64, done.seconds, &meter.end()?))
}

/// The digest of the large blob, which is pushed and read back once.
fn hold_large(subject: &mut Subject, setting: &Setting) -> Result<Digest, String> {
    if let Some(digest) = &subject.large {
        return Ok(*digest);
    }
    let file = noise(1, setting)?.remove(0).renewed()?;
    file.push(&subject.url())?;
    let url = blob(&subject.url(), &file.digest);
    if http::digest_of(&url)? != file.digest {
        return Err(format!("{url}: not what was pushed"));
    }
    subject.large = Some(file.digest);
    Ok(file.digest)
}

pub(super) fn push(streams: u32, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let files = fresh(streams, setting)?;
    let registry = subject.url();
    let meter = setting.meter(subject)?;
    push_all(&files, &registry)?;
    let usage = meter.end()?;
    files.iter().try_for_each(|file| file.check(&registry, BYTES / u64::from(streams)))?;
    Ok(Unit::Mebibytes.rate(MEBIBYTES as f64, usage.seconds, &usage))
}

/// Files no registry has seen, together as large as ever. What was written before is on disk when it returns,
/// so that no registry waits for another's pages.
pub(super) fn fresh(streams: u32, setting: &Setting) -> Result<Vec<Renewed>, String> {
    let files: Result<Vec<_>, _> = noise(streams, setting)?.into_iter().map(Noise::renewed).collect();
    rustix::fs::sync();
    files
}

/// Pushes all at once, each by POST, PATCH and PUT.
pub(super) fn push_all(files: &[Renewed], registry: &str) -> Result<(), String> {
    thread::scope(|scope| {
        let streams: Vec<_> = files.iter().map(|file| scope.spawn(|| file.push(registry))).collect();
        streams.into_iter().try_for_each(|stream| stream.join().expect("a push does not panic"))
    })
}

/// A file of noise on our side.
struct Noise(PathBuf);

/// One whose content is new.
pub(super) struct Renewed {
    path: PathBuf,
    digest: Digest,
}

/// So many files, written when they are first needed.
fn noise(streams: u32, setting: &Setting) -> Result<Vec<Noise>, String> {
    let file = |number| {
        let path = setting.directory.join(format!("noise-{streams}-{number}"));
        if !path.exists() {
            content::write_noise(&path, MEBIBYTES / u64::from(streams))
                .map_err(|error| complaint(&path, &error))?;
        }
        Ok(Noise(path))
    };
    (0..streams).map(file).collect()
}

fn complaint(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

impl Noise {
    fn renewed(self) -> Result<Renewed, String> {
        let digest = content::renew(&self.0).map_err(|error| complaint(&self.0, &error))?;
        Ok(Renewed { path: self.0, digest })
    }
}

impl Renewed {
    fn push(&self, registry: &str) -> Result<(), String> {
        let location = http::open_session(registry, REPOSITORY)?;
        let location = http::absolute(registry, &curl::patch(&location, &self.path)?);
        http::close_session(&location, &self.digest, &[])
    }

    fn check(&self, registry: &str, length: u64) -> Result<(), String> {
        let url = blob(registry, &self.digest);
        match http::announced_length(&url)? {
            announced if announced == length => Ok(()),
            announced => Err(format!("{url}: {announced} bytes instead of {length}")),
        }
    }
}

fn blob(registry: &str, digest: &Digest) -> String {
    format!("{registry}/v2/{REPOSITORY}/blobs/{digest}")
}
