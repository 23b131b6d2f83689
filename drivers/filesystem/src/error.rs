//! What the system's error numbers mean to a caller.

use std::path::PathBuf;

use entrepot_storage::{Error, ErrorKind, Key};
use rustix::io::Errno;

use crate::NAME;

/// A directory that cannot serve as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be made, opened or written.
    #[error("cannot use {path:?} as storage: {doing}: {source}", path = path.display())]
    Io {
        /// The configured root.
        path: PathBuf,
        /// What was being tried.
        doing: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Its filesystem lacks something the driver's safety rests on.
    #[error("the filesystem below {path:?} {lacks}; choose a local one such as ext4 or XFS", path = path.display())]
    Unfit {
        /// The configured root.
        path: PathBuf,
        /// What is missing, as the end of a sentence.
        lacks: &'static str,
    },
}

/// The meaning of a failure where a missing file means a missing object.
///
/// Only for a root known to be there: see [`Client::read_failure`](crate::client::Client).
pub(crate) fn of_read(errno: Errno, key: Option<&Key>) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR => at(Error::new(NAME, ErrorKind::NotFound), key),
        other => of_write(other, key),
    }
}

/// The meaning of a failure where nothing may be missing.
pub(crate) fn of_write(errno: Errno, key: Option<&Key>) -> Error {
    at(Error::new(NAME, kind(errno)).because(std::io::Error::from(errno)), key)
}

/// A failure that no error number tells.
pub(crate) fn broken(reason: &'static str, key: Option<&Key>) -> Error {
    at(Error::new(NAME, ErrorKind::Backend { retryable: false }).because(reason), key)
}

fn at(error: Error, key: Option<&Key>) -> Error {
    match key {
        Some(key) => error.at(key),
        None => error,
    }
}

fn kind(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOSPC | Errno::DQUOT => ErrorKind::Full,
        Errno::MFILE | Errno::NFILE => ErrorKind::Throttled { retry_after: None },
        // Somebody must do something first; asking again does not help.
        Errno::ACCESS
        | Errno::PERM
        | Errno::ROFS
        | Errno::LOOP
        | Errno::XDEV
        | Errno::NAMETOOLONG
        | Errno::FBIG => ErrorKind::Backend { retryable: false },
        _ => ErrorKind::Backend { retryable: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_file_that_was_read_means_not_found() {
        assert_eq!(of_read(Errno::NOENT, None).kind(), ErrorKind::NotFound);
        assert_eq!(of_write(Errno::NOENT, None).kind(), ErrorKind::Backend { retryable: true });
        for errno in [Errno::IO, Errno::ACCESS, Errno::STALE, Errno::ROFS, Errno::LOOP] {
            assert!(matches!(of_read(errno, None).kind(), ErrorKind::Backend { .. }), "{errno}");
        }
    }

    #[test]
    fn a_full_disk_and_too_many_files_have_their_own_kinds() {
        assert_eq!(of_write(Errno::NOSPC, None).kind(), ErrorKind::Full);
        assert_eq!(of_write(Errno::DQUOT, None).kind(), ErrorKind::Full);
        assert_eq!(of_read(Errno::MFILE, None).kind(), ErrorKind::Throttled { retry_after: None });
    }
}
