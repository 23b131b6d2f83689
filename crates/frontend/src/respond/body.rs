//! The body of an answer, handed to actix as it comes from the domain.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use bytes::Bytes;
use entrepot_domain::blobs::{BlobBody, BodyStream, Chunk, LocalBlob, Piece, PieceStream};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::error::Chain;
use crate::middleware::record::Answered;
use crate::server::outbound::Outbound;

/// What an answer's body is made of.
pub(crate) enum Content {
    /// No body, and no length either: 204 and 304.
    None,
    /// Bytes at hand.
    Bytes(Bytes),
    /// As many bytes as announced, as they come.
    Stream {
        /// How many are still to come.
        left: u64,
        /// Where from.
        stream: BodyStream,
    },
    /// A file of this machine, of which nothing was asked yet.
    Local {
        /// How many bytes there are.
        length: u64,
        /// Where.
        file: LocalBlob,
    },
    /// As many bytes as announced, some of which only the system has.
    Pieces {
        /// How many are still to come.
        left: u64,
        /// Where from.
        stream: PieceStream,
    },
    /// The length of a body that is not sent: HEAD.
    Length(u64),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::None => f.write_str("None"),
            Content::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Content::Stream { left, .. } => write!(f, "Stream({left})"),
            Content::Local { length, .. } => write!(f, "Local({length})"),
            Content::Pieces { left, .. } => write!(f, "Pieces({left})"),
            Content::Length(length) => write!(f, "Length({length})"),
        }
    }
}

impl Content {
    /// A blob's bytes, of which there are `length`.
    pub(crate) fn blob(body: BlobBody, length: u64) -> Self {
        match body {
            BlobBody::Whole(bytes) => Content::Bytes(bytes),
            BlobBody::Stream(stream) => Content::Stream { left: length, stream },
            BlobBody::Local(file) => Content::Local { length, file },
        }
    }

    /// How many bytes there are; `None` where there is no body at all.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Content::None => None,
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::Stream { left, .. } | Content::Pieces { left, .. } => Some(*left),
            Content::Local { length, .. } | Content::Length(length) => Some(*length),
        }
    }

    /// Whether there are bytes to send, and many.
    pub(crate) fn is_large(&self) -> bool {
        !matches!(self, Content::Length(_)) && self.length().is_some_and(|length| length >= LARGE_BYTES)
    }

    /// The same content once its first bytes are there, for the way it will go. A store that fails before is
    /// an answer of its own instead of one that breaks off.
    pub(crate) async fn begun(self, outbound: Option<&Outbound>) -> entrepot_domain::Result<Self> {
        match self {
            Content::Local { length: left, file } if outbound.is_some_and(Outbound::takes_windows) => {
                Ok(Content::Pieces { left, stream: begun(file.into_pieces()).await? })
            }
            Content::Local { length: left, file } => {
                Ok(Content::Stream { left, stream: begun(file.into_stream()).await? })
            }
            Content::Stream { left, stream } => Ok(Content::Stream { left, stream: begun(stream).await? }),
            content => Ok(content),
        }
    }

    /// The next piece; `None` after the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, CutShort>>> {
        let (item, left) = match self {
            Content::None | Content::Length(_) => return Poll::Ready(None),
            Content::Stream { left: 0, .. } | Content::Pieces { left: 0, .. } => return Poll::Ready(None),
            Content::Bytes(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Content::Bytes(bytes) => return Poll::Ready(Some(Ok(Piece::Bytes(std::mem::take(bytes))))),
            // Every answer is begun before it is sent.
            Content::Local { length, .. } => return Poll::Ready(Some(missing(*length))),
            Content::Stream { left, stream } => {
                (ready!(stream.as_mut().poll_next(cx)).map(|item| item.map(Piece::Bytes)), left)
            }
            Content::Pieces { left, stream } => (ready!(stream.as_mut().poll_next(cx)), left),
        };
        Poll::Ready(Some(match item {
            Some(item) => checked(item, left),
            None => missing(*left),
        }))
    }

    /// The same content for somebody who asked for the headers only.
    pub(crate) fn without_bytes(self) -> Self {
        match self {
            Content::None => Content::None,
            Content::Bytes(bytes) => Content::Length(bytes.len() as u64),
            Content::Stream { left, .. } | Content::Pieces { left, .. } => Content::Length(left),
            Content::Local { length, .. } | Content::Length(length) => Content::Length(length),
        }
    }
}

