//! What is done to a registry, once each round: the content it needs is put first, one answer is looked at,
//! and then the clock runs.

mod answers;
mod images;
mod lifetime;
mod listings;
mod stored;
mod transfers;

pub(super) use answers::Asked;
pub(super) use stored::{Manner, Stored};

use std::cell::OnceCell;
use std::path::PathBuf;

use super::content::Image;
use super::meter::{Cores, Meter};
use super::product::Product;
use super::row::Sample;
use super::subject::Subject;

/// Work of one row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Ask(Asked),
    Pull { streams: u32 },
    Push { streams: u32 },
    SmallPush { clients: u32 },
    ImagePush,
    Tags { count: usize },
    Catalog,
    StartEmpty,
    StartFilled,
    IdleMemory,
    PeakMemory,
    IdleConnections,
    Stored(Stored),
}

/// What all work shares.
pub(super) struct Setting {
    /// How long one measurement takes, where that can be chosen.
    pub(super) seconds: u64,
    pub(super) cores: Cores,
    /// For whatever is written down meanwhile: scripts, plans, noise, short-lived registries.
    pub(super) directory: PathBuf,
    pub(super) image: Image,
    /// One of many layers, made when it is first needed.
    pub(super) stored_image: OnceCell<Image>,
    pub(super) blob_4kib: Vec<u8>,
    pub(super) blob_1mib: Vec<u8>,
}

impl Setting {
    fn meter(&self, subject: &Subject) -> Result<Meter, String> {
        Meter::begin(subject.pid(), self.cores)
    }
}

impl Work {
    /// Whether it can be done to a registry; one of others has no product.
    pub(super) fn is_for(self, product: Option<Product>) -> bool {
        match product {
            None => !self.is_for_ours_only(),
            // It copies what it commits: twice the room, and minutes in which no client waits.
            Some(Product::DockerRegistry) => !self.is_large(),
            Some(Product::Entrepot) => true,
        }
    }

    /// Whether it is done only if asked for, and once.
    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::Stored(stored) if stored.is_large())
    }

    /// Whether it needs a process we may start again, or a store we may write to.
    fn is_for_ours_only(self) -> bool {
        match self {
            Self::Ask(_)
            | Self::Pull { .. }
            | Self::Push { .. }
            | Self::SmallPush { .. }
            | Self::ImagePush => false,
            Self::Tags { count } => count > listings::MAX_BY_HTTP,
            Self::Catalog | Self::StartEmpty | Self::StartFilled => true,
            Self::IdleMemory | Self::PeakMemory | Self::IdleConnections | Self::Stored(_) => true,
        }
    }

    pub(super) fn measure(self, subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
        match self {
            Self::Ask(asked) => answers::measure(asked, subject, setting),
            Self::Pull { streams } => transfers::pull(transfers::MEBIBYTES, streams, subject, setting),
            Self::Push { streams } => transfers::push(streams, subject, setting),
            Self::SmallPush { clients } => images::small_blobs(clients, subject, setting),
            Self::ImagePush => images::whole(subject, setting),
            Self::Tags { count } => listings::tags(count, subject, setting),
            Self::Catalog => listings::catalog(subject, setting),
            Self::StartEmpty => lifetime::start_empty(subject, setting),
            Self::StartFilled => lifetime::start_filled(subject, setting),
            Self::IdleMemory => lifetime::idle_memory(subject, setting),
            Self::PeakMemory => lifetime::peak_memory(subject, setting),
            Self::IdleConnections => lifetime::idle_connections(subject, setting),
            Self::Stored(stored) => stored.measure(subject, setting),
        }
    }
}
