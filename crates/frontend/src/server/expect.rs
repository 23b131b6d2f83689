//! `Expect: 100-continue`: the body is asked for after everything else was checked, or not at all.
//!
//! HTTP/1.1 only. actix sends no interim answers over HTTP/2; there the client gets the final answer
//! early, or its body is simply taken.

use std::sync::Arc;

use actix_http::{HttpMessage, Request, Response};
use actix_web::body::BoxBody;
use actix_web::dev::Payload;

use crate::context::Shared;
use crate::error::Failed;
use crate::extract::body::Inbound;
use crate::handlers::expected;
use crate::middleware::client::Client;
use crate::middleware::record::Record;
use crate::respond;
use crate::router::{self, Admitted, Destination};
use crate::server::connection::Connection;

/// Gives the request back if its body may come, with what was found out about it; or the final answer.
pub(crate) async fn check(shared: Arc<Shared>, mut request: Request) -> Result<Request, Response<BoxBody>> {
    let client = Client::of(&shared, request.head(), request.conn_data());
    let in_hand = request.conn_data().map(|connection: &Connection| connection.request(request.head()));
    match admit(&shared, &request, &client).await {
        Ok(admitted) => {
            drop(in_hand);
            if let Some(admitted) = admitted {
                request.extensions_mut().insert(admitted);
            }
            Ok(request)
        }
        Err(failed) => {
            let body = Inbound::new(Payload::None, &shared.config.timeouts);
            let record = Record::open(&shared, request.head(), &client, request.conn_data(), body.clone());
            let head = request.head_mut();
            let response = respond::finish(&shared, head, respond::failure(failed), body, record).await;
            Err(response.into())
        }
    }
}

async fn admit(shared: &Arc<Shared>, request: &Request, client: &Client) -> Result<Option<Admitted>, Failed> {
    let head = request.head();
    let Destination::Endpoint(endpoint, target) = router::destination(shared, head)? else { return Ok(None) };
    let admitted = router::admit(shared, head, client, endpoint, target).await?;
    let body = Inbound::new(Payload::None, &shared.config.timeouts);
    let context = router::context(shared, head, client, &body, endpoint, admitted.target.clone());
    router::refuse_writes_while_read_only(&context)?;
    expected::check(&context).await?;
    Ok(Some(admitted))
}
