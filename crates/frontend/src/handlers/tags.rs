//! `/v2/<name>/tags/list`.

use entrepot_api::body::TagList;
use entrepot_auth::Grant;

use crate::context::Context;
use crate::error::{Failed, from_domain};
use crate::extract::page::{Beyond, page};
use crate::respond::{Answer, list};

/// `GET` of the tags of a repository.
pub(crate) async fn list(context: &Context<'_>, _: Grant) -> Result<Answer, Failed> {
    let (name, query) = (context.repository(), context.query());
    let limit = context.shared.config.lists.max_tags;
    let wanted = page(&query, limit, limit, Beyond::Clamp)?;

    let (at_least_one, count) = list::at_least_one(&wanted);
    let tags = context.registry().list_tags(name, &at_least_one).await;
    let tags = list::cut(tags.map_err(|error| from_domain(context, error))?, count);

    let next = tags.next.map(|last| context.locations().tags_next(name, count as u64, &last, &query.pairs()));
    let body = TagList { name: name.to_string(), tags: tags.entries };
    Ok(list::page(&body, next))
}
