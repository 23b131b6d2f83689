//! `/v2/_catalog`. Not in the OCI specification; every registry has it from Docker's.

use crate::endpoint::{Access, Body, Endpoint, EndpointId, Success};
use crate::{Failure, Method, Resource, Status, header, parameter};

pub(crate) const LIST: Endpoint = Endpoint {
    id: EndpointId::CatalogList,
    operation: "catalog_list",
    resource: Resource::Catalog,
    methods: &[Method::Get, Method::Head],
    clauses: &[],
    access: Access::Catalog,
    parameters: &[&parameter::N, &parameter::LAST],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::Ok,
        when: "Always, if the caller may see the catalog.",
        headers: &[&header::CONTENT_LENGTH, &header::CONTENT_TYPE, &header::LINK],
        body: Body::Catalog,
    }],
    failures: &[Failure::PaginationInvalid, Failure::Unauthorized, Failure::Denied, Failure::Unavailable],
    summary: "List the repositories of the registry",
    description: "In byte order, repositories without a tag or manifest left out. Without `n` a page holds 100; an `n` \
        beyond `catalog.maxentries` is refused. `Link` is present exactly when there is more.",
};
