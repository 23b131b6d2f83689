//! `/v2/<name>/blobs/<digest>`.

use std::ops::Range;

use entrepot_api::{Status, header};
use entrepot_auth::Grant;
use entrepot_domain::Error;
use entrepot_domain::blobs::{BlobRange, Delivery, Intent};
use entrepot_domain::redirects::Reader;
use entrepot_oci::range::{Requested, Resolved};
use entrepot_oci::{Digest, Ranges, etag};

use crate::access;
use crate::context::Context;
use crate::error::{Failed, from_domain};
use crate::extract;
use crate::respond::{Answer, blob, byteranges};

/// `GET` of a blob, or of ranges of it.
pub(crate) async fn pull(context: &Context<'_>, grant: Grant) -> Result<Answer, Failed> {
    let digest = extract::digest(&context.target.argument)?;
    if context.header(header::IF_NONE_MATCH).is_some_and(|held| etag::if_none_match(held, &digest)) {
        let known = context.registry().stat_blob(context.repository(), &digest, Intent::Pull).await;
        let known = known.map_err(|error| from_domain(context, error))?;
        return Ok(blob::not_modified(context, &known));
    }
    let reader = context.reader(&grant);
    let Some(ranges) = ranges(context, &digest) else {
        return whole(context, reader, &digest).await;
    };
    match ranges.requested() {
        [one] => single(context, reader, &digest, *one).await,
        _ => several(context, reader, &digest, &ranges).await,
    }
}

/// `HEAD` of a blob. To somebody who may push, the answer promises that the blob can be relied on.
pub(crate) async fn stat(context: &Context<'_>, grant: Grant) -> Result<Answer, Failed> {
    let digest = extract::digest(&context.target.argument)?;
    let name = context.repository();
    let intent =
        if access::may_push(&context.shared, &grant, name).await { Intent::Push } else { Intent::Pull };
    let known = context.registry().stat_blob(name, &digest, intent).await;
    Ok(blob::described(context, &known.map_err(|error| from_domain(context, error))?))
}

/// `DELETE` of a blob from its repository.
pub(crate) async fn delete(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let digest = extract::digest(&context.target.argument)?;
    let (registry, name) = (context.registry().clone(), context.repository().clone());
    context.finish(async move { registry.delete_blob(&name, &digest).await }).await?;
    Ok(Answer::empty(Status::Accepted))
}

/// The ranges to answer with: none if the header is absent or cannot be read, or if `If-Range` names
/// other content.
fn ranges(context: &Context<'_>, digest: &Digest) -> Option<Ranges> {
    let wanted = context.header(header::RANGE)?;
    let current = context.header(header::IF_RANGE).is_none_or(|held| etag::if_range(held, digest));
    if current { wanted.parse().ok() } else { None }
}

async fn open(
    context: &Context<'_>,
    reader: Reader<'_>,
    digest: &Digest,
    range: BlobRange,
) -> Result<Delivery, Error> {
    context.registry().open_blob(context.repository(), digest, range, reader).await
}

async fn whole(context: &Context<'_>, reader: Reader<'_>, digest: &Digest) -> Result<Answer, Failed> {
    let delivery = open(context, reader, digest, BlobRange::Whole).await;
    let delivery = delivery.map_err(|error| from_domain(context, error))?;
    Ok(blob::whole(context, digest, delivery))
}

async fn single(
    context: &Context<'_>,
    reader: Reader<'_>,
    digest: &Digest,
    wanted: Requested,
) -> Result<Answer, Failed> {
    let range = match wanted {
        Requested::Between(first, last) => BlobRange::Bounded(first..last.saturating_add(1)),
        Requested::From(first) => BlobRange::From(first),
        Requested::Last(length) => BlobRange::Suffix(length),
    };
    match open(context, reader, digest, range).await {
        Ok(delivery) => Ok(blob::range(context, digest, delivery)),
        // No range of nothing can be satisfied; clients that always ask for one want the empty blob.
        Err(Error::RangeNotSatisfiable { size: 0 }) => whole(context, reader, digest).await,
        Err(error) => Err(from_domain(context, error)),
    }
}

async fn several(
    context: &Context<'_>,
    reader: Reader<'_>,
    digest: &Digest,
    ranges: &Ranges,
) -> Result<Answer, Failed> {
    let known = context.registry().stat_blob(context.repository(), digest, Intent::Pull).await;
    let known = known.map_err(|error| from_domain(context, error))?;
    match ranges.resolve(known.size) {
        Resolved::Whole => whole(context, reader, digest).await,
        Resolved::Single(range) => {
            single(context, reader, digest, Requested::Between(range.start, range.end - 1)).await
        }
        Resolved::Unsatisfiable => Err(from_domain(context, Error::RangeNotSatisfiable { size: known.size })),
        Resolved::Many(parts) if is_small(context, &parts) => {
            byteranges::answer(context, reader, &known, parts).await
        }
        // Too much for parts from here. A server may always send the whole instead, and a store that
        // serves it by itself is the better place.
        Resolved::Many(_) => whole(context, reader, digest).await,
    }
}

fn is_small(context: &Context<'_>, parts: &[Range<u64>]) -> bool {
    let limits = &context.shared.config.limits;
    let bytes: u64 = parts.iter().map(|part| part.end - part.start).sum();
    parts.len() <= limits.ranges && bytes <= limits.ranges_bytes
}
