//! `/v2/<name>/manifests/<reference>`, and the tags of a manifest.

use entrepot_api::body::ManifestTags;
use entrepot_api::{Failure, Status, header, parameter};
use entrepot_auth::Grant;
use entrepot_domain::blobs::Intent;
use entrepot_domain::manifests::{ManifestPush, TagCondition};
use entrepot_oci::{Descriptor, MediaType, Reference, etag, media_type};
use serde_json::json;

use crate::access;
use crate::context::Context;
use crate::error::{Failed, from_domain};
use crate::extract;
use crate::extract::body::{End, PayloadFailure};
use crate::extract::conditions::{Condition, condition};
use crate::respond::{Answer, list, manifest};

/// `GET` of a manifest. With `If-None-Match` the manifest is not read unless it has to be sent.
pub(crate) async fn pull(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let reference = extract::reference_to_find(&context.target.argument)?;
    let (registry, name) = (context.registry(), context.repository());
    let failed = |error| from_domain(context, error);
    if let Some(held) = context.header(header::IF_NONE_MATCH) {
        let known = registry.stat_manifest(name, &reference, Intent::Pull).await.map_err(failed)?;
        if etag::if_none_match(held, &known.digest) {
            return Ok(manifest::not_modified(context, &reference, &known));
        }
    }
    let mut found = registry.get_manifest(name, &reference).await.map_err(failed)?;
    if wants_image(context, &reference, &found.descriptor) {
        found = registry.image_of_list(name, &reference, &found).await.map_err(failed)?;
    }
    Ok(manifest::content(context, &reference, &found.descriptor, Some(found.bytes)))
}

/// Whether a list is to be answered with the image an old client means by it.
fn wants_image(context: &Context<'_>, reference: &Reference, found: &Descriptor) -> bool {
    let by_tag = matches!(reference, Reference::Tag(_));
    if !context.shared.config.manifest_list_downgrade
        || !by_tag
        || found.media_type != *media_type::DOCKER_MANIFEST_LIST
    {
        return false;
    }
    let mut accepted = context.head.headers().get_all("accept").filter_map(|value| value.to_str().ok());
    !accepted.any(|value| value.contains(media_type::DOCKER_MANIFEST_LIST))
}

/// `HEAD` of a manifest. To somebody who may push, the answer promises that the manifest can be relied on.
pub(crate) async fn stat(context: &Context<'_>, grant: Grant) -> Result<Answer, Failed> {
    let reference = extract::reference_to_find(&context.target.argument)?;
    let name = context.repository();
    let intent =
        if access::may_push(&context.shared, &grant, name).await { Intent::Push } else { Intent::Pull };

    let known = context.registry().stat_manifest(name, &reference, intent).await;
    let mut known = known.map_err(|error| from_domain(context, error))?;
    if wants_image(context, &reference, &known) {
        let list = context.registry().get_manifest(name, &reference).await;
        let list = list.map_err(|error| from_domain(context, error))?;
        let image = context.registry().image_of_list(name, &reference, &list).await;
        known = image.map_err(|error| from_domain(context, error))?.descriptor;
    }

    let held = context.header(header::IF_NONE_MATCH);
    if held.is_some_and(|held| etag::if_none_match(held, &known.digest)) {
        return Ok(manifest::not_modified(context, &reference, &known));
    }
    Ok(manifest::content(context, &reference, &known, None))
}

/// `PUT` of a manifest.
pub(crate) async fn push(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let reference = extract::reference_to_write(&context.target.argument)?;
    let tags = match reference {
        Reference::Digest(_) => {
            context.query().all(parameter::TAG).map(extract::tag).collect::<Result<_, _>>()?
        }
        Reference::Tag(_) => Vec::new(),
    };
    let content_type = content_type(context)?;
    let condition = tag_condition(context, &reference)?;
    let bytes = gather(context).await?;
    let push = ManifestPush { reference, tags, content_type, bytes, condition };

    let (registry, name) = (context.registry().clone(), context.repository().clone());
    let pushed = context.finish(async move { registry.put_manifest(&name, push).await }).await?;

    Ok(manifest::pushed(context, &pushed))
}

/// `DELETE` of a tag, or of a manifest with all its tags.
pub(crate) async fn delete(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let reference = extract::reference_to_find(&context.target.argument)?;
    let (registry, name) = (context.registry().clone(), context.repository().clone());
    let delete = async move {
        match reference {
            Reference::Tag(tag) => registry.delete_tag(&name, &tag).await,
            Reference::Digest(digest) => registry.delete_manifest(&name, &digest).await,
        }
    };
    context.finish(delete).await?;
    Ok(Answer::empty(Status::Accepted))
}

/// `GET` of the tags of a manifest.
pub(crate) async fn tags(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let digest = extract::digest(&context.target.argument)?;
    let name = context.repository();
    let found = context.registry().tags_of(name, &digest).await;
    let tags = found.map_err(|error| from_domain(context, error))?;
    let tags = tags.iter().map(ToString::to_string).collect();
    let body = ManifestTags { name: name.to_string(), digest: digest.to_string(), tags };
    Ok(list::page(&body, None))
}

/// The body, whole. A manifest is small by rule; the rule is applied before a byte is read where the
/// client says how many there are.
async fn gather(context: &Context<'_>) -> Result<bytes::Bytes, Failed> {
    let limit = context.registry().config().max_manifest_bytes;
    let too_large = || Failed::about(Failure::ManifestTooLarge, json!({ "limit": limit }));
    if context.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match context.body.gather(limit).await {
        Ok(whole) => whole.ok_or_else(too_large),
        Err(PayloadFailure::TooSlow(_)) => Err(Failure::BodyTimeout.into()),
        Err(broken @ PayloadFailure::Broken(_)) => {
            debug_assert_eq!(context.body.end(), End::Broken);
            Err(Failed::because(Failure::SizeInvalid, broken))
        }
    }
}

fn content_type(context: &Context<'_>) -> Result<Option<MediaType>, Failed> {
    let header = context.header(header::CONTENT_TYPE).filter(|value| !value.trim().is_empty());
    let parsed = header.map(MediaType::from_content_type).transpose();
    parsed.map_err(|error| Failed::because(Failure::ManifestInvalid, error))
}

/// The condition of a push. Entity tags none of which can be a digest here are satisfied by nothing; the
/// domain is not asked, because to it an empty list means any tag that exists.
fn tag_condition(context: &Context<'_>, reference: &Reference) -> Result<TagCondition, Failed> {
    let headers = (context.header(header::IF_MATCH), context.header(header::IF_NONE_MATCH));
    match condition(headers.0, headers.1) {
        Condition::None => Ok(TagCondition::None),
        Condition::Absent => Ok(TagCondition::Absent),
        Condition::Present => Ok(TagCondition::Current(Vec::new())),
        Condition::Current(digests) if digests.is_empty() => {
            Err(Failed::about(Failure::TagConditionFailed, json!({ "tag": reference.to_string() })))
        }
        Condition::Current(digests) => Ok(TagCondition::Current(digests)),
    }
}
