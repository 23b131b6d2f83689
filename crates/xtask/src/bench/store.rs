//! Where the two registries keep what is pushed: a directory, or an object store that both share.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::services::stores::{self, BUCKET, MINIO_PASSWORD, MINIO_USER, Running};
use crate::services::{self, Source, State};

/// The stores that have rows of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// MinIO, by the s3 drivers of both.
    Minio,
}

/// A store of a run, until it is dropped. It shares the load's core: a registry's own has no other work.
pub(super) struct Store {
    running: Running,
}

impl Store {
    pub(super) fn install(kind: Kind) -> Result<(), String> {
        let Kind::Minio = kind;
        let installed = services::install(Source::MainStore);
        let missing = installed.iter().find(|tool| !matches!(tool.state, State::Ready));
        missing.map_or(Ok(()), |tool| Err(tool.to_string()))
    }

    /// Starts one with no data, on the cores of the caller.
    pub(super) fn start(kind: Kind, home: &Path) -> Result<Self, String> {
        let Kind::Minio = kind;
        Ok(Self { running: stores::main().start_in(home.to_owned())? })
    }

    /// A place of this name in it.
    pub(super) fn place(&self, name: &str) -> Place {
        let endpoint = format!("http://127.0.0.1:{}", self.running.port);
        Place { endpoint, bucket: self.running.bucket(), name: name.to_owned(), redirects: true }
    }
}

/// What a registry keeps its data in.
#[derive(Clone, Debug)]
pub(super) enum Storage {
    /// A directory beside its configuration.
    Directory,
    /// The same, and a cache that is full within minutes.
    SmallCache,
    /// A place in an object store.
    Place(Place),
}

/// What begins the keys of one registry, in a bucket that others use too.
#[derive(Clone, Debug)]
pub(super) struct Place {
    endpoint: String,
    /// Where the bucket lies on disk.
    bucket: PathBuf,
    name: String,
    redirects: bool,
}

impl Place {
    /// Another one in the same bucket.
    pub(super) fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// The same one, for a registry that sends blobs itself.
    pub(super) fn without_redirects(&self) -> Self {
        Self { redirects: false, ..self.clone() }
    }

    /// What both registries call it, in the configuration below `storage`.
    pub(super) fn configuration(&self) -> String {
        let Self { endpoint, name, redirects, .. } = self;
        format!(
            "  s3:\n    region: us-east-1\n    regionendpoint: {endpoint}\n    bucket: {BUCKET}\n    \
             rootdirectory: /{name}\n    accesskey: {MINIO_USER}\n    secretkey: {MINIO_PASSWORD}\n    \
             secure: false\n  redirect: {{disable: {}}}\n",
            !redirects
        )
    }

    /// Deletes what is in it behind the store's back: one by one through its API would take longer than what
    /// was measured.
    pub(super) fn clear(&self) {
        // What stays goes with the store.
        let _ = fs::remove_dir_all(self.bucket.join(&self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_whether_blobs_are_redirected() {
        let bucket = PathBuf::from("/data/bucket");
        let place =
            Place { endpoint: "http://127.0.0.1:1".into(), bucket, name: "one".into(), redirects: true };

        assert!(place.configuration().contains("redirect: {disable: false}"));
        let other = place.named("two").without_redirects().configuration();
        assert!(other.contains("rootdirectory: /two\n") && other.contains("redirect: {disable: true}"));
    }
}
