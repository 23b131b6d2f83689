//! A client that moves an image's layers over several connections: a push whose manifest waits for all of
//! them is nothing other people's load generators can be told.
//!
//! It runs in this process, on the load's core, and compares what it pulls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use entrepot_oci::Digest;
use ureq::Agent;

use crate::bench::content::{Image, MANIFEST};
use crate::bench::http::{self, Answer};

/// As many layers as Docker uploads at once by default.
const CLIENTS: usize = 5;

/// How a layer is sent, once it is known to be missing and a session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// In one PUT, as containerd does.
    Put,
    /// In a PATCH, and then an empty PUT, as Docker and Podman do.
    Patch,
}

/// Pushes all of an image, the manifest at last.
pub(crate) fn push(
    registry: &str,
    repository: &str,
    tag: &str,
    image: &Image,
    manner: Manner,
) -> Result<(), String> {
    each(&image.blobs, |agent, blob| push_blob(agent, registry, repository, blob.as_bytes(), manner))?;
    http::push_manifest(registry, repository, tag, MANIFEST, image.manifest.as_bytes())
}

fn push_blob(
    agent: &Agent,
    registry: &str,
    repository: &str,
    content: &[u8],
    manner: Manner,
) -> Result<(), String> {
    let digest = Digest::sha256(content);
    let blob = format!("{registry}/v2/{repository}/blobs/{digest}");
    http::answer(&blob, agent.head(&blob).call())?.expect(404, &blob)?;
    let uploads = format!("{registry}/v2/{repository}/blobs/uploads/");
    let opened = http::answer(&uploads, agent.post(&uploads).send_empty())?.expect(202, &uploads)?;
    let mut location = going_on(registry, &opened)?;
    let mut rest = content;
    if manner == Manner::Patch {
        let patch = agent.patch(&location).content_type(OCTETS);
        location =
            going_on(registry, &http::answer(&location, patch.send(content))?.expect(202, &location)?)?;
        rest = &[];
    }
    let closing = http::closing(&location, &digest);
    http::answer(&closing, agent.put(&closing).content_type(OCTETS).send(rest))?.expect(201, &closing)?;
    Ok(())
}

const OCTETS: &str = "application/octet-stream";

fn going_on(registry: &str, answer: &Answer) -> Result<String, String> {
    let location = answer.location.as_deref().ok_or_else(|| format!("{registry}: no Location"))?;
    Ok(http::absolute(registry, location))
}

/// Pulls all of an image from wherever its blobs are redirected to, and compares it.
pub(crate) fn pull(registry: &str, repository: &str, tag: &str, image: &Image) -> Result<(), String> {
    let url = format!("{registry}/v2/{repository}/manifests/{tag}");
    let manifest = http::get(&url, Some(MANIFEST))?.expect(200, &url)?;
    if manifest.body != image.manifest.as_bytes() {
        return Err(format!("{url}: not what was pushed"));
    }
    each(&image.blobs, |agent, blob| {
        let url = format!("{registry}/v2/{repository}/blobs/{}", Digest::sha256(blob.as_bytes()));
        let answer = http::answer(&url, agent.get(&url).call())?.expect(200, &url)?;
        if answer.body == blob.as_bytes() { Ok(()) } else { Err(format!("{url}: not what was pushed")) }
    })
}

/// Does the work of all, by so many clients at once, each with connections that it keeps.
fn each(blobs: &[String], work: impl Fn(&Agent, &String) -> Result<(), String> + Sync) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let client = || {
        let agent: Agent = http::configured().max_redirects(2).build().into();
        while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(&agent, blob)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client does not panic"))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_blob_is_worked_on_once_whoever_does_it() {
        let blobs: Vec<_> = (0..37).map(|number| format!("{number:02}")).collect();
        let done = Mutex::new(Vec::new());

        each(&blobs, |_, blob| {
            done.lock().unwrap().push(blob.clone());
            Ok(())
        })
        .unwrap();

        let mut done = done.into_inner().unwrap();
        done.sort();
        assert_eq!(done, blobs);
    }

    #[test]
    fn one_failure_fails_the_whole() {
        let blobs = ["one".to_owned(), "two".to_owned()];

        let outcome = each(&blobs, |_, blob| if blob == "two" { Err("gone".to_owned()) } else { Ok(()) });

        assert_eq!(outcome, Err("gone".to_owned()));
    }
}
