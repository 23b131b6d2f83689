//! `/v2/`: is this a registry, and am I let in?

use crate::endpoint::{Access, Body, Endpoint, EndpointId, Success};
use crate::{Failure, Method, Resource, Status, header};

pub(crate) const BASE_REDIRECT: Endpoint = Endpoint {
    id: EndpointId::BaseRedirect,
    operation: "base_redirect",
    resource: Resource::BareBase,
    methods: &[Method::Get, Method::Head],
    clauses: &[],
    access: Access::None,
    parameters: &[],
    request_headers: &[],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::MovedPermanently,
        when: "Always.",
        headers: &[&header::LOCATION],
        body: Body::Empty,
    }],
    failures: &[],
    summary: "Lead to the base",
    description: "`Location` is `/v2/`, below `http.prefix` if one is configured.",
};

pub(crate) const BASE: Endpoint = Endpoint {
    id: EndpointId::Base,
    operation: "base",
    resource: Resource::Base,
    methods: &[Method::Get, Method::Head],
    clauses: &["end-1"],
    access: Access::Base,
    parameters: &[],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::Ok,
        when: "The registry speaks this API and lets the caller in.",
        headers: &[&header::CONTENT_LENGTH, &header::CONTENT_TYPE],
        body: Body::EmptyObject,
    }],
    failures: &[Failure::Unauthorized],
    summary: "Check the API and the credentials",
    description: "Clients log in with this request. It does not touch the store.",
};
