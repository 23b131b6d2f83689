//! `/v2/<name>/blobs/uploads/` and the sessions below it.

use entrepot_api::{Failure, Status, header, parameter};
use entrepot_auth::Grant;
use entrepot_domain::blobs::Mount;
use entrepot_domain::uploads::{Finish, Session, token};
use entrepot_oci::{Algorithm, Digest, RepositoryName};
use serde_json::json;

use crate::access;
use crate::context::Context;
use crate::error::{Failed, from_domain};
use crate::extract::{self, Chunk};
use crate::respond::{Answer, upload};

/// `POST`: mounts a blob, takes a whole one, or opens a session. A mount that cannot be had is no
/// failure: clients expect a session instead, whatever the reason.
pub(crate) async fn start(context: &Context<'_>, grant: Grant) -> Result<Answer, Failed> {
    let query = context.query();
    if let Some(wanted) = query.get(parameter::MOUNT) {
        let digest = extract::digest(wanted)?;
        let sources = sources(context, &digest, query.get(parameter::FROM)).await?;
        if mount(context, &grant, &digest, sources).await? {
            return Ok(upload::stored(context, &digest));
        }
    } else if let Some((digest, size)) = whole_blob(context)? {
        return put_whole(context, digest, size).await;
    }
    let session = context.registry().begin_upload(context.repository(), algorithm(context)?);
    Ok(upload::opened(context, &session))
}

/// `GET` of a session.
pub(crate) async fn status(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let session = session(context)?;
    let progress = context.registry().upload_status(&session).await;
    Ok(upload::standing(context, &progress.map_err(|error| from_domain(context, error))?))
}

/// `PATCH` of a session.
pub(crate) async fn append(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let session = session(context)?;
    let Chunk { offset, size } = chunk(context)?;
    let (registry, body) = (context.registry().clone(), context.body.take());
    let append = async move { registry.append(&session, offset, size, body).await };
    let progress = context.finish(append).await?;
    Ok(upload::accepted(context, &progress))
}

/// `PUT` of a session. Without a usable digest nothing happens to the session.
pub(crate) async fn finish(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let session = session(context)?;
    let digest = closing_digest(context)?;
    let Chunk { offset, size } = chunk(context)?;
    let finish = Finish { digest, offset, body_size: size, total_size: total_size(context)? };
    let (registry, body) = (context.registry().clone(), context.body.take());
    context.finish(async move { registry.finish_upload(&session, finish, body).await }).await?;
    Ok(upload::stored(context, &digest))
}

/// `DELETE` of a session.
pub(crate) async fn cancel(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let session = session(context)?;
    let registry = context.registry().clone();
    context.finish(async move { registry.cancel_upload(&session).await }).await?;
    Ok(Answer::empty(Status::NoContent))
}

/// The session a request is about: identifier in the path, token in the query. A token that was damaged
/// is told apart: the client lost a part of `Location`. One that is whole and opens nothing here (another
/// repository's, or expired) is answered like a session that never was.
pub(crate) fn session(context: &Context<'_>) -> Result<Session, Failed> {
    let (registry, name, id) = (context.registry(), context.repository(), &context.target.argument);
    let query = context.query();
    let state = query.get(parameter::STATE);
    registry.open_session(name, id, state).map_err(|error| match state {
        Some(token) if !token::is_whole(token) && registry.open_session(name, id, None).is_ok() => {
            Failure::UploadInvalid.into()
        }
        _ => from_domain(context, error),
    })
}

/// The chunk a request carries; refused here if it is larger than any blob may be.
pub(crate) fn chunk(context: &Context<'_>) -> Result<Chunk, Failed> {
    let chunk = extract::chunk(context.header(header::CONTENT_RANGE), context.content_length())?;
    check_size(context, chunk.offset.unwrap_or(0).saturating_add(chunk.size.unwrap_or(0)))?;
    Ok(chunk)
}

/// The digest that closes an upload.
pub(crate) fn closing_digest(context: &Context<'_>) -> Result<Digest, Failed> {
    let missing = || Failed::because(Failure::DigestInvalid, "the digest parameter is missing");
    digest_parameter(context, parameter::FINISH_DIGEST)?.ok_or_else(missing)
}

/// The digest and size of a blob that the request which opens an upload carries itself.
pub(crate) fn whole_blob(context: &Context<'_>) -> Result<Option<(Digest, Option<u64>)>, Failed> {
    let Some(digest) = digest_parameter(context, parameter::UPLOAD_DIGEST)? else { return Ok(None) };
    let size = context.content_length();
    check_size(context, size.unwrap_or(0))?;
    Ok(Some((digest, size)))
}

fn check_size(context: &Context<'_>, size: u64) -> Result<(), Failed> {
    match context.registry().config().max_blob_bytes.filter(|limit| size > *limit) {
        Some(limit) => Err(Failed::about(Failure::BlobTooLarge, json!({ "limit": limit }))),
        None => Ok(()),
    }
}

/// Where a blob might be mounted from. regclient names no repository on every push and hopes for any.
async fn sources(
    context: &Context<'_>,
    digest: &Digest,
    from: Option<&str>,
) -> Result<Vec<RepositoryName>, Failed> {
    match from {
        Some(from) => Ok(from.parse().into_iter().collect()),
        None => context.registry().holders(digest).await.map_err(|error| from_domain(context, error)),
    }
}

/// Mounts from the first source that the sender may pull from and that has the blob. That none has is
/// told in the same way as that none may be read.
async fn mount(
    context: &Context<'_>,
    grant: &Grant,
    digest: &Digest,
    sources: Vec<RepositoryName>,
) -> Result<bool, Failed> {
    for from in sources {
        if !access::may_pull(&context.shared, grant, &from).await {
            continue;
        }
        let (registry, name, digest) = (context.registry().clone(), context.repository().clone(), *digest);
        let mounted = context.finish(async move { registry.mount_blob(&name, &digest, &from).await }).await?;
        if mounted == Mount::Mounted {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn put_whole(context: &Context<'_>, digest: Digest, size: Option<u64>) -> Result<Answer, Failed> {
    let (registry, name, body) =
        (context.registry().clone(), context.repository().clone(), context.body.take());
    context.finish(async move { registry.put_blob(&name, &digest, size, body).await }).await?;
    Ok(upload::stored(context, &digest))
}

fn digest_parameter(
    context: &Context<'_>,
    parameter: entrepot_api::parameter::Parameter,
) -> Result<Option<Digest>, Failed> {
    let query = context.query();
    let twice = |_| Failed::because(Failure::DigestInvalid, "two different digests are given");
    query.only(parameter).map_err(twice)?.map(extract::digest).transpose()
}

fn algorithm(context: &Context<'_>) -> Result<Option<Algorithm>, Failed> {
    let query = context.query();
    let parsed = query.get(parameter::DIGEST_ALGORITHM).map(str::parse).transpose();
    parsed.map_err(|error: entrepot_oci::ParseError| Failed::because(Failure::AlgorithmUnsupported, error))
}

/// The size of the whole blob, as clients of 2015 stated it under either name.
fn total_size(context: &Context<'_>) -> Result<Option<u64>, Failed> {
    let query = context.query();
    let stated = query.get(parameter::SIZE).or_else(|| query.get(parameter::LENGTH));
    let number = |text: &str| {
        text.parse().map_err(|_| Failed::because(Failure::SizeInvalid, "size is not a number of bytes"))
    };
    stated.map(number).transpose()
}
