//! Large blobs, out and in, by curl: half a gibibyte, where nobody says otherwise.

use std::fs;
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
pub(super) const MEBIBYTES: u64 = 512;

pub(super) fn pull(
    mebibytes: u64,
    streams: u32,
    subject: &mut Subject,
    setting: &Setting,
) -> Result<Sample, String> {
    let digest = hold_large(mebibytes, subject, setting)?;
    let url = blob(&subject.url(), &digest);
    let request = Request { url, accept: None, length: mebibytes * MEBIBYTE as u64 };
    let meter = setting.meter(subject)?;
    let done = curl::pull(&request, streams)?;
    Ok(Unit::Mebibytes.rate(done.count as f64 / MEBIBYTE as f64, done.seconds, &meter.end()?))
}

/// The digest of the large blob, which is pushed and read back once. A run has one length of it.
pub(super) fn hold_large(mebibytes: u64, subject: &mut Subject, setting: &Setting) -> Result<Digest, String> {
    if let Some(digest) = &subject.large {
        return Ok(*digest);
    }
    let file = noise(1, mebibytes, setting)?.remove(0).renewed()?;
    file.push(&subject.url())?;
    let url = blob(&subject.url(), &file.digest);
    if http::digest_of(&url)? != file.digest {
        return Err(format!("{url}: not what was pushed"));
    }
    subject.large = Some(file.digest);
    Ok(file.digest)
}

pub(super) fn push(streams: u32, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let files = fresh(streams, MEBIBYTES / u64::from(streams), setting)?;
    let registry = subject.url();
    let meter = setting.meter(subject)?;
    push_all(&files, &registry)?;
    let usage = meter.end()?;
    files.iter().try_for_each(|file| file.check(&registry))?;
    Ok(Unit::Mebibytes.rate(MEBIBYTES as f64, usage.seconds, &usage))
}

/// Files of `mebibytes` no registry has seen. What was written before is on disk when it returns, so that no
/// registry waits for another's pages.
pub(super) fn fresh(streams: u32, mebibytes: u64, setting: &Setting) -> Result<Vec<Renewed>, String> {
    let files: Result<Vec<_>, _> =
        noise(streams, mebibytes, setting)?.into_iter().map(Noise::renewed).collect();
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
    pub(super) digest: Digest,
}

/// Above this a file is a hole with noise at its beginning: one of noise needs its length on disk.
const MAX_NOISE_MEBIBYTES: u64 = 1024;

/// So many files, written when they are first needed.
fn noise(streams: u32, mebibytes: u64, setting: &Setting) -> Result<Vec<Noise>, String> {
    let write = |path: &Path| match mebibytes {
        0..=MAX_NOISE_MEBIBYTES => content::write_noise(path, mebibytes),
        _ => content::write_hole(path, mebibytes),
    };
    let file = |number| {
        let path = setting.directory.join(format!("noise-{mebibytes}-{number}"));
        if !path.exists() {
            write(&path).map_err(|error| complaint(&path, &error))?;
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
    pub(super) fn push(&self, registry: &str) -> Result<(), String> {
        self.commit(&self.send(registry)?)
    }

    /// Sends all bytes, and returns where the session is to be closed.
    pub(super) fn send(&self, registry: &str) -> Result<String, String> {
        let location = http::open_session(registry, REPOSITORY)?;
        Ok(http::absolute(registry, &curl::patch(&location, &self.path)?))
    }

    pub(super) fn commit(&self, location: &str) -> Result<(), String> {
        http::close_session(location, &self.digest, &[])
    }

    /// Looks whether the registry has it, whole.
    pub(super) fn check(&self, registry: &str) -> Result<(), String> {
        let length = fs::metadata(&self.path).map_err(|error| complaint(&self.path, &error))?.len();
        let url = blob(registry, &self.digest);
        match http::announced_length(&url)? {
            announced if announced == length => Ok(()),
            announced => Err(format!("{url}: {announced} bytes instead of {length}")),
        }
    }
}

pub(super) fn blob(registry: &str, digest: &Digest) -> String {
    format!("{registry}/v2/{REPOSITORY}/blobs/{digest}")
}
