//! `/v2/`: is this a registry, and am I let in?

use entrepot_api::{Status, body, header};
use entrepot_auth::Grant;

use crate::context::Context;
use crate::error::Failed;
use crate::respond::{Answer, list};

/// `GET /v2`
pub(crate) async fn redirect(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    Ok(Answer::empty(Status::MovedPermanently).text(header::LOCATION, &context.locations().base()))
}

/// `GET /v2/`
pub(crate) async fn check(_: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    Ok(list::json(body::BASE.into()))
}
