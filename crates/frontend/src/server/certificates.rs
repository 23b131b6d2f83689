//! The server's certificate, read again when its files change: certificates live for weeks, registries
//! run for months.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::BuildError;

/// How often the files are looked at, at most. Done by a handshake, which costs a thousand times more.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A certificate with its key, and where both came from.
pub(super) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    state: Mutex<State>,
}

struct State {
    current: Arc<CertifiedKey>,
    /// The files `current` was read from.
    loaded: Stamp,
    /// Files that were no good, so that they are complained about once.
    refused: Option<Stamp>,
    looked: Instant,
}

/// What tells two versions of the files apart. Symbolic links are followed: Kubernetes swaps a link to a
/// directory, and neither path nor size need to change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64, u64, u64)>; 2]);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads both files for the first time; nothing is served without.
    pub(super) fn load(certificate: &Path, key: &Path) -> Result<Self, BuildError> {
        // The stamp is taken first: files that change while they are read are read again.
        let loaded = Stamp::of(certificate, key);
        let current = Arc::new(read(certificate, key)?);
        let state = State { current, loaded, refused: None, looked: Instant::now() };
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), state: Mutex::new(state) })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            self.refresh(&mut state);
        }
        state.current.clone()
    }

    /// Takes over changed files if they are good, and keeps what is there if they are not: a half-written
    /// pair becomes whole a moment later.
    fn refresh(&self, state: &mut State) {
        let found = Stamp::of(&self.certificate, &self.key);
        if found == state.loaded {
            return;
        }
        match read(&self.certificate, &self.key) {
            Ok(fresh) => {
                tracing::info!(certificate = %self.certificate.display(), "the certificate was reloaded");
                state.current = Arc::new(fresh);
                state.loaded = found;
                state.refused = None;
            }
            Err(error) if state.refused.as_ref() != Some(&found) => {
                tracing::error!(%error, "the new certificate cannot be used; the old one stays");
                state.refused = Some(found);
            }
            Err(_) => {}
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl Stamp {
    fn of(certificate: &Path, key: &Path) -> Self {
        Self([certificate, key].map(|path| {
            use std::os::unix::fs::MetadataExt;
            let found = std::fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.dev(), found.ino(), found.len()))
        }))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, BuildError> {
    let unusable = |path: &Path, reason: String| BuildError::Certificate { path: path.to_owned(), reason };
    let of_certificate = |error: rustls::pki_types::pem::Error| unusable(certificate, error.to_string());
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .map_err(of_certificate)?
        .collect::<Result<_, _>>()
        .map_err(of_certificate)?;
    if chain.is_empty() {
        return Err(unusable(certificate, "there is no certificate in it".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error.to_string()))?;
    let signing = any_supported_type(&private).map_err(|error| unusable(key, error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|_| unusable(key, "it is not the key of the certificate".into()))?;
    Ok(certified)
}
