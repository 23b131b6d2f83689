//! From a request to its handler, by the endpoint table: no path is written here.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};
use entrepot_api::{Endpoint, EndpointId, Failure, Locations, Route, parameter, route};
use entrepot_auth::Grant;

use crate::access;
use crate::context::{Context, Shared, Target};
use crate::error::{Failed, disabled, from_domain};
use crate::extract::{self, body::Inbound};
use crate::handlers::{base, blobs, catalog, manifests, referrers, tags, uploads};
use crate::middleware::client::Client;
use crate::middleware::record::Record;
use crate::respond::{self, Answer};

/// What a path and a method lead to.
pub(crate) enum Destination {
    /// An operation.
    Endpoint(&'static Endpoint, Target),
    /// `OPTIONS`, answered with these methods.
    Options(&'static str),
}

/// A request that found its endpoint and was let in. Left in the request by the `Expect` check, so that
/// nothing is asked twice.
pub(crate) struct Admitted {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) target: Target,
    pub(crate) grant: Grant,
}

/// Serves one request from beginning to end. Never fails: every failure is an answer.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: ServiceRequest,
) -> Result<ServiceResponse, actix_web::Error> {
    let (request, payload) = request.into_parts();
    let body = Inbound::new(payload, &shared.config.timeouts);
    let client = Client::of(&shared, request.head(), request.conn_data());
    let mut record = Record::open(&shared, request.head(), &client, request.conn_data(), body.clone());
    let answer = match answer(&shared, &request, &client, &body, &mut record).await {
        Ok(answer) => answer,
        Err(failed) => respond::failure(failed),
    };
    let response = respond::finish(&shared, request.head(), answer, body, record).await;
    Ok(ServiceResponse::new(request, response))
}

async fn answer(
    shared: &Arc<Shared>,
    request: &HttpRequest,
    client: &Client,
    body: &Rc<Inbound>,
    record: &mut Record,
) -> Result<Answer, Failed> {
    record.admit_on_connection()?;
    let earlier = request.extensions_mut().remove::<Admitted>();
    let admitted = match earlier {
        Some(admitted) => admitted,
        None => match destination(shared, request.head())? {
            Destination::Options(allow) => return Ok(respond::options(allow)),
            Destination::Endpoint(endpoint, target) => {
                record.reached(endpoint.id);
                admit(shared, request.head(), client, endpoint, target).await?
            }
        },
    };
    let Admitted { endpoint, target, grant } = admitted;
    record.reached(endpoint.id);
    record.recognised(grant.identity());
    let context = context(shared, request.head(), client, body, endpoint, target);
    let answer = handle(&context, grant).await?;
    // A store that fails before the first bytes are there is an answer of its own.
    let begun = answer.begun(record.outbound().as_ref()).await;
    begun.map_err(|error| from_domain(&context, error))
}

/// Gathers what a handler has at hand.
pub(crate) fn context<'a>(
    shared: &Arc<Shared>,
    head: &'a RequestHead,
    client: &Client,
    body: &Rc<Inbound>,
    endpoint: &'static Endpoint,
    target: Target,
) -> Context<'a> {
    let origin = client.origin(&shared.config);
    let client = client.address;
    Context { shared: shared.clone(), endpoint, target, head, body: body.clone(), origin, client }
}

/// Finds the row for a request and parses what its path names.
pub(crate) fn destination(shared: &Shared, head: &RequestHead) -> Result<Destination, Failed> {
    let length = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if length > shared.config.limits.uri_bytes {
        return Err(Failure::UriTooLong.into());
    }
    let found =
        Locations::new("", &shared.config.prefix).match_path(head.uri.path()).ok_or(Failure::RouteUnknown)?;
    match route(found.resource, head.method.as_str()) {
        Route::Options(allow) => Ok(Destination::Options(allow)),
        Route::MethodUnsupported(allow) => {
            Err(Failed::from(Failure::MethodUnsupported).header(header::ALLOW, allow))
        }
        Route::Endpoint(endpoint) => {
            let named = found.resource.parameters().contains(&&parameter::NAME);
            let repository = if named { Some(extract::repository(found.name)?) } else { None };
            Ok(Destination::Endpoint(endpoint, Target { repository, argument: found.argument.into_owned() }))
        }
    }
}

/// Asks for a grant.
pub(crate) async fn admit(
    shared: &Shared,
    head: &RequestHead,
    client: &Client,
    endpoint: &'static Endpoint,
    target: Target,
) -> Result<Admitted, Failed> {
    let grant = access::admit(shared, endpoint, target.repository.as_ref(), head, client).await?;
    Ok(Admitted { endpoint, target, grant })
}

/// Hands the request to the operation's handler. A new row does not compile before it is served here.
async fn handle(context: &Context<'_>, grant: Grant) -> Result<Answer, Failed> {
    refuse_writes_while_read_only(context)?;
    match context.endpoint.id {
        EndpointId::BaseRedirect => base::redirect(context, grant).await,
        EndpointId::Base => base::check(context, grant).await,
        EndpointId::ManifestGet => manifests::pull(context, grant).await,
        EndpointId::ManifestHead => manifests::stat(context, grant).await,
        EndpointId::ManifestPut => manifests::push(context, grant).await,
        EndpointId::ManifestDelete => manifests::delete(context, grant).await,
        EndpointId::BlobGet => blobs::pull(context, grant).await,
        EndpointId::BlobHead => blobs::stat(context, grant).await,
        EndpointId::BlobDelete => blobs::delete(context, grant).await,
        EndpointId::UploadStart => uploads::start(context, grant).await,
        EndpointId::UploadStatus => uploads::status(context, grant).await,
        EndpointId::UploadAppend => uploads::append(context, grant).await,
        EndpointId::UploadFinish => uploads::finish(context, grant).await,
        EndpointId::UploadCancel => uploads::cancel(context, grant).await,
        EndpointId::TagsList => tags::list(context, grant).await,
        EndpointId::CatalogList => catalog::list(context, grant).await,
        EndpointId::ReferrersList => referrers::list(context, grant).await,
        EndpointId::ManifestTagsList => manifests::tags(context, grant).await,
    }
}

/// Opening a session touches nothing, so the domain would not notice.
pub(crate) fn refuse_writes_while_read_only(context: &Context<'_>) -> Result<(), Failed> {
    if context.endpoint.writes() && context.is_read_only() {
        return Err(disabled(context, "the repository is read-only (storage.maintenance.readonly)"));
    }
    Ok(())
}
