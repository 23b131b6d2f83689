//! `/v2/<name>/blobs/<digest>`.

use crate::endpoint::{Access, Body, Endpoint, EndpointId, Success};
use crate::{Failure, Method, Resource, Status, header, parameter};

pub(crate) const GET: Endpoint = Endpoint {
    id: EndpointId::BlobGet,
    operation: "blob_get",
    resource: Resource::Blob,
    methods: &[Method::Get],
    clauses: &["end-2"],
    access: Access::Pull,
    parameters: &[&parameter::NS],
    request_headers: &[&header::AUTHORIZATION, &header::IF_NONE_MATCH, &header::IF_RANGE, &header::RANGE],
    request_body: Body::Empty,
    successes: &[
        Success {
            status: Status::Ok,
            when: "The whole blob.",
            headers: &[
                &header::ACCEPT_RANGES,
                &header::CACHE_CONTROL,
                &header::CONTENT_LENGTH,
                &header::CONTENT_TYPE,
                &header::CONTENT_DIGEST,
                &header::ETAG,
            ],
            body: Body::Blob,
        },
        Success {
            status: Status::PartialContent,
            when: "`Range` asks for one range, or for a few small ones, which come as `multipart/byteranges`.",
            headers: &[
                &header::ACCEPT_RANGES,
                &header::CACHE_CONTROL,
                &header::CONTENT_LENGTH,
                &header::CONTENT_RANGE,
                &header::CONTENT_TYPE,
                &header::CONTENT_DIGEST,
                &header::ETAG,
            ],
            body: Body::BlobRanges,
        },
        Success {
            status: Status::NotModified,
            when: "`If-None-Match` names the digest.",
            headers: &[&header::CACHE_CONTROL, &header::CONTENT_DIGEST, &header::ETAG],
            body: Body::Empty,
        },
        Success {
            status: Status::TemporaryRedirect,
            when: "The store serves the bytes itself: `Location` is a signed address, good for `Range` requests too.",
            headers: &[&header::CACHE_CONTROL, &header::CONTENT_DIGEST, &header::LOCATION],
            body: Body::Empty,
        },
    ],
    failures: &[
        Failure::NameInvalid,
        Failure::DigestInvalid,
        Failure::BlobUnknown,
        Failure::RangeUnsatisfiable,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Pull a blob",
    description: "A blob is served only through a repository that holds it. The body is never content-encoded. When \
        stored bytes turn out damaged, the connection is cut before the last byte. A repository that does not \
        exist answers like one without the blob. The digest of a manifest of the repository works as well.",
};

pub(crate) const HEAD: Endpoint = Endpoint {
    id: EndpointId::BlobHead,
    operation: "blob_head",
    methods: &[Method::Head],
    request_headers: &[&header::AUTHORIZATION],
    successes: &[Success {
        status: Status::Ok,
        when: "The repository holds the blob.",
        headers: &[
            &header::ACCEPT_RANGES,
            &header::CACHE_CONTROL,
            &header::CONTENT_LENGTH,
            &header::CONTENT_TYPE,
            &header::CONTENT_DIGEST,
            &header::ETAG,
        ],
        body: Body::Blob,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::DigestInvalid,
        Failure::BlobUnknown,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Ask whether a repository holds a blob",
    description: "Never redirected and always about the whole blob: clients treat any status but 200 and 404 as fatal.",
    ..GET
};

pub(crate) const DELETE: Endpoint = Endpoint {
    id: EndpointId::BlobDelete,
    operation: "blob_delete",
    resource: Resource::Blob,
    methods: &[Method::Delete],
    clauses: &["end-10"],
    access: Access::Delete,
    parameters: &[],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::Accepted,
        when: "The repository no longer holds the blob.",
        headers: &[],
        body: Body::Empty,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::DigestInvalid,
        Failure::BlobUnknown,
        Failure::DeleteDisabled,
        Failure::StillReferenced,
        Failure::ReadOnly,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Remove a blob from a repository",
    description: "Other repositories keep it. Refused while a manifest of this repository names the blob. Space is \
        reclaimed later.",
};
