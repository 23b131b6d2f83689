//! Small objects that are read again and again: their bytes, and the open file they came from.
//!
//! The file is what makes it safe. Objects are never written in place: whoever replaces or deletes one, in
//! whatever process, takes the old file's only name away, and that shows in the file itself. One `fstat`
//! of the descriptor in hand, which neither walks a path nor waits for the disk, tells whether the object
//! is still the one that was read: same times, same size, one name. Time stamps alone could not, names
//! alone could not; the descriptor keeps the inode from being used again.
//!
//! What cannot be seen this way is a *directory* somebody moved away by hand; for that an entry lives for
//! seconds only. And some filesystems keep a file's name as long as it is open (NFS, many FUSE ones): the
//! probe at start finds them out, and there nothing is kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entrepot_storage::{Key, ObjectMeta};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, openat, unlinkat};
use rustix::process::{Resource, getrlimit};

/// The longest object that is kept: records and configurations, not layers. A deleted object's space is
/// freed when its entry goes.
const LARGEST_BYTES: usize = 64 * 1024;
/// What the smallest entry counts, so that the bound on bytes is one on descriptors as well.
const LEAST_WEIGHT: usize = 16 * 1024;
/// Descriptors, at most; fewer where the process may open few.
const MOST_FILES: u64 = 1024;
/// How long an entry is believed.
const LIFETIME: Duration = Duration::from_secs(10);

/// The objects at hand. Bounded to 1,024 of them and 16 MiB.
#[derive(Debug)]
pub(crate) struct Hot(Option<moka::sync::Cache<Key, Arc<File>>>);

#[derive(Debug)]
struct File {
    file: OwnedFd,
    seen: Signature,
    object: (ObjectMeta, Bytes),
}

/// What changes when a file is written, replaced, deleted or renamed.
#[derive(Debug, PartialEq, Eq)]
struct Signature {
    changed: (i64, u64),
    modified: (i64, u64),
    size: i64,
    has_one_name: bool,
}

impl Signature {
    fn of(stat: &Stat) -> Self {
        Self {
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            size: stat.st_size,
            has_one_name: stat.st_nlink == 1,
        }
    }
}

impl Hot {
    /// Nothing at hand yet, and never anything where `probe` shows that a file in `directory` does not
    /// tell when its name is gone.
    pub(crate) fn new(directory: &OwnedFd, probe: &str) -> Self {
        if !tells_of_its_end(directory, probe).unwrap_or(false) {
            tracing::debug!("the filesystem hides that an open file was deleted: none is kept open");
            return Self(None);
        }
        let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4;
        let capacity = MOST_FILES.min(allowed) * LEAST_WEIGHT as u64;
        let files = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .weigher(|_: &Key, held: &Arc<File>| {
                u32::try_from(held.object.1.len().max(LEAST_WEIGHT)).unwrap_or(u32::MAX)
            })
            .time_to_live(LIFETIME)
            .build();
        Self(Some(files))
    }

    /// The object at `key`, if it is at hand and still the one that lies there.
    pub(crate) fn find(&self, key: &Key) -> Option<(ObjectMeta, Bytes)> {
        let files = self.0.as_ref()?;
        let held = files.get(key)?;
        if fstat(&held.file).is_ok_and(|now| Signature::of(&now) == held.seen) {
            return Some(held.object.clone());
        }
        files.invalidate(key);
        None
    }

    /// Keeps what was read from `file`, if it is small, whole, and has no second name.
    pub(crate) fn keep(&self, file: OwnedFd, stat: &Stat, meta: &ObjectMeta, bytes: &Bytes) {
        let Some(files) = &self.0 else { return };
        let seen = Signature::of(stat);
        let is_whole = bytes.len() as u64 == meta.size;
        // What was read after the look at the file may be newer than it: only a second look tells.
        let is_settled = || fstat(&file).is_ok_and(|now| Signature::of(&now) == seen);
        if bytes.len() <= LARGEST_BYTES && is_whole && seen.has_one_name && is_settled() {
            let object = (meta.clone(), bytes.clone());
            files.insert(meta.key.clone(), Arc::new(File { file, seen, object }));
        }
    }

    /// Lets go of an object that is replaced or deleted here, so that its space is freed at once.
    pub(crate) fn forget(&self, key: &Key) {
        if let Some(files) = &self.0 {
            files.invalidate(key);
        }
    }
}

/// Whether the deletion of a file shows in a descriptor of it.
fn tells_of_its_end(directory: &OwnedFd, name: &str) -> rustix::io::Result<bool> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::from_raw_mode(0o600))?;
    let before = Signature::of(&fstat(&file)?);
    unlinkat(directory, name, AtFlags::empty())?;
    let after = Signature::of(&fstat(&file)?);
    Ok(before.has_one_name && !after.has_one_name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> OwnedFd {
        fs::File::open(path).unwrap().into()
    }

    fn hot(directory: &Path) -> Hot {
        Hot::new(&open(directory), "probe")
    }

    /// Keeps the file at `name` as the object `a`.
    fn keep(hot: &Hot, path: &Path) -> Key {
        let key: Key = "a".parse().unwrap();
        let file = open(path);
        let stat = fstat(&file).unwrap();
        let bytes = Bytes::from(fs::read(path).unwrap());
        let meta = crate::file::meta(&key, &stat);
        hot.keep(file, &stat, &meta, &bytes);
        key
    }

    #[test]
    fn what_was_kept_is_at_hand_while_its_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "content").unwrap();
        let hot = hot(directory.path());

        let key = keep(&hot, &path);

        assert_eq!(hot.find(&key).unwrap().1, "content");
        assert!(hot.find(&"b".parse().unwrap()).is_none());
    }

    #[test]
    fn a_file_that_was_replaced_deleted_renamed_or_linked_is_not_believed() {
        let changes: [fn(&Path); 5] = [
            |path| {
                let other = path.with_extension("new");
                fs::write(&other, "CONTENT").unwrap();
                fs::rename(other, path).unwrap();
            },
            |path| fs::remove_file(path).unwrap(),
            |path| fs::rename(path, path.with_extension("away")).unwrap(),
            |path| fs::hard_link(path, path.with_extension("second")).unwrap(),
            |path| fs::write(path, "longer content").unwrap(),
        ];
        for (case, change) in changes.into_iter().enumerate() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("a");
            fs::write(&path, "content").unwrap();
            let hot = hot(directory.path());
            let key = keep(&hot, &path);
            // A rename shows in the time of change alone, whose clock ticks in milliseconds.
            std::thread::sleep(Duration::from_millis(20));

            change(&path);

            assert!(hot.find(&key).is_none(), "case {case}");
        }
    }

    #[test]
    fn large_files_and_files_of_two_names_are_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (large, linked) = (directory.path().join("large"), directory.path().join("linked"));
        fs::write(&large, vec![0; LARGEST_BYTES + 1]).unwrap();
        fs::write(&linked, "content").unwrap();
        fs::hard_link(&linked, directory.path().join("second")).unwrap();
        let hot = hot(directory.path());

        for path in [large, linked] {
            let key = keep(&hot, &path);
            assert!(hot.find(&key).is_none(), "{}", path.display());
        }
    }
}
