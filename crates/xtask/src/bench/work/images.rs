//! Pushes of small things: single blobs, and whole images. wrk works off plans that are written before.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use entrepot_oci::Digest;

use super::Setting;
use crate::bench::content::{Image, MANIFEST, SMALL_BYTES, word};
use crate::bench::load::wrk::{self, Pushed};
use crate::bench::row::{Sample, Unit};
use crate::bench::subject::Subject;

/// A plan has to last: more pushes than any registry takes in a second, all clients together.
const BLOBS_PER_SECOND: u64 = 20_000;
const IMAGES_PER_SECOND: u64 = 1000;

/// Blobs that no registry has seen, by POST and PUT.
pub(super) fn small_blobs(clients: u32, subject: &Subject, setting: &Setting) -> Result<Sample, String> {
    let plan = setting.directory.join("plan-blobs-");
    let each = BLOBS_PER_SECOND * setting.seconds / u64::from(clients);
    for client in 1..=clients {
        write(&plan, client, &blobs(each))?;
    }
    run(&plan, clients, Pushed::Blobs, subject, setting, Unit::Pushes)
}

/// Images of which no registry has seen a blob, by one client: each blob by POST and PUT, then the manifest.
pub(super) fn whole(subject: &Subject, setting: &Setting) -> Result<Sample, String> {
    let plan = setting.directory.join("plan-images-");
    let images = (0..IMAGES_PER_SECOND * setting.seconds).map(|_| image());
    write(&plan, 1, &images.collect::<String>())?;
    run(&plan, 1, Pushed::Manifests, subject, setting, Unit::Images)
}

fn run(
    plan: &Path,
    clients: u32,
    counted: Pushed,
    subject: &Subject,
    setting: &Setting,
    unit: Unit,
) -> Result<Sample, String> {
    rustix::fs::sync();
    let load = wrk::Pushes { registry: &subject.url(), plan, clients, media_type: MANIFEST, counted };
    let meter = setting.meter(subject)?;
    let done = load.run(setting.seconds, &setting.directory)?;
    Ok(unit.rate(done.count as f64, done.seconds, &meter.end()?))
}

fn write(plan: &Path, client: u32, lines: &str) -> Result<(), String> {
    let path = PathBuf::from(format!("{}{client}", plan.display()));
    fs::write(&path, lines).map_err(|error| format!("{}: {error}", path.display()))
}

/// Blobs that differ in their beginning only: noise is dear by the gigabyte, and no registry compares them.
fn blobs(count: u64) -> String {
    const OWN: usize = 32;
    let rest = word(SMALL_BYTES - OWN);
    let mut lines = String::new();
    for _ in 0..count {
        push_line(&mut lines, &(word(OWN) + &rest));
    }
    lines
}

/// Under a tag of its own: moving one is other work than making one.
fn image() -> String {
    let image = Image::new();
    let mut lines = String::new();
    for blob in &image.blobs {
        push_line(&mut lines, blob);
    }
    writeln!(lines, "manifest {REPOSITORY} v{} {}", word(16), image.manifest).expect("text takes all");
    lines
}

const REPOSITORY: &str = "bench/small";

fn push_line(lines: &mut String, blob: &str) {
    let digest = Digest::sha256(blob.as_bytes());
    writeln!(lines, "blob {REPOSITORY} {digest} {blob}").expect("text takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_blobs_names_each_by_its_digest_and_none_twice() {
        let plan = blobs(3);

        let mut digests = Vec::new();
        for line in plan.lines() {
            let [kind, _, digest, content] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!() };
            assert_eq!((kind, content.len()), ("blob", SMALL_BYTES));
            assert_eq!(digest, Digest::sha256(content.as_bytes()).to_string());
            digests.push(digest);
        }
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 3);
    }

    #[test]
    fn an_image_ends_with_its_manifest_on_one_line() {
        let plan = image();

        let last = plan.lines().last().unwrap();
        assert_eq!(plan.lines().count(), 12);
        assert!(last.starts_with("manifest bench/small v"), "{last}");
    }
}
