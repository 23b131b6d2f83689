//! Keys that are files: read at start, and again while the registry runs.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// The largest file that is taken for a key, in bytes.
const LARGEST: u64 = 64 * 1024;

/// Why a key cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The address of what it signs for is none.
    #[error(transparent)]
    Address(#[from] crate::AddressError),
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it is no key of a kind that is taken.
    #[error("{path}: {reason}; {needed} is needed", path = path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What should be in it.
        needed: &'static str,
    },
    /// The name of the key cannot stand in a URL.
    #[error("`{0}` is no name of a key")]
    Name(String),
}

/// How the content of a key file is read, or what is wrong with it.
pub(crate) type Parse<K> = fn(&[u8]) -> Result<K, String>;

/// A key and the file it comes from.
///
/// The file is looked at again whenever a new span of time begins, so a key that is replaced on disk is used
/// without a restart; while the file is unfit, the key at hand goes on.
#[derive(Debug)]
pub(crate) struct KeyFile<K> {
    path: PathBuf,
    needed: &'static str,
    parse: Parse<K>,
    held: RwLock<Held<K>>,
}

/// The key in use, and for which span its file was last looked at.
#[derive(Clone, Debug)]
struct Held<K> {
    key: K,
    looked_at: SystemTime,
}

impl<K: Clone> KeyFile<K> {
    /// Reads the key. Blocks: for the time of start.
    pub(crate) fn open(path: PathBuf, needed: &'static str, parse: Parse<K>) -> Result<Self, KeyError> {
        let held = Held { key: read(&path, needed, parse)?, looked_at: UNIX_EPOCH };
        Ok(Self { path, needed, parse, held: RwLock::new(held) })
    }

    /// The key for the span that begins at `span`, where its file was looked at since.
    pub(crate) fn known(&self, span: SystemTime) -> Option<K> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        (held.looked_at >= span).then(|| held.key.clone())
    }

    /// The key for the span that begins at `span`. Blocks where its file has to be looked at.
    pub(crate) fn key(&self, span: SystemTime) -> K {
        if let Some(known) = self.known(span) {
            return known;
        }
        let at_hand = || self.held.read().unwrap_or_else(PoisonError::into_inner).key.clone();
        let key = read(&self.path, self.needed, self.parse).unwrap_or_else(|error| {
            tracing::warn!(%error, "a key cannot be read again; the one at hand is kept");
            at_hand()
        });
        let held = Held { key: key.clone(), looked_at: span };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        key
    }
}

fn read<K>(path: &Path, needed: &'static str, parse: Parse<K>) -> Result<K, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let unfit = |reason: String| KeyError::Unfit { path: path.to_owned(), reason, needed };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > LARGEST {
        return Err(unfit(format!("{length} bytes are too many for a key")));
    }
    parse(&std::fs::read(path).map_err(unreadable)?).map_err(unfit)
}
