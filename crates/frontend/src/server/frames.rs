//! Empty DATA frames of HTTP/2. They cost nine bytes, no flow control, and room in the queue of a stream
//! that is not read at the moment; h2 0.3, which actix uses, takes any number of them (RUSTSEC-2026-0258,
//! fixed in 0.4.16). So they are counted here, before h2 sees them, until actix moves on.

/// How many a connection may send while requests are in flight. Clients use one to end a body, if any.
const MAX_EMPTY: u32 = 1000;

const FRAME_HEADER_BYTES: usize = 9;
const PREFACE_BYTES: u32 = 24;
const DATA: u8 = 0x0;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;

/// Follows the frames of one connection, however they are cut into reads.
#[derive(Debug)]
pub(super) struct Frames {
    header: [u8; FRAME_HEADER_BYTES],
    filled: usize,
    /// Payload still to come.
    skip: u32,
    empty: u32,
    /// How many requests had ended when the count began.
    ended: u64,
}

/// Too many empty frames.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client floods the connection with empty frames")]
pub(super) struct Flood;

impl Frames {
    /// The frames of a connection from its first byte on, which the preface precedes.
    pub(super) fn new() -> Self {
        Self { header: [0; FRAME_HEADER_BYTES], filled: 0, skip: PREFACE_BYTES, empty: 0, ended: 0 }
    }

    /// Nothing is in flight after `ended` requests, so nothing is queued either. Told the same number
    /// again it changes nothing: frames may have come for a request that has not begun yet.
    pub(super) fn idle(&mut self, ended: u64) {
        if self.ended != ended {
            (self.ended, self.empty) = (ended, 0);
        }
    }

    /// Takes note of bytes that arrived.
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                self.skip -= u32::try_from(skipped).unwrap_or(self.skip);
                bytes = &bytes[skipped..];
                continue;
            }
            let wanted = (FRAME_HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + wanted].copy_from_slice(&bytes[..wanted]);
            self.filled += wanted;
            bytes = &bytes[wanted..];
            if self.filled == FRAME_HEADER_BYTES {
                self.filled = 0;
                self.frame()?;
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.skip = length;
        // A padded frame of up to 256 bytes may be nothing but padding.
        let may_be_empty = length == 0 || (flags & PADDED != 0 && length <= 256);
        if kind == DATA && flags & END_STREAM == 0 && may_be_empty {
            self.empty += 1;
        }
        if self.empty > MAX_EMPTY { Err(Flood) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    fn watch(frames: impl IntoIterator<Item = Vec<u8>>, read: usize) -> Result<(), Flood> {
        let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        all.extend(frames.into_iter().flatten());
        let mut watch = Frames::new();
        all.chunks(read).try_for_each(|bytes| watch.see(bytes))
    }

    #[test]
    fn a_flood_of_empty_frames_is_noticed_however_it_is_cut() {
        for read in [1, 7, 9, 8192] {
            assert_eq!(watch(vec![frame(DATA, 0, b""); 1001], read), Err(Flood), "{read}");
            assert_eq!(watch(vec![frame(DATA, PADDED, &[3, 0, 0, 0]); 1001], read), Err(Flood), "{read}");
        }
    }

    #[test]
    fn other_frames_are_none() {
        for read in [1, 7, 9, 8192] {
            assert_eq!(watch(vec![frame(DATA, 0, b"x"); 5000], read), Ok(()), "{read}");
            assert_eq!(watch(vec![frame(DATA, END_STREAM, b""); 5000], read), Ok(()), "{read}");
            assert_eq!(watch(vec![frame(0x4, 0, b""); 5000], read), Ok(()), "{read}");
            assert_eq!(watch(vec![frame(DATA, 0, b""); 1000], read), Ok(()), "{read}");
        }
    }

    #[test]
    fn the_count_begins_anew_with_each_request_that_ends_alone() {
        let mut watch = Frames::new();
        watch.see(&[0; 24]).unwrap();
        for ended in 1..10 {
            watch.idle(ended);
            for _ in 0..1000 {
                watch.see(&frame(DATA, 0, b"")).unwrap();
            }
        }
        watch.idle(9);
        assert_eq!(watch.see(&frame(DATA, 0, b"")), Err(Flood));
    }
}
