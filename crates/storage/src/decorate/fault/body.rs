//! Bodies that break on their way.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};

use super::{Controls, Effect};
use crate::{Body, ByteStream, Error, ErrorKind, Key, Result};

/// One body on its way to the reader.
struct Passage {
    body: ByteStream,
    driver: &'static str,
    key: Key,
    controls: Controls,
    cut_after: Option<u64>,
    flip_at: Option<u64>,
    passed: u64,
}

/// The body as `effects` leave it. A stream is watched even without any, because its handle may crash
/// while it is read.
pub(super) fn broken(
    body: Body,
    effects: &[Effect],
    driver: &'static str,
    key: &Key,
    controls: &Controls,
) -> Body {
    let cut_after = effects.iter().find_map(|effect| match effect {
        Effect::CutBody { after } => Some(*after),
        _ => None,
    });
    let flip_at = effects.iter().find_map(|effect| match effect {
        Effect::FlipByte { at } => Some(*at),
        _ => None,
    });
    if matches!(body, Body::Whole(_)) && cut_after.is_none() && flip_at.is_none() {
        return body;
    }
    let body = body.into_stream();
    let passage =
        Passage { body, driver, key: key.clone(), controls: controls.clone(), cut_after, flip_at, passed: 0 };
    Body::Stream(Box::pin(stream::unfold(Some(passage), |passage| async move { passage?.step().await })))
}

impl Passage {
    async fn step(mut self) -> Option<(Result<Bytes>, Option<Self>)> {
        if self.controls.is_crashed() {
            return Some((Err(self.lost("the process has crashed")), None));
        }
        if self.cut_after == Some(self.passed) {
            return Some((Err(self.lost("an injected fault cut the body")), None));
        }
        match self.body.next().await? {
            Ok(chunk) => {
                let chunk = self.flip(self.cut(chunk));
                self.passed += chunk.len() as u64;
                Some((Ok(chunk), Some(self)))
            }
            Err(error) => Some((Err(error), None)),
        }
    }

    fn cut(&self, mut chunk: Bytes) -> Bytes {
        let left = self.cut_after.map_or(u64::MAX, |after| after - self.passed);
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        chunk
    }

    fn flip(&self, chunk: Bytes) -> Bytes {
        let place = self.flip_at.and_then(|at| at.checked_sub(self.passed)).map(|place| place as usize);
        match place {
            Some(place) if place < chunk.len() => {
                let mut changed = BytesMut::from(&chunk[..]);
                changed[place] ^= 0x01;
                changed.freeze()
            }
            _ => chunk,
        }
    }

    fn lost(&self, reason: &'static str) -> Error {
        Error::new(self.driver, ErrorKind::Backend { retryable: true }).at(&self.key).because(reason)
    }
}
