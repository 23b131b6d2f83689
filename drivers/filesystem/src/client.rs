//! The open store: its directories, its locks, and the threads its work may occupy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use entrepot_storage::{Error, ErrorKind, Key, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, fstat, mkdirat};
use rustix::io::Errno;

use crate::buffers::Buffers;
use crate::config::MIN_THREADS;
use crate::directories::{Directories, Unsynced};
use crate::drafts::Drafts;
use crate::error::{of_read, of_write};
use crate::hot::Hot;
use crate::index::Index;
use crate::instance::{Instance, sweep};
use crate::lock::KeyLocks;
use crate::probe::{Abilities, Refusal, probe};
use crate::resolve::{DIRECTORY, Resolver};
use crate::threads::Threads;
use crate::{Config, NAME, OpenError, staging};

/// Where the driver keeps its own files; no key can begin with a dot.
const OWN: &str = ".entrepot";

/// Everything a call needs. Shared by all clones of the driver and by streams that outlive it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) root: OwnedFd,
    pub(crate) tmp: Arc<OwnedFd>,
    pub(crate) uploads: OwnedFd,
    pub(crate) locks: KeyLocks,
    pub(crate) instance: Instance,
    pub(crate) abilities: Abilities,
    pub(crate) resolver: Resolver,
    pub(crate) index: Index,
    pub(crate) hot: Hot,
    pub(crate) buffers: Buffers,
    pub(crate) drafts: Drafts,
    /// The filesystem does not know reads that must not wait.
    pub(crate) lacks_nowait: AtomicBool,
    unsynced: Unsynced,
    threads: Threads,
}

impl Client {
    /// Opens the store: makes its directories, takes a name, sweeps after the dead, probes.
    pub(crate) fn open(config: &Config) -> std::result::Result<Self, OpenError> {
        let path = config.root_directory.as_path();
        let io = |doing| move |errno: Errno| OpenError::Io { path: path.into(), doing, source: errno.into() };
        let root = open_root(path)?;
        let own = own_directory(&root, OWN).map_err(io("making its own directory"))?;
        let [tmp, uploads, locks] = ["tmp", "uploads", "locks"]
            .map(|name| own_directory(&own, name).map_err(io("making its own directories")));
        let (tmp, uploads, locks) = (tmp?, uploads?, locks?);
        let instance = Instance::register(&locks).map_err(io("locking a file"))?;
        let swept = sweep(&locks, &tmp).map_err(io("removing what a killed process left"))?
            + staging::sweep(&uploads).map_err(io("removing what a killed process left"))?;
        if swept > 0 {
            tracing::info!(files = swept, "removed what a killed process left");
        }
        let abilities = probe(&tmp, &instance).map_err(|refusal| match refusal {
            Refusal::Lacks(lacks) => OpenError::Unfit { path: path.into(), lacks },
            Refusal::Failed(doing, errno) => io(doing)(errno),
        })?;
        let threads = Threads::new(config.max_threads.max(MIN_THREADS)).map_err(|source| OpenError::Io {
            path: path.into(),
            doing: "making room for threads",
            source,
        })?;
        Ok(Self {
            buffers: Buffers::default(),
            hot: Hot::new(&tmp, &instance.temporary_name()),
            locks: KeyLocks::new(locks),
            root,
            tmp: Arc::new(tmp),
            uploads,
            instance,
            abilities,
            resolver: Resolver::default(),
            index: Index::default(),
            drafts: Drafts::default(),
            lacks_nowait: AtomicBool::new(false),
            unsynced: Unsynced::default(),
            threads,
        })
    }

    pub(crate) fn directories(&self) -> Directories<'_> {
        Directories { root: &self.root, resolver: &self.resolver, unsynced: &self.unsynced }
    }

    /// The meaning of a failed look at `key`: absent only where the store itself is there.
    pub(crate) fn read_failure(&self, errno: Errno, key: Option<&Key>) -> Error {
        match self.check_alive() {
            Ok(()) => of_read(errno, key),
            Err(lost) => lost,
        }
    }

    /// A removed root shows no files, which must not look like an empty registry.
    pub(crate) fn check_alive(&self) -> Result<()> {
        match fstat(&self.root) {
            Ok(stat) if stat.st_nlink > 0 => Ok(()),
            Ok(_) => Err(Error::new(NAME, ErrorKind::Backend { retryable: false })
                .because("the root directory was removed")),
            Err(errno) => Err(of_write(errno, None)),
        }
    }

    /// Does what may wait for the disk on a thread that may, see [`Threads::run`].
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let client = Arc::clone(self);
        self.threads.run(move || work(&client)).await
    }

    /// Does it some time on a thread of its own, if one is free now. Answers whether it will be done.
    pub(crate) fn run_if_free(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) -> bool {
        let client = Arc::clone(self);
        self.threads.run_if_free(move || work(&client))
    }
}

fn open_root(path: &Path) -> std::result::Result<OwnedFd, OpenError> {
    let io = |doing| move |source| OpenError::Io { path: path.into(), doing, source };
    std::fs::create_dir_all(path).map_err(io("making the directory"))?;
    rustix::fs::open(path, DIRECTORY, Mode::empty())
        .map_err(|errno| io("opening the directory")(errno.into()))
}

fn own_directory(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => rustix::fs::fsync(parent)?,
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    Resolver::default().open(parent, name, DIRECTORY)
}
