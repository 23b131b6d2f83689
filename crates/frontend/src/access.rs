//! Nobody reaches a handler without a grant: what an endpoint needs, asked of the gate.

use actix_web::dev::RequestHead;
use actix_web::http::header;
use entrepot_api::{Access as Needed, Endpoint};
use entrepot_auth::{Access, Action, Credentials, Grant};
use entrepot_oci::RepositoryName;

use crate::context::Shared;
use crate::error::{Failed, from_refusal};
use crate::middleware::client::Client;

/// Asks the gate for what `endpoint` needs.
pub(crate) async fn admit(
    shared: &Shared,
    endpoint: &Endpoint,
    repository: Option<&RepositoryName>,
    head: &RequestHead,
    client: &Client,
) -> Result<Grant, Failed> {
    let credentials = Credentials {
        authorization: head.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()),
        certificate: client.certificate.as_deref(),
        client: client.address,
    };
    shared.gate.admit(credentials, wanted(endpoint.access, repository)).await.map_err(from_refusal)
}

fn wanted(needed: Needed, repository: Option<&RepositoryName>) -> Access {
    let within = |actions: &[Action]| {
        let repository = repository.expect("an endpoint that needs actions has a repository in its path");
        Access::repository(repository, actions)
    };
    match needed {
        Needed::None | Needed::Base => Access::Registry,
        Needed::Catalog => Access::Catalog,
        Needed::Pull => within(&[Action::Pull]),
        Needed::PullPush => within(&[Action::Pull, Action::Push]),
        Needed::Delete => within(&[Action::Delete]),
    }
}

/// Whether the sender may push to the repository as well: its HEADs then precede a push.
pub(crate) async fn may_push(shared: &Shared, grant: &Grant, repository: &RepositoryName) -> bool {
    let push = Access::repository(repository, &[Action::Pull, Action::Push]);
    shared.gate.also(grant, push).await.is_some()
}

/// Whether the sender may pull from another repository.
pub(crate) async fn may_pull(shared: &Shared, grant: &Grant, repository: &RepositoryName) -> bool {
    shared.gate.also(grant, Access::repository(repository, &[Action::Pull])).await.is_some()
}
