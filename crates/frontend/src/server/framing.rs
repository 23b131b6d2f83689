//! One request at a time on an HTTP/1.1 connection.
//!
//! Clients may send requests ahead. actix reads such a request while it still answers the one before,
//! and then frames that answer by the later request: after `GET`, `HEAD` the answer to GET loses its
//! body, and the connection its step. So the bytes of a request are held back here until the request
//! before is answered. Lengths come from actix, which has read the headers; only their end is looked
//! for here.

use bytes::{Buf, Bytes, BytesMut};

/// How the body of the request in hand ends, as its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// After so many bytes.
    Length(u64),
    /// As only its own content tells.
    Chunked,
}

/// Which bytes actix may see.
#[derive(Debug)]
pub(super) struct Framing {
    phase: Phase,
    held: BytesMut,
}

#[derive(Debug)]
enum Phase {
    /// Within the headers.
    Head(HeadEnd),
    /// The headers are with actix, which did not say yet what it makes of them.
    Handed { asked: bool },
    /// Within the body.
    Body(BodyFraming),
    /// actix took the headers for something else than a request. Whatever comes is its business.
    Lost,
}

/// What is known about the connection's request.
#[derive(Clone, Copy, Debug)]
pub(super) struct InHand {
    /// Set since the last headers were handed over.
    pub(super) begun: Option<BodyFraming>,
    /// Whether it is still being answered.
    pub(super) in_flight: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Hand over bytes, at most so many, and tell by [`Framing::handed`].
    Read(u64),
    /// Let actix look at what it has, and come back.
    Yield,
    /// Wait until the answer is finished.
    Wait,
}

/// Bytes held back at most; the client waits with the rest.
pub(super) const HELD_BYTES: usize = 64 * 1024;

impl Framing {
    pub(super) fn new(ahead: Bytes) -> Self {
        Self { phase: Phase::Head(HeadEnd::default()), held: BytesMut::from(&ahead[..]) }
    }

    pub(super) fn step(&mut self, in_hand: InHand) -> Step {
        loop {
            match &mut self.phase {
                Phase::Lost | Phase::Head(_) => return Step::Read(u64::MAX),
                Phase::Handed { asked } => match in_hand.begun {
                    Some(body) => self.phase = Phase::Body(body),
                    None if *asked => self.phase = Phase::Lost,
                    None => {
                        *asked = true;
                        return Step::Yield;
                    }
                },
                Phase::Body(BodyFraming::Length(left)) if *left > 0 => return Step::Read(*left),
                Phase::Body(BodyFraming::Chunked) if in_hand.in_flight => return Step::Read(u64::MAX),
                Phase::Body(_) if in_hand.in_flight => return Step::Wait,
                Phase::Body(_) => self.phase = Phase::Head(HeadEnd::default()),
            }
        }
    }

    /// Bytes that came earlier than they may be seen.
    pub(super) fn held(&mut self) -> &mut BytesMut {
        &mut self.held
    }

    /// Looks at bytes about to be handed over and says how many of them may be; the caller keeps the
    /// rest in [`Framing::held`], before what is there already.
    pub(super) fn handed(&mut self, bytes: &[u8]) -> usize {
        match &mut self.phase {
            Phase::Head(end) => match end.find(bytes) {
                Some(length) => {
                    self.phase = Phase::Handed { asked: false };
                    length
                }
                None => bytes.len(),
            },
            Phase::Body(BodyFraming::Length(left)) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= length as u64;
                length
            }
            Phase::Body(BodyFraming::Chunked) | Phase::Handed { .. } | Phase::Lost => bytes.len(),
        }
    }

    /// Whether the last bytes handed over ended the headers of a request.
    pub(super) fn awaits_request(&self) -> bool {
        matches!(self.phase, Phase::Handed { asked: false })
    }

    /// Puts bytes back that were read and may not be seen yet.
    pub(super) fn hold_first(&mut self, bytes: &[u8]) {
        let mut joined = BytesMut::with_capacity(bytes.len() + self.held.len());
        joined.extend_from_slice(bytes);
        joined.extend_from_slice(&self.held);
        self.held = joined;
    }

    /// Takes at most `length` of the bytes held back.
    pub(super) fn take_held(&mut self, length: usize) -> Bytes {
        let length = length.min(self.held.remaining());
        self.held.split_to(length).freeze()
    }
}

/// Finds the empty line after the headers, across reads. A line may end without a carriage return, and
/// empty lines before a request mean nothing (RFC 9112, section 2.2).
#[derive(Debug, Default)]
struct HeadEnd {
    begun: bool,
    at_line_start: bool,
}

impl HeadEnd {
    /// How many of `bytes` belong to the headers, if they end within.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (place, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.begun && self.at_line_start => return Some(place + 1),
                b'\n' => self.at_line_start = true,
                b'\r' => {}
                _ => (self.begun, self.at_line_start) = (true, false),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: InHand = InHand { begun: None, in_flight: false };

    fn begun(body: BodyFraming) -> InHand {
        InHand { begun: Some(body), in_flight: true }
    }

    fn framing() -> Framing {
        Framing::new(Bytes::new())
    }

    #[test]
    fn the_headers_end_at_the_empty_line_however_they_are_cut() {
        let text = b"\r\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\nREST";
        for cut in 0..text.len() - 4 {
            let mut end = HeadEnd::default();
            let found = end.find(&text[..cut]).or_else(|| end.find(&text[cut..]).map(|length| cut + length));
            assert_eq!(found, Some(text.len() - 4), "cut at {cut}");
        }
        assert_eq!(HeadEnd::default().find(b"GET / HTTP/1.0\nA: b\n\nX"), Some(21));
    }

    #[test]
    fn the_next_request_waits_for_the_answer_to_this_one() {
        let mut framing = framing();
        assert_eq!(framing.step(IDLE), Step::Read(u64::MAX));
        assert_eq!(framing.handed(b"GET / HTTP/1.1\r\n\r\nHEAD"), 18);

        assert_eq!(framing.step(IDLE), Step::Yield);
        assert_eq!(framing.step(begun(BodyFraming::Length(0))), Step::Wait);
        let answered = InHand { begun: Some(BodyFraming::Length(0)), in_flight: false };
        assert_eq!(framing.step(answered), Step::Read(u64::MAX));
        assert_eq!(framing.handed(b"HEAD"), 4);
    }

    #[test]
    fn a_body_is_handed_over_up_to_its_length() {
        let mut framing = framing();
        framing.handed(b"PUT / HTTP/1.1\r\n\r\n");

        assert_eq!(framing.step(begun(BodyFraming::Length(5))), Step::Read(5));
        assert_eq!(framing.handed(b"abc"), 3);
        assert_eq!(framing.step(begun(BodyFraming::Length(5))), Step::Read(2));
        assert_eq!(framing.handed(b"deGET"), 2);
        assert_eq!(framing.step(begun(BodyFraming::Length(5))), Step::Wait);
    }

    #[test]
    fn what_actix_takes_for_no_request_is_passed_on_as_it_comes() {
        let mut framing = framing();
        framing.handed(b"nonsense\r\n\r\n");

        assert_eq!(framing.step(IDLE), Step::Yield);
        assert_eq!(framing.step(IDLE), Step::Read(u64::MAX));
        assert_eq!(framing.handed(b"a\r\n\r\nb"), 6);
    }

    #[test]
    fn bytes_put_back_come_first() {
        let mut framing = Framing::new(Bytes::from_static(b"second"));

        framing.hold_first(b"first ");

        assert_eq!(framing.take_held(100), "first second");
        assert!(framing.held().is_empty());
    }
}