/// The stream once its first item is there.
async fn begun<C: Send + 'static>(
    mut stream: BoxStream<'static, entrepot_domain::Result<C>>,
) -> entrepot_domain::Result<BoxStream<'static, entrepot_domain::Result<C>>> {
    let first = stream.try_next().await?;
    Ok(stream::iter(first.map(Ok)).chain(stream).boxed())
}

/// Bodies from this length on go past actix's write buffer. Below it, one copy costs less than the second
/// look at the body.
const LARGE_BYTES: u64 = 32 * 1024;

/// A body on its way out. Its end, or its being dropped before that, closes the request's record.
pub(crate) struct Body {
    content: Content,
    /// Kept until the answer is sent: as long as it is here, the connection is closed after the answer
    /// instead of reading on and on for nobody.
    _unread: Option<Payload>,
    /// Where chunks are laid; without it they are handed to actix.
    outbound: Option<Outbound>,
    record: Answered,
    /// What is left of a chunk that was too large to be handed over at once.
    rest: Bytes,
    /// Why the body ends here.
    cut: Option<CutShort>,
}

impl Body {
    /// A body, on the way `outbound` if there is one.
    pub(crate) fn new(
        content: Content,
        unread: Option<Payload>,
        outbound: Option<Outbound>,
        mut record: Answered,
    ) -> Self {
        if matches!(content, Content::None | Content::Length(_)) || content.length() == Some(0) {
            record.complete();
        }
        Self { content, _unread: unread, outbound, record, rest: Bytes::new(), cut: None }
    }

    /// Sends a piece on its way. What is laid beside the connection is written when actix flushes it, which
    /// it does after every look at a body that has nothing for it.
    fn hand_over(&mut self, piece: Piece) -> Poll<Option<Result<Bytes, CutShort>>> {
        // An empty piece would never be written, and nobody woken when it is.
        if let Some(outbound) = self.outbound.as_ref().filter(|_| piece.length() > 0) {
            self.record.sent(piece.length());
            outbound.lay(piece);
            return Poll::Pending;
        }
        let Piece::Bytes(mut chunk) = piece else {
            // Windows are asked for only where there is a way for them.
            return Poll::Ready(Some(Err(CutShort("a window has no way to the client".into()))));
        };
        let piece = chunk.split_to(chunk.len().min(PIECE));
        self.rest = chunk;
        self.record.sent(piece.len());
        Poll::Ready(Some(Ok(piece)))
    }

    fn is_on_its_way(&self) -> bool {
        self.outbound.as_ref().is_some_and(|outbound| !outbound.is_empty())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(outbound) = &self.outbound {
            self.record.unsent(outbound.left());
            if outbound.is_broken() {
                self.record.cut_short();
            }
            outbound.clear();
        }
    }
}

/// Largest piece handed to actix at once. It copies each into its write buffer, whose memory it keeps
/// up to a point and allocates anew beyond.
const PIECE: usize = 128 * 1024;

/// Why an answer was cut short. The client sees a broken connection, never a complete wrong body.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut short: {0}")]
pub(crate) struct CutShort(String);

impl MessageBody for Body {
    type Error = CutShort;

    fn size(&self) -> BodySize {
        if self.outbound.is_some() {
            return BodySize::Stream;
        }
        self.content.length().map_or(BodySize::None, BodySize::Sized)
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.is_on_its_way() {
            return Poll::Pending; // woken when it is written
        }
        if let Some(cut) = this.cut.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return this.hand_over(Piece::Bytes(rest));
        }
        match ready!(this.content.poll_piece(cx)) {
            None => {
                this.record.complete();
                Poll::Ready(None)
            }
            Some(Ok(piece)) => this.hand_over(piece),
            Some(Err(cut)) => {
                tracing::error!(error = %cut, "an answer was cut short");
                this.record.cut_short();
                // What was handed over leaves first; then the connection ends.
                this.cut = Some(cut);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// A piece, if it is one that belongs to the announced length, of which so much is `left`.
fn checked(item: entrepot_domain::Result<Piece>, left: &mut u64) -> Result<Piece, CutShort> {
    match item {
        Ok(piece) if piece.length() as u64 <= *left => {
            *left -= piece.length() as u64;
            Ok(piece)
        }
        Ok(_) => Err(CutShort("the store sent more bytes than there should be".into())),
        Err(error) => Err(CutShort(Chain(&error).to_string())),
    }
}

fn missing(left: u64) -> Result<Piece, CutShort> {
    Err(CutShort(format!("{left} bytes are missing")))
}
