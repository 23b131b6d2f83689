//! The rows: what is measured, in which unit.

use super::meter::Usage;
use super::note::Note;
use super::store::Kind;
use super::work::{Asked, Manner, Stored, Work};

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// What it is chosen by.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    pub(super) work: Work,
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Requests,
    Mebibytes,
    Pushes,
    Images,
    Milliseconds,
    Memory,
}

/// One measurement.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// In the row's unit.
    pub(super) value: f64,
    /// CPU seconds of the server for so many of them as [`Unit::cpu_label`] says.
    pub(super) cpu: Option<f64>,
    /// What to know about it.
    pub(super) notes: Vec<Note>,
}

impl Unit {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests/s",
            Self::Mebibytes => "MiB/s",
            Self::Pushes => "pushes/s",
            Self::Images => "images/s",
            Self::Milliseconds => "ms",
            Self::Memory => "MiB",
        }
    }

    /// What CPU time is told for, where it is.
    pub(super) fn cpu_label(self) -> Option<&'static str> {
        match self {
            Self::Requests => Some("1000 requests"),
            Self::Mebibytes => Some("GiB"),
            Self::Pushes => Some("1000 pushes"),
            Self::Images => Some("1000 images"),
            Self::Milliseconds | Self::Memory => None,
        }
    }

    /// So much work in so many seconds, and what it cost the server.
    pub(super) fn rate(self, amount: f64, seconds: f64, usage: &Usage) -> Sample {
        let per = if self == Self::Mebibytes { 1024.0 } else { 1000.0 };
        let cpu = Some(usage.cpu_seconds * per / amount);
        Sample { value: amount / seconds, cpu, notes: usage.notes() }
    }
}

const fn row(id: &'static str, unit: Unit, title: &'static str, work: Work) -> Row {
    Row { id, title, unit, work }
}

const fn stored(id: &'static str, unit: Unit, title: &'static str, stored: Stored) -> Row {
    row(id, unit, title, Work::Stored(stored))
}

/// Those of registries on a disk, in the order they are run: what fills a store comes after what is quick on an empty one.
static ROWS: &[Row] = &[
    row("manifest-tag", Unit::Requests, "manifest by tag", Work::Ask(Asked::ManifestByTag)),
    row("manifest-digest", Unit::Requests, "manifest by digest", Work::Ask(Asked::ManifestByDigest)),
    row("blob-head", Unit::Requests, "blob HEAD", Work::Ask(Asked::BlobHead)),
    row("blob-4k", Unit::Requests, "4 KiB blob GET", Work::Ask(Asked::Blob4Kib)),
    row("blob-1m", Unit::Requests, "1 MiB blob GET", Work::Ask(Asked::Blob1Mib)),
    row("pull-1", Unit::Mebibytes, "512 MiB pull, 1 stream", Work::Pull { streams: 1 }),
    row("pull-4", Unit::Mebibytes, "512 MiB pull, 4 streams", Work::Pull { streams: 4 }),
    row("push-1", Unit::Mebibytes, "512 MiB streamed push, 1 stream", Work::Push { streams: 1 }),
    row("push-4", Unit::Mebibytes, "512 MiB streamed push, 4 streams", Work::Push { streams: 4 }),
    row("small-push-1", Unit::Pushes, "1 KiB blob push, 1 client", Work::SmallPush { clients: 1 }),
    row("small-push-16", Unit::Pushes, "1 KiB blob push, 16 clients", Work::SmallPush { clients: 16 }),
    row("image-push", Unit::Images, "push of an image of 10 small layers", Work::ImagePush),
    row("tags-1000", Unit::Requests, "tags/list n=100 of 1,000", Work::Tags { count: 1000 }),
    row("tags-100000", Unit::Requests, "tags/list n=100 of 100,000", Work::Tags { count: 100_000 }),
    row("catalog", Unit::Requests, "catalog n=100 of 10,000", Work::Catalog),
    row("start-empty", Unit::Milliseconds, "start-up, empty store", Work::StartEmpty),
    row("start-filled", Unit::Milliseconds, "start-up, filled store", Work::StartFilled),
    row("memory-idle", Unit::Memory, "memory, idle", Work::IdleMemory),
    row("memory-peak", Unit::Memory, "peak memory, 4 parallel 128 MiB pushes", Work::PeakMemory),
    row("memory-connections", Unit::Memory, "memory of 1,000 idle connections", Work::IdleConnections),
];

/// Those of registries on an object store.
static STORED: &[Row] = &[
    stored("redirects", Unit::Requests, "redirect of a blob GET, warm", Stored::Redirects),
    stored(
        "stored-image-push",
        Unit::Images,
        "push of an image of 100 small layers, 5 clients, each layer by PUT",
        Stored::ImagePush(Manner::Put),
    ),
    stored(
        "stored-image-patch",
        Unit::Images,
        "push of an image of 100 small layers, 5 clients, each layer by PATCH and PUT",
        Stored::ImagePush(Manner::Patch),
    ),
    stored(
        "stored-image-pull",
        Unit::Images,
        "pull of an image of 100 small layers, 5 clients",
        Stored::ImagePull,
    ),
    stored("stored-push", Unit::Mebibytes, "1 GiB streamed push", Stored::Push),
    stored("stored-pull", Unit::Mebibytes, "1 GiB pull, redirected", Stored::Pull),
    stored("stored-pull-through", Unit::Mebibytes, "1 GiB pull, through the registry", Stored::PullThrough),
    stored("commit-10m", Unit::Milliseconds, "commit of 10 MiB", Stored::Commit { mebibytes: 10 }),
    stored("commit-1g", Unit::Milliseconds, "commit of 1 GiB", Stored::Commit { mebibytes: 1024 }),
    stored("commit-20g", Unit::Milliseconds, "commit of 20 GiB", Stored::Commit { mebibytes: 20 * 1024 }),
    stored("upload-memory-1", Unit::Memory, "memory of an upload of 256 MiB", Stored::Memory { uploads: 1 }),
    stored(
        "upload-memory-4",
        Unit::Memory,
        "memory of each of 4 parallel uploads of 256 MiB",
        Stored::Memory { uploads: 4 },
    ),
];

/// The rows of a run.
pub(super) fn table(store: Option<Kind>) -> &'static [Row] {
    match store {
        None => ROWS,
        Some(Kind::Minio) => STORED,
    }
}

/// The row of a name, for the command line.
pub(super) fn find(id: &str) -> Result<&'static Row, String> {
    ROWS.iter()
        .chain(STORED)
        .find(|row| row.id == id)
        .ok_or_else(|| "no such row; `--list` shows them".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_per_second_and_its_cpu_per_thousand_or_gibibyte() {
        let usage = Usage::of_process(1.0);

        let requests = Unit::Requests.rate(10_000.0, 2.0, &usage);
        let bytes = Unit::Mebibytes.rate(512.0, 0.5, &usage);

        assert_eq!((requests.value, requests.cpu), (5000.0, Some(0.1)));
        assert_eq!((bytes.value, bytes.cpu), (1024.0, Some(2.0)));
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        for row in ROWS.iter().chain(STORED) {
            assert!(std::ptr::eq(find(row.id).unwrap(), row), "{}", row.id);
        }
        assert!(find("manifest").is_err());
    }
}
