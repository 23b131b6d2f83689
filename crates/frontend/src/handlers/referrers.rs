//! `/v2/<name>/referrers/<digest>`.

use entrepot_api::parameter::{ARTIFACT_TYPE, LAST};
use entrepot_auth::Grant;
use entrepot_domain::catalog::Page;

use crate::context::Context;
use crate::error::{Failed, from_domain};
use crate::extract;
use crate::respond::{Answer, list};

/// `GET` of the manifests that name a subject.
pub(crate) async fn list(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let (name, query) = (context.repository(), context.query());
    let subject = extract::digest(&context.target.argument)?;
    let filter: Vec<String> = query.all(ARTIFACT_TYPE).map(str::to_owned).collect();
    let last = query.get(LAST).filter(|last| !last.is_empty()).map(str::to_owned);
    let page = Page { limit: context.shared.config.lists.max_referrers, last };

    let found = context.registry().list_referrers(name, &subject, &filter, &page).await;
    let found = found.map_err(|error| from_domain(context, error))?;

    Ok(list::referrers(context, name, &subject, &filter, found))
}
