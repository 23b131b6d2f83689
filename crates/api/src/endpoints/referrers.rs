//! `/v2/<name>/referrers/<digest>`.

use crate::endpoint::{Access, Body, Endpoint, EndpointId, Success};
use crate::{Failure, Method, Resource, Status, header, parameter};

pub(crate) const LIST: Endpoint = Endpoint {
    id: EndpointId::ReferrersList,
    operation: "referrers_list",
    resource: Resource::Referrers,
    methods: &[Method::Get, Method::Head],
    clauses: &["end-12a", "end-12b"],
    access: Access::Pull,
    parameters: &[&parameter::ARTIFACT_TYPE, &parameter::LAST],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::Ok,
        when: "Always, if name and digest are well formed: an unknown subject has no referrers.",
        headers: &[&header::CONTENT_LENGTH, &header::CONTENT_TYPE, &header::FILTERS_APPLIED, &header::LINK],
        body: Body::Referrers,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::DigestInvalid,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "List the manifests that name a subject",
    description: "An OCI image index of signatures, SBOMs and the like. `Content-Type` is the index type without \
        parameters, because clients compare it letter by letter. Manifests listed under the fallback tag of the \
        subject are included. Never 404: clients would take it for a registry without this API. `OCI-Filters-Applied` \
        is present when `artifactType` was given; `Link` when one answer could not hold all.",
};
