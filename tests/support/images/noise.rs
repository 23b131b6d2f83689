//! Bytes that follow from a seed, cheap enough to make a gibibyte of in an unoptimised build.

use std::io::{self, Read};

const BLOCK_BYTES: usize = 1 << 20;

/// Bytes to read. Blocks are alike but for a number in front, so that order and repetition still count.
#[derive(Clone, Debug)]
pub struct Noise {
    block: Vec<u8>,
    number: u64,
    position: usize,
    left: u64,
}

impl Noise {
    /// So many bytes, the same for the same seed and length.
    pub fn new(seed: u64, bytes: u64) -> Self {
        // Xorshift never leaves 0, so it must not begin there.
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let words = (BLOCK_BYTES as u64).min(bytes.next_multiple_of(8)).max(8) / 8;
        let block = (0..words).flat_map(|_| next(&mut state).to_le_bytes()).collect();
        Self { block, number: 0, position: 0, left: bytes }
    }

    /// The rest from `offset` on, counted from the first byte.
    #[must_use]
    pub fn from(mut self, offset: u64) -> Self {
        let length = self.block.len() as u64;
        self.left = self.left.saturating_sub(offset);
        // The first block keeps what it begins with.
        if let number @ 1.. = offset / length {
            self.number = number - 1;
            self.turn();
        }
        self.position = usize::try_from(offset % length).expect("a block fits into memory");
        self
    }

    /// Only the next `bytes`.
    #[must_use]
    pub fn limited(mut self, bytes: u64) -> Self {
        self.left = self.left.min(bytes);
        self
    }

    fn turn(&mut self) {
        self.number += 1;
        self.position = 0;
        self.block[..8].copy_from_slice(&self.number.to_le_bytes());
    }
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 && self.position == self.block.len() {
            self.turn();
        }
        let rest = &self.block[self.position..];
        let count = rest.len().min(buffer.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_what_the_whole_ends_with() {
        let bytes = 3 * BLOCK_BYTES as u64 + 100;
        let all = |mut noise: Noise| {
            let mut bytes = Vec::new();
            noise.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let whole = all(Noise::new(1, bytes));

        for offset in [0, 5, BLOCK_BYTES as u64, 2 * BLOCK_BYTES as u64 + 3, bytes] {
            let start = usize::try_from(offset).unwrap();
            assert!(all(Noise::new(1, bytes).from(offset)) == whole[start..], "from {offset}");
        }
    }
}
