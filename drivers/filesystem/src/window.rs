//! Windows on a file: what the page cache holds of it, mapped, so that it goes to a socket with one copy
//! instead of two.
//!
//! A send from mapped memory took 0.30 CPU seconds per GiB where a read and a send took 0.42, with one
//! connection or four; `sendfile` took 0.60, because the socket then holds single pages. Only small windows are
//! mapped, one per connection at a time: what is mapped counts as the process's resident memory.
//!
//! Nothing reads the memory but the kernel. A page that cannot be had (the disk fails, somebody cut the
//! file off) would end a program that touches it by `SIGBUS`; a system call answers `EFAULT`.

#![expect(unsafe_code, reason = "mapping memory, and naming it to the kernel without a reference to it")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use entrepot_storage::{Result, Window};
use futures_util::future::BoxFuture;
use rustix::fs::{Stat, fstat};
use rustix::param::page_size;
use rustix::process::geteuid;

use crate::file::size;
use crate::read::Reader;

/// Bytes of a window, at most. Below a few hundred KiB, mapping costs as much as it saves.
pub(crate) const WINDOW_BYTES: usize = 1024 * 1024;

/// The smallest page there is, so that there is a place for every page's answer.
const SMALLEST_PAGE: usize = 4096;

/// Whether the kernel tells the truth about what it holds of the file. To who neither owns a file nor may
/// write it, `mincore(2)` says "all of it".
pub(crate) fn may_map(stat: &Stat) -> bool {
    stat.st_uid == geteuid().as_raw()
}

/// A mapped piece of a file.
pub(crate) struct FileWindow {
    /// Whose bytes they are: from the beginning of the window to its end.
    source: Reader,
    /// Where the mapping begins, on the boundary of a page.
    base: NonNull<libc::c_void>,
    /// How much is mapped before the first byte that is meant.
    skipped: usize,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to the thread that made it, and the window alone unmaps it.
unsafe impl Send for FileWindow {}

impl FileWindow {
    /// What `source` is to read, if the page cache holds all of it now.
    pub(crate) fn on(source: Reader) -> Option<Self> {
        let (file, offset) = (&source.file, source.rest.start);
        let length = usize::try_from(source.rest.end - offset).ok()?;
        // Of a page the file no longer fills, the rest would be zeros.
        let is_whole = fstat(file).is_ok_and(|stat| size(&stat) >= source.rest.end);
        if length == 0 || length > WINDOW_BYTES || !is_whole {
            return None;
        }
        let skipped = (offset % page_size() as u64) as usize;
        let begin = libc::off_t::try_from(offset - skipped as u64).ok()?;
        // SAFETY: a new mapping at an address the kernel chooses overlaps nothing that is in use.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                skipped + length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                begin,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let window = Self { source, base: NonNull::new(base)?, skipped, length };
        window.is_at_hand(0).then_some(window)
    }

    fn mapped(&self) -> usize {
        self.skipped + self.length
    }
}

impl Drop for FileWindow {
    fn drop(&mut self) {
        // SAFETY: the window was mapped with this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.base.as_ptr(), self.mapped()) };
    }
}

impl Window for FileWindow {
    fn len(&self) -> usize {
        self.length
    }

    fn send(&self, socket: BorrowedFd<'_>, from: usize) -> io::Result<usize> {
        let Some(left) = self.length.checked_sub(from) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // SAFETY: the bytes from there on, and so many, lie within the mapping; the kernel alone reads them.
        let sent = unsafe {
            let first = self.base.as_ptr().cast::<u8>().add(self.skipped + from);
            libc::send(socket.as_raw_fd(), first.cast(), left, libc::MSG_NOSIGNAL)
        };
        usize::try_from(sent).map_err(|_| match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EFAULT) => {
                io::Error::new(io::ErrorKind::InvalidData, "the disk fails, or the file was cut off")
            }
            error => error,
        })
    }

    fn is_at_hand(&self, from: usize) -> bool {
        let skipped = (self.skipped + from) / page_size() * page_size();
        let Some(asked) = self.mapped().checked_sub(skipped) else { return false };
        let mut pages = [0u8; WINDOW_BYTES / SMALLEST_PAGE + 1];
        // SAFETY: what is asked about lies within the mapping, and there is a byte for each page of it.
        let outcome = unsafe {
            let first = self.base.as_ptr().cast::<u8>().add(skipped);
            libc::mincore(first.cast(), asked, pages.as_mut_ptr())
        };
        outcome == 0 && pages.iter().take(asked.div_ceil(page_size())).all(|page| page & 1 == 1)
    }

    fn fetch(&self, from: usize) -> BoxFuture<'static, Result<()>> {
        let mut reader = self.source.clone();
        reader.rest.start += from as u64;
        // Read and thrown away: they are in the page cache then.
        Box::pin(async move {
            while reader.next().await?.is_some() {}
            Ok(())
        })
    }
}
