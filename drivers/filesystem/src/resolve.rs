//! Opening paths beneath the root, and nowhere else.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::{Errno, Result};

/// How often a lookup that raced with a rename is tried again.
const ATTEMPTS: usize = 16;

/// For directories that are only passed through.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// For objects. `NONBLOCK` does nothing to a file, and keeps a pipe that somebody laid here from holding
/// us up for ever.
pub(crate) const OBJECT: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// For looking at what is there.
pub(crate) const GLANCE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

const CONFINED: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Opens paths with `openat2`, or one component at a time on kernels before 5.6.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    lacks_openat2: AtomicBool,
    lacks_cached: AtomicBool,
}

impl Resolver {
    /// Opens `path` beneath `root` through no symbolic link. May wait for the disk.
    pub(crate) fn open(&self, root: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd> {
        if self.lacks_openat2.load(Ordering::Relaxed) {
            return step_by_step(root.as_fd(), path, flags);
        }
        for _ in 0..ATTEMPTS {
            match openat2(root.as_fd(), path, flags, Mode::empty(), CONFINED) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS) => {
                    self.lacks_openat2.store(true, Ordering::Relaxed);
                    return step_by_step(root.as_fd(), path, flags);
                }
                outcome => return outcome,
            }
        }
        Err(Errno::AGAIN)
    }

    /// As [`open`](Self::open) where the kernel knows the way without waiting; `AGAIN` elsewhere.
    pub(crate) fn open_cached(&self, root: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd> {
        if self.lacks_openat2.load(Ordering::Relaxed) || self.lacks_cached.load(Ordering::Relaxed) {
            return Err(Errno::AGAIN);
        }
        let cached = CONFINED | ResolveFlags::CACHED;
        match openat2(root.as_fd(), path, flags, Mode::empty(), cached) {
            // Kernels before 5.12 do not know the flag; those before 5.6 not the call.
            Err(Errno::INVAL | Errno::NOSYS) => {
                self.lacks_cached.store(true, Ordering::Relaxed);
                Err(Errno::AGAIN)
            }
            Err(Errno::INTR) => Err(Errno::AGAIN),
            outcome => outcome,
        }
    }
}

fn step_by_step(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd> {
    let (parents, name) = path.rsplit_once('/').map_or(("", path), |(parents, name)| (parents, name));
    let mut directory: Option<OwnedFd> = None;
    for segment in parents.split('/').filter(|segment| !segment.is_empty()) {
        let here = directory.as_ref().map_or(root, AsFd::as_fd);
        let next = one_step(here, segment, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
        directory = Some(next);
    }
    one_step(directory.as_ref().map_or(root, AsFd::as_fd), name, flags)
}

fn one_step(directory: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd> {
    if [".", "..", ""].contains(&name) {
        return Err(Errno::XDEV);
    }
    // `PATH` opens a link itself and `DIRECTORY` calls it "not a directory": both must say what it is.
    let is_link = || {
        statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    };
    match openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOTDIR) if is_link() => Err(Errno::LOOP),
        Ok(_) if flags.contains(OFlags::PATH) && is_link() => Err(Errno::LOOP),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, OwnedFd) {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("root");
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/file"), "x").unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), path.join("up")).unwrap();
        std::os::unix::fs::symlink("../../secret", path.join("a/out")).unwrap();
        std::os::unix::fs::symlink("b", path.join("a/inside")).unwrap();
        let root = rustix::fs::open(&path, DIRECTORY, Mode::empty()).unwrap();
        (outside, root)
    }

    fn resolvers() -> [Resolver; 2] {
        [Resolver::default(), Resolver { lacks_openat2: true.into(), lacks_cached: true.into() }]
    }

    #[test]
    fn both_ways_open_what_lies_beneath() {
        let (_outside, root) = directory();

        for resolver in resolvers() {
            assert!(resolver.open(&root, "a/b/file", OBJECT).is_ok());
            assert!(resolver.open(&root, "a/b", DIRECTORY).is_ok());
            assert_eq!(resolver.open(&root, "a/none", OBJECT).unwrap_err(), Errno::NOENT);
            assert_eq!(resolver.open(&root, "none/b", OBJECT).unwrap_err(), Errno::NOENT);
            assert_eq!(resolver.open(&root, "a/b/file/c", OBJECT).unwrap_err(), Errno::NOTDIR);
        }
    }

    #[test]
    fn both_ways_refuse_links_and_ways_out() {
        let (_outside, root) = directory();

        for resolver in resolvers() {
            for flags in [OBJECT, GLANCE] {
                for path in ["up/secret", "a/out", "a/inside/file", "up"] {
                    let refused = resolver.open(&root, path, flags).unwrap_err();
                    assert_eq!(refused, Errno::LOOP, "{path}");
                }
                assert_eq!(resolver.open(&root, "../secret", flags).unwrap_err(), Errno::XDEV);
                assert_eq!(resolver.open(&root, "a/../../secret", flags).unwrap_err(), Errno::XDEV);
            }
        }
    }

    #[test]
    fn a_known_path_is_opened_without_waiting() {
        let (_outside, root) = directory();
        let resolver = Resolver::default();
        resolver.open(&root, "a/b/file", OBJECT).unwrap();

        match resolver.open_cached(&root, "a/b/file", OBJECT) {
            Ok(_) => {}
            Err(errno) => assert_eq!(errno, Errno::AGAIN, "it may always ask for the slow way"),
        }
    }
}
