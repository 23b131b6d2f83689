//! The registry as a value: what it is made of, and how it is made.

use std::sync::{Arc, PoisonError, RwLock};

use entrepot_oci::RepositoryName;
use entrepot_storage::{PartBudget, SharedDriver};

use crate::blobs::Verified;
use crate::config::{Config, ReadOnly};
use crate::error::{Error, Result};
use crate::ports::{Cache, Clock, Entropy, System};
use crate::uploads::token::TokenKeys;

/// A registry over a store. Clones share everything; any number of requests may use one at once, and
/// any number of registries may share one store.
#[derive(Clone, Debug)]
pub struct Registry(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: SharedDriver,
    pub(crate) cache: Arc<dyn Cache>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: Config,
    pub(crate) tokens: TokenKeys,
    pub(crate) budget: PartBudget,
    pub(crate) verified: Verified,
    read_only: RwLock<ReadOnly>,
    /// The rule this registry breaks on purpose.
    #[cfg(feature = "mutations")]
    pub(crate) mutation: Option<crate::mutation::Mutation>,
}

/// The parts a registry is assembled from.
#[derive(Debug)]
pub struct Parts {
    /// Where everything lies.
    pub store: SharedDriver,
    /// In front of it.
    pub cache: Arc<dyn Cache>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub entropy: Arc<dyn Entropy>,
    /// Keys that sign upload tokens.
    pub tokens: TokenKeys,
    /// Settings.
    pub config: Config,
}

impl Registry {
    /// Assembles a registry. Does not touch the store.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, cache, clock, entropy, tokens, config } = parts;
        let budget = PartBudget::new(config.upload_memory_bytes, config.upload_patience);
        let read_only = RwLock::new(config.read_only.clone());
        Self(Arc::new(Inner {
            read_only,
            store,
            cache,
            clock,
            entropy,
            config,
            tokens,
            budget,
            verified: Verified::default(),
            #[cfg(feature = "mutations")]
            mutation: None,
        }))
    }

    /// The same registry with one rule of the write protocol broken. For the test of the tests; only
    /// before the registry is shared.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn breaking(mut self, mutation: crate::mutation::Mutation) -> Self {
        Arc::get_mut(&mut self.0).expect("not shared yet").mutation = Some(mutation);
        self
    }

    /// A registry over `store` with the system's clock and randomness, no cache and default settings.
    pub fn over(store: SharedDriver, tokens: TokenKeys) -> Self {
        Self::new(Parts {
            store,
            cache: Arc::new(crate::ports::NoCache),
            clock: Arc::new(System),
            entropy: Arc::new(System),
            tokens,
            config: Config::default(),
        })
    }

    /// The settings it was made with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The store it was made over.
    pub fn store(&self) -> &SharedDriver {
        &self.0.store
    }

    /// Changes which repositories take no writes, from the next request on.
    pub fn set_read_only(&self, read_only: ReadOnly) {
        *self.0.read_only.write().unwrap_or_else(PoisonError::into_inner) = read_only;
    }

    /// Whether `repository` takes no writes now. Any text may be asked about.
    pub fn is_read_only(&self, repository: &str) -> bool {
        self.0.read_only.read().unwrap_or_else(PoisonError::into_inner).covers(repository)
    }

    /// Whether nothing at all is written.
    pub(crate) fn is_read_only_everywhere(&self) -> bool {
        self.0.read_only.read().unwrap_or_else(PoisonError::into_inner).everything
    }
}

impl Inner {
    /// Refuses a write to a repository that takes none.
    pub(crate) fn writable(&self, name: &RepositoryName) -> Result<()> {
        if self.read_only.read().unwrap_or_else(PoisonError::into_inner).covers(name.as_str()) {
            return Err(Error::Disabled("the repository is read-only (storage.maintenance.readonly)"));
        }
        Ok(())
    }

    /// Refuses a delete where deletes are switched off.
    pub(crate) fn deletable(&self, name: &RepositoryName) -> Result<()> {
        self.writable(name)?;
        if !self.config.delete_enabled {
            return Err(Error::Disabled("deleting is switched off (storage.delete.enabled)"));
        }
        Ok(())
    }
}
