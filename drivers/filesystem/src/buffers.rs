//! Buffers that streams read into, used again and again: fresh memory costs a page fault for every 4 KiB,
//! which is more than reading them does.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// What a stream reads at a time: little enough that a chunk is still in the processor's cache when the
/// socket copies it, enough that the calls for it do not count.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// Buffers kept while nobody needs them: 4 MiB.
const KEPT: usize = 16;

/// Buffers nobody uses. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A buffer of `length` bytes, at most [`BUFFER_BYTES`]. What is in it is of no meaning.
    pub(crate) fn take(&self, length: usize) -> Buffer {
        debug_assert!(length <= BUFFER_BYTES);
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let space = spare.unwrap_or_else(|| vec![0; BUFFER_BYTES]);
        Buffer { space, length, home: self.clone() }
    }

    fn give_back(&self, space: Vec<u8>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < KEPT {
            spare.push(space);
        }
    }
}

/// A buffer in use. Goes back when it is dropped, also by the last owner of the bytes it became.
#[derive(Debug)]
pub(crate) struct Buffer {
    space: Vec<u8>,
    length: usize,
    home: Buffers,
}

impl Buffer {
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.space[..self.length]
    }

    /// What was read into it, for others to share.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.space[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.give_back(mem::take(&mut self.space));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_the_last_of_its_bytes_is_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(3);
        buffer.as_mut().copy_from_slice(b"abc");
        let bytes = buffer.freeze();
        let part = bytes.slice(1..);
        let place = bytes.as_ptr();

        drop(bytes);
        assert_eq!(part, "bc");
        assert_ne!(buffers.take(3).as_mut().as_ptr(), place, "somebody still reads it");
        drop(part);

        assert_eq!(buffers.take(1).as_mut().as_ptr(), place);
    }

    #[test]
    fn only_so_many_are_kept() {
        let buffers = Buffers::default();

        drop((0..2 * KEPT).map(|_| buffers.take(1)).collect::<Vec<_>>());

        assert_eq!(buffers.0.lock().unwrap().len(), KEPT);
    }
}
