//! `/v2/_catalog`.

use entrepot_api::body::Catalog;
use entrepot_auth::Grant;

use crate::context::Context;
use crate::error::{Failed, from_domain};
use crate::extract::page::{Beyond, page};
use crate::respond::{Answer, list};

/// `GET` of the repositories of the registry.
pub(crate) async fn list(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let (query, lists) = (context.query(), &context.shared.config.lists);
    let wanted = page(&query, lists.catalog_page, lists.max_catalog, Beyond::Refuse)?;

    let (at_least_one, count) = list::at_least_one(&wanted);
    let found = context.registry().list_repositories(&at_least_one).await;
    let found = list::cut(found.map_err(|error| from_domain(context, error))?, count);

    let next = found.next.map(|last| context.locations().catalog_next(count as u64, &last, &query.pairs()));
    Ok(list::page(&Catalog { repositories: found.entries }, next))
}
