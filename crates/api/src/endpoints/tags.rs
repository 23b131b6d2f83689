//! `/v2/<name>/tags/list`.

use crate::endpoint::{Access, Body, Endpoint, EndpointId, Success};
use crate::{Failure, Method, Resource, Status, header, parameter};

pub(crate) const LIST: Endpoint = Endpoint {
    id: EndpointId::TagsList,
    operation: "tags_list",
    resource: Resource::Tags,
    methods: &[Method::Get, Method::Head],
    clauses: &["end-8a", "end-8b"],
    access: Access::Pull,
    parameters: &[&parameter::N, &parameter::LAST],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::Ok,
        when: "The repository exists. The list may be empty.",
        headers: &[&header::CONTENT_LENGTH, &header::CONTENT_TYPE, &header::LINK],
        body: Body::Tags,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::NameUnknown,
        Failure::PaginationInvalid,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "List the tags of a repository",
    description: "In byte order. At most `tags.maxtags` in one answer: a larger `n` is cut to it, and without `n` it is \
        the page size. `Link` is present exactly when there is more.",
};
