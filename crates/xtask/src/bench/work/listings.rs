//! Pages of long lists.
//!
//! docker-registry 2.8.2 ignores `n` for tags and answers all of them; its rate in these rows is that of the
//! whole list, because that is what a client gets.

use std::time::Instant;

use super::{Setting, answers};
use crate::bench::content::MANIFEST;
use crate::bench::fill;
use crate::bench::http;
use crate::bench::load::{Request, curl, wrk};
use crate::bench::note::Note;
use crate::bench::product::Product;
use crate::bench::row::{Sample, Unit};
use crate::bench::subject::Subject;

/// More than this is written into the store instead of being pushed.
pub(super) const MAX_BY_HTTP: usize = 1000;
const REPOSITORIES: usize = 10_000;
const PAGE: usize = 100;
const CONNECTIONS: u32 = 16;
/// How often it is looked how long an answer takes: one may have been held up by others.
const LOOKS: u32 = 4;

pub(super) fn tags(count: usize, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    hold_tags(count, subject, setting)?;
    let path = format!("/v2/{}/tags/list?n={PAGE}", tags_repository(count));
    let ignored = if subject.product() == Some(Product::Entrepot) { None } else { Some(count) };
    Page { path, key: "tags", ignored }.measure(subject, setting)
}

pub(super) fn catalog(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    hold_repositories(subject, setting)?;
    let path = format!("/v2/_catalog?n={PAGE}");
    Page { path, key: "repositories", ignored: None }.measure(subject, setting)
}

/// Everything the long lists are made of, for whoever wants a store that is full.
pub(super) fn fill(subject: &mut Subject, setting: &Setting) -> Result<(), String> {
    hold_tags(100_000, subject, setting)?;
    hold_repositories(subject, setting)
}

fn tags_repository(count: usize) -> String {
    format!("bench/tags-{count}")
}

fn hold_tags(count: usize, subject: &mut Subject, setting: &Setting) -> Result<(), String> {
    let repository = tags_repository(count);
    subject.once(&repository, |subject| {
        let registry = subject.url();
        answers::push_image(&registry, &repository, &fill::tag(0), &setting.image)?;
        match subject.instance() {
            Some(instance) => fill::tags(instance, &repository, count, &setting.image.digest())?,
            None => push_tags(&registry, &repository, count, setting)?,
        }
        let found = http::count_entries(&registry, &format!("/v2/{repository}/tags/list?n=1000"), "tags")?;
        if found == count { Ok(()) } else { Err(format!("{repository} has {found} tags instead of {count}")) }
    })
}

fn push_tags(registry: &str, repository: &str, count: usize, setting: &Setting) -> Result<(), String> {
    let manifest = setting.image.manifest.as_bytes();
    let mut tags = (1..count).map(fill::tag);
    tags.try_for_each(|tag| http::push_manifest(registry, repository, &tag, MANIFEST, manifest))
}

fn hold_repositories(subject: &mut Subject, setting: &Setting) -> Result<(), String> {
    subject.once("catalog", |subject| {
        let registry = subject.url();
        answers::push_image(&registry, &fill::repository(0), "v1", &setting.image)?;
        let instance = subject.instance().ok_or("only a store of our own can be filled")?;
        fill::repositories(instance, REPOSITORIES)?;
        // Others were pushed to before.
        let found = http::count_entries(&registry, "/v2/_catalog?n=1000", "repositories")?;
        let expected = REPOSITORIES..REPOSITORIES + 100;
        if expected.contains(&found) { Ok(()) } else { Err(format!("{found} repositories in the catalog")) }
    })
}

/// A page of [`PAGE`] entries.
struct Page {
    path: String,
    key: &'static str,
    /// What comes all the same where `n` may be ignored.
    ignored: Option<usize>,
}

impl Page {
    /// On 16 connections, or on one where an answer takes so long that few would be finished in time.
    fn measure(&self, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
        let url = format!("{}{}", subject.url(), self.path);
        let (length, is_whole_list) = self.check(&url)?;
        let fit = how_many_fit(&url, setting)?;
        let request = Request { url, accept: None, length };
        // Decided once, so that all rounds measure the same.
        let is_slow = subject.is_slow(&self.path, fit < 10 * u64::from(CONNECTIONS));
        let meter = setting.meter(subject)?;
        let done = if is_slow {
            curl::one_by_one(&request, fit)?
        } else {
            wrk::get(&request, CONNECTIONS, setting.seconds, &setting.directory)?
        };
        let mut sample = Unit::Requests.rate(done.count as f64, done.seconds, &meter.end()?);
        if is_whole_list {
            sample.notes.push(Note::plain("n is ignored, the whole list comes"));
        }
        if is_slow {
            sample.notes.push(Note::plain("slow: one request after the other"));
        }
        Ok(sample)
    }

    /// The length of the answer, and whether it is the whole list.
    fn check(&self, url: &str) -> Result<(u64, bool), String> {
        let answer = http::get(url, None)?.expect(200, url)?;
        let found = answer.entries(self.key);
        let is_whole_list = self.ignored == Some(found);
        if found != PAGE && !is_whole_list {
            return Err(format!("{url}: {found} entries instead of {PAGE}"));
        }
        Ok((answer.body.len() as u64, is_whole_list))
    }
}

/// How many answers fit into a measurement, going by the quickest of a few.
fn how_many_fit(url: &str, setting: &Setting) -> Result<u64, String> {
    let mut quickest = f64::INFINITY;
    for _ in 0..LOOKS {
        let begun = Instant::now();
        http::get(url, None)?.expect(200, url)?;
        quickest = quickest.min(begun.elapsed().as_secs_f64());
    }
    Ok((setting.seconds as f64 / quickest).ceil() as u64)
}
