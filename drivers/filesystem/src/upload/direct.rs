//! Writing parts past the page cache.
//!
//! A pushed layer is written once and is larger than most of what is read: through the page cache it
//! costs a copy, a page of memory for each page of it, and the eviction of what is read often; and
//! nothing reaches the disk before the final sync has to wait for all of it. Written directly, a part is
//! on its way while the next one arrives. The price is that the first reader goes to the disk.
//!
//! Only whole blocks in aligned memory can go that way. What does not begin or end at a block's boundary
//! and whatever a filesystem refuses goes through the page cache, which the kernel keeps coherent.

use bytes::Bytes;
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, Result, pwrite};

use crate::write::write_all;

/// Addresses, offsets and lengths are multiples of this: the largest block a disk has in practice.
const BLOCK: usize = 4096;
/// Less than this is not worth a wait for the disk.
const MIN_BYTES: usize = 256 * 1024;

/// Writes the pieces of a part one after the other from `offset` on, directly where that can be done.
pub(crate) fn write_part(file: &OwnedFd, pieces: &[Bytes], offset: u64) -> Result<()> {
    let [piece] = pieces else { return write_all(file, pieces, offset) };
    let blocks = whole_blocks(piece, offset);
    if blocks.len() < MIN_BYTES {
        return write_all(file, pieces, offset);
    }
    let written = write_directly(file, blocks, offset)?;
    write_all(file, &[piece.slice(written..)], offset + written as u64)
}

/// The leading part of `bytes` that may be written directly.
fn whole_blocks(bytes: &[u8], offset: u64) -> &[u8] {
    let is_aligned = offset.is_multiple_of(BLOCK as u64) && bytes.as_ptr().addr().is_multiple_of(BLOCK);
    if is_aligned { &bytes[..bytes.len() - bytes.len() % BLOCK] } else { &[] }
}

/// Writes as much as can be written directly; answers how much that was.
fn write_directly(file: &OwnedFd, blocks: &[u8], offset: u64) -> Result<usize> {
    // Of a file that is neither appended to nor non-blocking these are all the flags that can be set.
    match fcntl_setfl(file, OFlags::DIRECT) {
        Ok(()) => {}
        Err(Errno::INVAL) => return Ok(0),
        Err(errno) => return Err(errno),
    }
    let outcome = write_blocks(file, blocks, offset);
    fcntl_setfl(file, OFlags::empty())?;
    outcome
}

fn write_blocks(file: &OwnedFd, blocks: &[u8], offset: u64) -> Result<usize> {
    let mut written = 0;
    while written < blocks.len() && written.is_multiple_of(BLOCK) {
        match pwrite(file, &blocks[written..], offset + written as u64) {
            Ok(0) => return Err(Errno::IO),
            Ok(more) => written += more,
            Err(Errno::INTR) => {}
            // It wants larger blocks than ours, or takes none after all.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    /// `length` bytes that tell their place, `shift` bytes behind a page's start.
    fn piece(length: usize, shift: usize) -> Bytes {
        let room = vec![0; length + 2 * BLOCK];
        let start = room.as_ptr().align_offset(BLOCK) + shift;
        let mut room = Bytes::from(room).try_into_mut().unwrap();
        for (place, byte) in room[start..start + length].iter_mut().enumerate() {
            *byte = (place % 251) as u8;
        }
        room.freeze().slice(start..start + length)
    }

    fn written(shift: usize, length: usize, offset: u64) -> bool {
        let file = tempfile::tempfile().unwrap();
        let descriptor = OwnedFd::from(file.try_clone().unwrap());
        let piece = piece(length, shift);

        write_part(&descriptor, std::slice::from_ref(&piece), offset).unwrap();

        let mut found = vec![0; length];
        file.read_exact_at(&mut found, offset).unwrap();
        file.metadata().unwrap().len() == offset + length as u64 && found == piece
    }

    #[test]
    fn a_part_is_written_whole_wherever_it_begins_and_ends() {
        for length in [MIN_BYTES - 1, MIN_BYTES, MIN_BYTES + 1, MIN_BYTES + BLOCK, 3 * MIN_BYTES + 5] {
            assert!(written(0, length, 0), "{length}");
            assert!(written(0, length, 3 * BLOCK as u64), "{length}");
            assert!(written(0, length, 1000), "{length}, in the middle of a block");
            assert!(written(8, length, 0), "{length}, from odd memory");
        }
    }

    #[test]
    fn only_whole_blocks_in_their_place_go_directly() {
        let aligned = piece(2 * BLOCK + 5, 0);

        assert_eq!(whole_blocks(&aligned, BLOCK as u64).len(), 2 * BLOCK);
        assert_eq!(whole_blocks(&aligned, 512).len(), 0);
        assert_eq!(whole_blocks(&aligned[1..], 0).len(), 0);
        assert_eq!(whole_blocks(&aligned[..BLOCK - 1], 0).len(), 0);
    }
}
