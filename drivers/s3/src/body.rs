//! Bodies that are sent: bytes in pieces, never copied into one, with a checksum computed beforehand.
//!
//! Signed as `UNSIGNED-PAYLOAD`, which every S3 takes: the bytes are covered by their checksum, whose header
//! is signed, and by the digest that clients verify. Hashing each part a second time would cost as much as
//! the registry's own hash of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_checksums::ChecksumAlgorithm;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::config::Checksum;

/// The pieces as a body that can be sent again: the pieces are shared, not copied.
pub(crate) fn stream(pieces: Vec<Bytes>) -> ByteStream {
    ByteStream::new(SdkBody::retryable(move || SdkBody::from_body_1_x(Pieces::new(&pieces))))
}

pub(crate) fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// The value of the checksum header, or `None` where none is sent.
pub(crate) fn checksum(kind: Checksum, pieces: &[Bytes]) -> Option<String> {
    match kind {
        Checksum::None => None,
        Checksum::Crc32c => {
            let mut sum = ChecksumAlgorithm::Crc32c.into_impl();
            pieces.iter().for_each(|piece| sum.update(piece));
            sum.header_value().to_str().ok().map(str::to_owned)
        }
    }
}

/// What a store tells of an object made of parts with these checksums: that of their bytes one after the other,
/// and their number. `None` where one has none.
pub(crate) fn checksum_of_parts<'p>(parts: impl Iterator<Item = Option<&'p str>>) -> Option<String> {
    let (mut sum, mut count) = (ChecksumAlgorithm::Crc32c.into_impl(), 0);
    for part in parts {
        sum.update(&aws_smithy_types::base64::decode(part?).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", sum.header_value().to_str().ok()?))
}

struct Pieces {
    rest: VecDeque<Bytes>,
    left: u64,
}

impl Pieces {
    fn new(pieces: &[Bytes]) -> Self {
        // An empty frame would end a body that is sent in chunks.
        let rest = pieces.iter().filter(|piece| !piece.is_empty()).cloned().collect();
        Self { rest, left: length(pieces) }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.rest.pop_front();
        self.left -= next.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_in_pieces_has_their_length_and_bytes_each_time_it_is_sent() {
        let pieces = vec![Bytes::from_static(b"one "), Bytes::new(), Bytes::from_static(b"two")];
        let body = stream(pieces).into_inner();

        for _ in 0..2 {
            let again = body.try_clone().expect("it can be sent again");
            assert_eq!(again.content_length(), Some(7));
            assert_eq!(ByteStream::new(again).collect().await.unwrap().into_bytes(), "one two");
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_whole_whatever_the_pieces() {
        let whole = checksum(Checksum::Crc32c, &[Bytes::from_static(b"123456789")]);
        let pieces = [Bytes::from_static(b"1234"), Bytes::new(), Bytes::from_static(b"56789")];

        // The check value of CRC-32C is 0xe3069283.
        assert_eq!(whole.as_deref(), Some("4waSgw=="));
        assert_eq!(checksum(Checksum::Crc32c, &pieces), whole);
        assert_eq!(checksum(Checksum::None, &pieces), None);
    }

    #[test]
    fn the_checksum_of_parts_is_that_of_their_checksums() {
        let part = |text: &'static [u8]| checksum(Checksum::Crc32c, &[Bytes::from_static(text)]);
        let (one, two) = (part(b"1234"), part(b"56789"));

        let ours = checksum_of_parts([one.as_deref(), two.as_deref()].into_iter());

        assert_ne!(ours, checksum_of_parts([two.as_deref(), one.as_deref()].into_iter()));
        assert!(ours.is_some_and(|sum| sum.ends_with("-2")));
        assert_eq!(checksum_of_parts([one.as_deref(), None].into_iter()), None);
    }
}
