//! What a registry under test is made of.

use std::path::Path;
use std::sync::Arc;

use entrepot_auth::Gate;
use entrepot_domain::ports::{Cache, Clock, Entropy, NoCache, System};
use entrepot_domain::redirects::Route;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_driver_filesystem::FilesystemDriver;
use entrepot_driver_memory::MemoryDriver;
use entrepot_frontend::Listener;
use entrepot_storage::SharedDriver;
use entrepot_storage::decorate::{Controls, Fault};
use entrepot_storage::signer::StoreSigner;
use tempfile::TempDir;

use super::{CountingEntropy, Doorman, FixedClock, TestRegistry};

/// Bytes of a part in [`Store::Bucket`].
const LEAST_PART: u64 = 4096;

/// The stores every suite runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The memory driver, without presigned URLs: bytes come from the registry.
    Memory,
    /// The memory driver with the limits of an object store, scaled down: parts have a least size, so that what
    /// is left at a request's end has to be parked.
    Bucket,
    /// The filesystem driver, in a directory of its own.
    Filesystem,
}

impl Store {
    /// A registry over a new, empty store of this kind.
    pub fn setup(self) -> Setup {
        match self {
            Store::Memory => Setup::memory(),
            Store::Bucket => Setup::bucket(),
            Store::Filesystem => Setup::filesystem(),
        }
    }
}

/// What registries are made of. Clones share the store, cache, clock and randomness, so every registry
/// started from them is a replica of the others.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(super) store: SharedDriver,
    /// Removed with the last clone.
    scratch: Option<Arc<TempDir>>,
    pub(super) cache: Arc<dyn Cache>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) keys: Option<TokenKeys>,
    pub(super) gate: Gate,
    pub(super) domain: entrepot_domain::Config,
    pub(super) frontend: entrepot_frontend::Config,
}

impl Setup {
    /// Over a given store.
    pub fn over(store: SharedDriver) -> Self {
        let loopback = Listener::plain(([127, 0, 0, 1], 0).into());
        let frontend = entrepot_frontend::Config {
            listeners: vec![loopback],
            workers: Some(1),
            ..entrepot_frontend::Config::default()
        };
        Self {
            store,
            scratch: None,
            cache: Arc::new(NoCache),
            clock: Arc::new(System),
            entropy: Arc::new(System),
            keys: None,
            gate: Gate::open(),
            domain: entrepot_domain::Config::default(),
            frontend,
        }
    }

    /// Over new memory.
    pub fn memory() -> Self {
        Self::over(MemoryDriver::with(entrepot_driver_memory::Config::resembling_a_disk()).shared())
    }

    /// Over new memory with the limits of an object store.
    pub fn bucket() -> Self {
        let config = entrepot_driver_memory::Config::resembling_s3(LEAST_PART);
        Self::over(MemoryDriver::with(config).shared())
    }

    /// Over new memory whose objects have URLs, and every blob is redirected to one. Nothing answers there.
    pub fn redirecting() -> Self {
        let store = MemoryDriver::new().shared();
        let signer = Arc::new(StoreSigner(Arc::clone(&store)));
        Self::over(store).domain(|domain| domain.redirects.otherwise = Route::Signed(signer))
    }

    /// Over a new directory.
    pub fn filesystem() -> Self {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let config = entrepot_driver_filesystem::Config::at(scratch.path());
        let driver = FilesystemDriver::open(&config).expect("a temporary directory is a fit store");
        Self { scratch: Some(Arc::new(scratch)), ..Self::over(Arc::new(driver)) }
    }

    /// Puts a store that fails on demand in front of the store. Everything started from this setup
    /// afterwards goes through it.
    #[must_use]
    pub fn breakable(mut self) -> (Self, Controls) {
        let fault = Fault::new(self.store, "registry", 1);
        let controls = fault.controls();
        self.store = Arc::new(fault);
        (self, controls)
    }

    /// Where the filesystem store lies; nothing for memory.
    pub fn directory(&self) -> Option<&Path> {
        self.scratch.as_deref().map(TempDir::path)
    }

    /// The store.
    pub const fn store(&self) -> &SharedDriver {
        &self.store
    }

    /// Changes the domain's settings.
    #[must_use]
    pub fn domain(mut self, change: impl FnOnce(&mut entrepot_domain::Config)) -> Self {
        change(&mut self.domain);
        self
    }

    /// Changes the front end's settings.
    #[must_use]
    pub fn frontend(mut self, change: impl FnOnce(&mut entrepot_frontend::Config)) -> Self {
        change(&mut self.frontend);
        self
    }

    /// With a cache.
    #[must_use]
    pub fn cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.cache = cache;
        self
    }

    /// With this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With these keys for upload tokens, the first of which signs. Without, the keys in the store are
    /// shared, as by every registry that is not configured.
    #[must_use]
    pub fn secrets(mut self, secrets: &[&str]) -> Self {
        let keys = secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect();
        self.keys = Some(TokenKeys::new(keys).expect("a secret that is not empty"));
        self
    }

    /// With [`Doorman`] at the door.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.gate = Gate::guarded(Arc::new(Doorman), Arc::new(Doorman));
        self
    }

    /// With clock, randomness and keys that are the same in every run, for golden files.
    #[must_use]
    pub fn fixed(mut self) -> Self {
        self.clock = Arc::new(FixedClock::at(1_700_000_000));
        self.entropy = Arc::new(CountingEntropy::default());
        self.secrets(&["fixed"])
    }

    /// Starts one.
    pub fn start(&self) -> TestRegistry {
        TestRegistry::start(self)
    }
}
