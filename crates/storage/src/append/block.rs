//! The memory in which the bytes of one part are gathered.
//!
//! Bytes come in pieces that each pin a buffer of the connection they were read from. Copied together
//! they need no more memory than they are long, the connection reads on into the buffer it has, and a
//! driver gets one piece that begins at a page's start: it can be handed to a disk as it is. Memory fresh
//! from the system costs more than the copying, a fault for each page of it, so blocks are used again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Where a block's bytes begin is a multiple of this.
const ALIGNMENT: usize = 4096;
/// So many bytes of blocks nobody uses are kept.
const MAX_IDLE_BYTES: u64 = 8 * 1024 * 1024;
/// One block is kept even if it is larger, up to this: a part of an object store and its alignment. The
/// allocator would keep it too, but for one of its threads, and the next part would be one more.
const MAX_SINGLE_BYTES: u64 = 16 * 1024 * 1024 + ALIGNMENT as u64;

/// Blocks that nobody uses at the moment, the longest unused first.
#[derive(Debug)]
pub(super) struct Idle {
    blocks: Mutex<VecDeque<Vec<u8>>>,
    max_bytes: usize,
    max_single: usize,
}

/// Room for the bytes of a part.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Where the content begins.
    start: usize,
    home: Option<Arc<Idle>>,
}

impl Idle {
    /// Keeps a little of what a budget of `bytes` allows.
    pub(super) fn up_to(bytes: u64) -> Self {
        let at_most = |limit: u64| usize::try_from(bytes.min(limit)).unwrap_or(usize::MAX);
        Self {
            blocks: Mutex::default(),
            max_bytes: at_most(MAX_IDLE_BYTES),
            max_single: at_most(MAX_SINGLE_BYTES),
        }
    }

    /// An empty block for `capacity` bytes.
    pub(super) fn block(self: &Arc<Self>, capacity: usize) -> Block {
        let capacity = capacity.saturating_add(ALIGNMENT);
        let mut bytes = self.take(capacity).unwrap_or_else(|| Vec::with_capacity(capacity));
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        bytes.resize(start, 0);
        Block { bytes, start, home: Some(Arc::clone(self)) }
    }

    fn take(&self, capacity: usize) -> Option<Vec<u8>> {
        let mut blocks = self.blocks();
        // The last one used is the likeliest to be in the processor's cache.
        let found = blocks.iter().rposition(|block| block.capacity() == capacity)?;
        blocks.remove(found)
    }

    fn give_back(&self, mut block: Vec<u8>) {
        block.clear();
        let mut blocks = self.blocks();
        blocks.push_back(block);
        while blocks.iter().map(Vec::capacity).sum::<usize>() > self.limit(blocks.len()) {
            blocks.pop_front();
        }
    }

    /// What so many blocks may hold together.
    fn limit(&self, blocks: usize) -> usize {
        if blocks == 1 { self.max_single } else { self.max_bytes }
    }

    fn blocks(&self) -> std::sync::MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Block {
    /// An empty block of its own for little.
    pub(super) const fn small() -> Self {
        Self { bytes: Vec::new(), start: 0, home: None }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes, which give their memory back when nobody holds them any more.
    pub(super) fn freeze(mut self) -> Bytes {
        match self.home {
            Some(_) => Bytes::from_owner(self),
            None => std::mem::take(&mut self.bytes).into(),
        }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(bytes: &[u8]) -> usize {
        bytes.as_ptr().addr()
    }

    #[test]
    fn a_block_begins_at_a_pages_start_and_stays_there() {
        let idle = Arc::new(Idle::up_to(u64::MAX));
        let mut block = idle.block(100_000);
        let begins = address(block.as_ref());

        block.extend(&[1; 40_000]);
        block.extend(&[2; 60_000]);

        assert_eq!(begins % ALIGNMENT, 0);
        assert_eq!((block.len(), address(block.as_ref())), (100_000, begins));
        let frozen = block.freeze();
        assert_eq!((frozen[39_999], frozen[40_000], address(&frozen)), (1, 2, begins));
    }

    #[test]
    fn a_block_is_used_again_once_its_last_byte_is_let_go() {
        let idle = Arc::new(Idle::up_to(u64::MAX));
        let mut block = idle.block(100_000);
        block.extend(&[7; 10]);
        let bytes = block.freeze();
        let (first, part) = (address(&bytes), bytes.slice(3..5));
        drop(bytes);

        let second = idle.block(100_000);
        drop(part);
        let third = idle.block(100_000);

        assert_ne!(address(second.as_ref()), first, "somebody still held it");
        assert_eq!((address(third.as_ref()), third.len()), (first, 0));
    }

    #[test]
    fn only_so_many_unused_blocks_are_kept_and_the_newest_of_them() {
        let idle = Arc::new(Idle::up_to(1_000_000));
        let older: Vec<_> = (0..5).map(|_| idle.block(300_000)).collect();
        drop(older);
        let newer = idle.block(500_000);
        drop(newer);

        let kept: Vec<_> = idle.blocks().iter().map(Vec::capacity).collect();

        assert_eq!(kept, [304_096, 504_096]);
    }

    #[test]
    fn one_part_of_an_object_store_is_kept_and_no_second() {
        let idle = Arc::new(Idle::up_to(u64::MAX));
        let parts: Vec<_> = (0..3).map(|_| idle.block(16 << 20)).collect();
        drop(parts);

        let kept: Vec<_> = idle.blocks().iter().map(Vec::capacity).collect();
        assert_eq!(kept, [(16 << 20) + ALIGNMENT]);

        drop(idle.block(17 << 20));
        assert!(idle.blocks().is_empty(), "larger than any that is kept");
    }
}
