//! Small answers, and one of a mebibyte: asked for over and over on 16 connections.

use entrepot_oci::Digest;

use super::Setting;
use crate::bench::content::{Image, MANIFEST};
use crate::bench::http;
use crate::bench::load::{Request, ab, wrk};
use crate::bench::row::{Sample, Unit};
use crate::bench::subject::Subject;

const REPOSITORY: &str = "bench/base";
const TAG: &str = "v1";
const CONNECTIONS: u32 = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    ManifestByTag,
    ManifestByDigest,
    BlobHead,
    Blob4Kib,
    Blob1Mib,
}

pub(super) fn measure(asked: Asked, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    subject.once(REPOSITORY, |subject| fill(&subject.url(), setting))?;
    let (path, content) = wanted(asked, setting);
    let url = format!("{}/v2/{REPOSITORY}/{path}", subject.url());
    let request = Request { url, accept: accept(asked), length: content.len() as u64 };
    check(asked, &request, content)?;
    let meter = setting.meter(subject)?;
    let done = match asked {
        Asked::BlobHead => ab::head(&request, CONNECTIONS, setting.seconds)?,
        _ => wrk::get(&request, CONNECTIONS, setting.seconds, &setting.directory)?,
    };
    Ok(Unit::Requests.rate(done.count as f64, done.seconds, &meter.end()?))
}

/// Puts everything these rows ask for.
pub(super) fn fill(registry: &str, setting: &Setting) -> Result<(), String> {
    push_image(registry, REPOSITORY, TAG, &setting.image)?;
    http::push_blob(registry, REPOSITORY, &setting.blob_4kib)?;
    http::push_blob(registry, REPOSITORY, &setting.blob_1mib)
}

/// Pushes an image, blob by blob.
pub(super) fn push_image(registry: &str, repository: &str, tag: &str, image: &Image) -> Result<(), String> {
    for blob in &image.blobs {
        http::push_blob(registry, repository, blob.as_bytes())?;
    }
    http::push_manifest(registry, repository, tag, MANIFEST, image.manifest.as_bytes())
}

/// The rest of the path, and what is to come.
fn wanted(asked: Asked, setting: &Setting) -> (String, &[u8]) {
    let blob = |content| (format!("blobs/{}", Digest::sha256(content)), content);
    let manifest = setting.image.manifest.as_bytes();
    match asked {
        Asked::ManifestByTag => (format!("manifests/{TAG}"), manifest),
        Asked::ManifestByDigest => (format!("manifests/{}", setting.image.digest()), manifest),
        Asked::BlobHead | Asked::Blob4Kib => blob(&setting.blob_4kib),
        Asked::Blob1Mib => blob(&setting.blob_1mib),
    }
}

/// docker-registry answers 404 to whoever does not say that he takes an OCI manifest.
fn accept(asked: Asked) -> Option<&'static str> {
    matches!(asked, Asked::ManifestByTag | Asked::ManifestByDigest).then_some(MANIFEST)
}

/// Looks at one answer byte by byte; of the others only status and length are.
fn check(asked: Asked, request: &Request, content: &[u8]) -> Result<(), String> {
    if asked == Asked::BlobHead {
        let announced = http::announced_length(&request.url)?;
        let said = format!("HEAD announces {announced} bytes instead of {}", request.length);
        return if announced == request.length { Ok(()) } else { Err(said) };
    }
    let answer = http::get(&request.url, request.accept)?.expect(200, &request.url)?;
    if answer.body == content { Ok(()) } else { Err(format!("{}: not what was pushed", request.url)) }
}
