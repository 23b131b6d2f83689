//! The body of an answer, handed to actix as it comes from the domain.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use bytes::Bytes;
use entrepot_domain::blobs::{BlobBody, BodyStream};
use futures_util::{StreamExt, stream};

use crate::error::Chain;
use crate::middleware::record::Answered;

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
    /// The length of a body that is not sent: HEAD.
    Length(u64),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::None => f.write_str("None"),
            Content::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Content::Stream { left, .. } => write!(f, "Stream({left})"),
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
        }
    }

    /// The same content once its first bytes are there. A store that fails before is an answer of its own
    /// instead of one that breaks off.
    pub(crate) async fn begun(self) -> entrepot_domain::Result<Self> {
        let Content::Stream { left, mut stream } = self else { return Ok(self) };
        match stream.next().await.transpose()? {
            None => Ok(Content::Stream { left, stream }),
            Some(first) => {
                let stream = stream::once(async { Ok(first) }).chain(stream).boxed();
                Ok(Content::Stream { left, stream })
            }
        }
    }

    /// The same content for somebody who asked for the headers only.
    pub(crate) fn without_bytes(self) -> Self {
        match self {
            Content::None => Content::None,
            Content::Bytes(bytes) => Content::Length(bytes.len() as u64),
            Content::Stream { left, .. } => Content::Length(left),
            Content::Length(length) => Content::Length(length),
        }
    }
}

/// A body on its way out. Its end, or its being dropped before that, closes the request's record.
pub(crate) struct Body {
    content: Content,
    /// Kept until the answer is sent: as long as it is here, the connection is closed after the answer
    /// instead of reading on and on for nobody.
    _unread: Option<Payload>,
    record: Answered,
    /// What is left of a chunk that was too large to be handed over at once.
    rest: Bytes,
    /// Why the body ends here.
    cut: Option<CutShort>,
}

impl Body {
    pub(crate) fn new(content: Content, unread: Option<Payload>, mut record: Answered) -> Self {
        if matches!(content, Content::None | Content::Length(_)) || content_is_empty(&content) {
            record.complete();
        }
        Self { content, _unread: unread, record, rest: Bytes::new(), cut: None }
    }

    fn hand_over(&mut self, mut chunk: Bytes) -> Bytes {
        let piece = chunk.split_to(chunk.len().min(PIECE));
        self.rest = chunk;
        self.record.sent(piece.len());
        piece
    }
}

fn content_is_empty(content: &Content) -> bool {
    matches!(content, Content::Bytes(bytes) if bytes.is_empty())
}

/// Largest piece handed to actix at once. It copies each into its write buffer, whose memory it keeps
/// up to a point and allocates anew beyond.
const PIECE: usize = 128 * 1024;

/// Why an answer was cut short. The client sees a broken connection, never a complete wrong body.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut short: {0}")]
pub(crate) struct CutShort(String);

impl MessageBody for Body {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        match &self.content {
            Content::None => BodySize::None,
            Content::Bytes(bytes) => BodySize::Sized(bytes.len() as u64),
            Content::Stream { left, .. } => BodySize::Sized(*left),
            Content::Length(length) => BodySize::Sized(*length),
        }
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if let Some(cut) = this.cut.take() {
            return Poll::Ready(Some(Err(cut.into())));
        }
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(this.hand_over(rest))));
        }
        match &mut this.content {
            Content::None | Content::Length(_) => Poll::Ready(None),
            Content::Bytes(bytes) if bytes.is_empty() => {
                this.record.complete();
                Poll::Ready(None)
            }
            Content::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready(Some(Ok(this.hand_over(bytes))))
            }
            Content::Stream { left: 0, .. } => {
                this.record.complete();
                Poll::Ready(None)
            }
            Content::Stream { left, stream } => {
                let chunk = match stream.as_mut().poll_next(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(item) => checked(item, *left),
                };
                match chunk {
                    Ok(chunk) => {
                        *left -= chunk.len() as u64;
                        Poll::Ready(Some(Ok(this.hand_over(chunk))))
                    }
                    Err(cut) => {
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
    }
}

/// A chunk, if it is one that belongs to the announced length.
fn checked(item: Option<entrepot_domain::Result<Bytes>>, left: u64) -> Result<Bytes, CutShort> {
    match item {
        Some(Ok(chunk)) if chunk.len() as u64 <= left => Ok(chunk),
        Some(Ok(_)) => Err(CutShort("the store sent more bytes than there should be".into())),
        Some(Err(error)) => Err(CutShort(Chain(&error).to_string())),
        None => Err(CutShort(format!("{left} bytes are missing"))),
    }
}
