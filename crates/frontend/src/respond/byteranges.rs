//! Several ranges of one blob in one answer: `multipart/byteranges` (RFC 9110, section 14.6), as podman
//! asks for when it pulls the missing pieces of a zstd:chunked layer.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use entrepot_api::{Status, header};
use entrepot_domain::Registry;
use entrepot_domain::blobs::{BlobBody, BlobRange, BodyStream, Content as Known, Delivery};
use entrepot_domain::redirects::Reader;
use entrepot_oci::RepositoryName;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Answer;
use super::blob::{content_range, identified, redirect};
use super::body::Content;
use crate::context::Context;
use crate::error::{Failed, from_domain};

/// Answers with `parts`, of which there are at least two. The first is opened before the answer begins,
/// so that a blob that is not there is a 404 and one that the store serves is redirected; the others are
/// opened one after the other as the client reads.
pub(crate) async fn answer(
    context: &Context<'_>,
    reader: Reader<'_>,
    known: &Known,
    parts: Vec<Range<u64>>,
) -> Result<Answer, Failed> {
    let (registry, name) = (context.registry().clone(), context.repository().clone());
    let range = BlobRange::Bounded(parts[0].clone());
    let opened = registry.open_blob(&name, &known.digest, range, reader).await;
    let first = match opened.map_err(|error| from_domain(context, error))? {
        Delivery::Redirect(signed) => return Ok(redirect(&known.digest, &signed.url)),
        Delivery::Stream(opened) => opened.body,
    };
    // Content named by its digest cannot contain a boundary made from that digest but by design, and
    // whoever designs it harms nobody: every part also has a length.
    let boundary = known.digest.hex()[..32].to_owned();
    let heads = parts.iter().map(|part| part_head(&boundary, known, part)).collect::<Vec<_>>();
    let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let length = length(&heads, &parts, &end);
    let pieces = pieces(heads, parts, end, first);
    let stream = gather(registry, name, known.clone(), pieces);

    let answer = Answer::new(Status::PartialContent, Content::Stream { left: length, stream });
    Ok(identified(context, answer, &known.digest)
        .text(header::CONTENT_TYPE, &format!("multipart/byteranges; boundary={boundary}"))
        .constant(header::ACCEPT_RANGES, "bytes"))
}

/// One after the other, these make the body.
enum Piece {
    Text(Bytes),
    Opened(BlobBody),
    Range(Range<u64>),
}

fn part_head(boundary: &str, known: &Known, part: &Range<u64>) -> Bytes {
    let place = content_range(part, known.size);
    Bytes::from(format!(
        "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Range: {place}\r\n\r\n",
        known.media_type
    ))
}

fn length(heads: &[Bytes], parts: &[Range<u64>], end: &Bytes) -> u64 {
    let texts: usize = heads.iter().map(Bytes::len).sum::<usize>() + end.len();
    texts as u64 + parts.iter().map(|part| part.end - part.start).sum::<u64>()
}

fn pieces(heads: Vec<Bytes>, parts: Vec<Range<u64>>, end: Bytes, first: BlobBody) -> VecDeque<Piece> {
    let mut first = Some(first);
    let mut pieces = VecDeque::with_capacity(heads.len() * 2 + 1);
    for (head, part) in heads.into_iter().zip(parts) {
        pieces.push_back(Piece::Text(head));
        pieces.push_back(first.take().map_or(Piece::Range(part), Piece::Opened));
    }
    pieces.push_back(Piece::Text(end));
    pieces
}

fn gather(registry: Registry, name: RepositoryName, known: Known, pieces: VecDeque<Piece>) -> BodyStream {
    stream::iter(pieces)
        .then(move |piece| {
            let (registry, name, known) = (registry.clone(), name.clone(), known.clone());
            async move {
                match piece {
                    Piece::Text(text) => Ok(once(text)),
                    Piece::Opened(body) => Ok(into_stream(body)),
                    Piece::Range(range) => open(&registry, &name, &known, range).await,
                }
            }
        })
        .try_flatten()
        .boxed()
}

async fn open(
    registry: &Registry,
    name: &RepositoryName,
    known: &Known,
    range: Range<u64>,
) -> entrepot_domain::Result<BodyStream> {
    let opened = registry.read_blob(name, &known.digest, BlobRange::Bounded(range)).await?;
    Ok(into_stream(opened.body))
}

fn into_stream(body: BlobBody) -> BodyStream {
    match body {
        BlobBody::Whole(bytes) => once(bytes),
        BlobBody::Stream(stream) => stream,
        BlobBody::Local(file) => file.into_stream(),
    }
}

fn once(bytes: Bytes) -> BodyStream {
    stream::once(async { Ok(bytes) }).boxed()
}
