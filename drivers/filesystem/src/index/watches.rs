//! The kernel's word on what changes in directories: inotify.

use std::mem::MaybeUninit;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::fstatfs;
use rustix::fs::inotify::{self, CreateFlags, Event, ReadFlags, Reader, WatchFlags};
use rustix::io::{Errno, Result, ioctl_fionread};

/// All that changes what a directory holds, and what its files tell: a restored backup may write into
/// files that have their names already.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR);
/// Some hundred events.
const BUFFER_BYTES: usize = 16 * 1024;

/// Filesystems whose only writer is this kernel, through its own file operations: ext2 to ext4, XFS,
/// Btrfs, tmpfs, F2FS, bcachefs. On all others (NFS, FUSE, overlays, whatever comes) changes may be made
/// elsewhere, and the kernel has no word of them.
const LOCAL: [u64; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010, 0xca45_1a4e];

/// Watches on directories. Closing it ends them.
#[derive(Debug)]
pub(crate) struct Watches {
    inotify: OwnedFd,
}

/// What has happened to an entry. Its name is written as in [`Entry`](crate::entries::Entry).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something has the name that had not, or the file tells something else now.
    There(Box<str>),
    Gone(Box<str>),
}

/// What one event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// An entry of the directory under this watch has changed.
    Changed(i32, Change),
    /// The directory has changed in a way that no single entry tells, or the watch has ended.
    Unclear(i32),
    /// Events were lost.
    Overflow,
}

/// Whether nobody can change `directory` behind this kernel's back.
pub(crate) fn is_local(directory: impl AsFd) -> bool {
    fstatfs(directory).is_ok_and(|filesystem| {
        // The type is 32 bits wide, in a word whose width and sign differ between architectures.
        LOCAL.contains(&(filesystem.f_type as u64 & 0xffff_ffff))
    })
}

impl Watches {
    pub(crate) fn open() -> Result<Self> {
        Ok(Self { inotify: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)? })
    }

    /// Watches a directory from now on. The kernel takes no descriptor, but a path that leads to one.
    pub(crate) fn add(&self, directory: impl AsFd) -> Result<i32> {
        let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        inotify::add_watch(&self.inotify, path, CHANGES)
    }

    /// Ends a watch, which the kernel may have ended already.
    pub(crate) fn remove(&self, watch: i32) {
        match inotify::remove_watch(&self.inotify, watch) {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => tracing::debug!(%errno, "a watch on a directory stays"),
        }
    }

    /// Whether anything has happened that was not taken yet. Does not wait.
    pub(crate) fn has_news(&self) -> bool {
        ioctl_fionread(&self.inotify).map_or(true, |bytes| bytes > 0)
    }

    /// Takes all that has happened until now, in order. There is an end to it: applying an event takes
    /// less than causing one.
    pub(crate) fn take(&self) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => notices.extend(notice(&event)),
                Err(Errno::AGAIN) => return Ok(notices),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

fn notice(event: &Event<'_>) -> Option<Notice> {
    let (told, watch) = (event.events(), event.wd());
    if told.contains(ReadFlags::QUEUE_OVERFLOW) {
        return Some(Notice::Overflow);
    }
    // An entry that was moved away may have been exchanged for another.
    if told.intersects(ReadFlags::MOVED_FROM | ReadFlags::IGNORED | ReadFlags::UNMOUNT) {
        return Some(Notice::Unclear(watch));
    }
    // What no key can be called is passed over by readers as well. No name means the directory itself.
    let name = event.file_name()?.to_str().ok()?;
    let is_directory = told.contains(ReadFlags::ISDIR);
    let name = if is_directory { format!("{name}/").into() } else { Box::from(name) };
    if told.contains(ReadFlags::DELETE) {
        return Some(Notice::Changed(watch, Change::Gone(name)));
    }
    let is_new = told.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
    (is_new || !is_directory).then_some(Notice::Changed(watch, Change::There(name)))
}
