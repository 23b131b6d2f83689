//! What is checked before a client that sent `Expect: 100-continue` is asked for its body: everything
//! that can be known without it.

use entrepot_api::{EndpointId, Failure, parameter};
use entrepot_domain::Error;
use serde_json::json;

use super::uploads;
use crate::context::Context;
use crate::error::{Failed, from_domain};
use crate::extract;

/// Refuses what would be refused after the body as well. Passing is no promise.
pub(crate) async fn check(context: &Context<'_>) -> Result<(), Failed> {
    match context.endpoint.id {
        EndpointId::ManifestPut => manifest(context),
        EndpointId::UploadStart => uploads::whole_blob(context).map(drop),
        EndpointId::UploadAppend => append(context).await,
        EndpointId::UploadFinish => finish(context).await,
        EndpointId::BaseRedirect
        | EndpointId::Base
        | EndpointId::ManifestGet
        | EndpointId::ManifestHead
        | EndpointId::ManifestDelete
        | EndpointId::BlobGet
        | EndpointId::BlobHead
        | EndpointId::BlobDelete
        | EndpointId::UploadStatus
        | EndpointId::UploadCancel
        | EndpointId::TagsList
        | EndpointId::CatalogList
        | EndpointId::ReferrersList
        | EndpointId::ManifestTagsList => Ok(()),
    }
}

fn manifest(context: &Context<'_>) -> Result<(), Failed> {
    extract::reference_to_write(&context.target.argument)?;
    let limit = context.registry().config().max_manifest_bytes;
    if context.content_length().is_some_and(|length| length > limit) {
        return Err(Failed::about(Failure::ManifestTooLarge, json!({ "limit": limit })));
    }
    Ok(())
}

async fn append(context: &Context<'_>) -> Result<(), Failed> {
    let (session, chunk) = (uploads::session(context)?, uploads::chunk(context)?);
    let progress = context.registry().upload_status(&session).await;
    let progress = progress.map_err(|error| from_domain(context, error))?;
    if chunk.offset.is_some_and(|offset| offset != progress.offset) {
        let mismatch = Error::OffsetMismatch { offset: progress.offset, session: progress.session };
        return Err(from_domain(context, mismatch));
    }
    Ok(())
}

/// The session of a repeated commit is gone, and the commit succeeds all the same: whether this is one
/// is known to the commit only.
async fn finish(context: &Context<'_>) -> Result<(), Failed> {
    uploads::closing_digest(context)?;
    match append(context).await {
        Err(failed) if failed.failure() == Failure::UploadUnknown && has_token(context) => {
            uploads::session(context).map(drop)
        }
        outcome => outcome,
    }
}

fn has_token(context: &Context<'_>) -> bool {
    context.query().get(parameter::STATE).is_some()
}
