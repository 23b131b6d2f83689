//! `/v2/<name>/manifests/<reference>`, and the tags of a manifest.

use crate::endpoint::{Access, Body, Endpoint, EndpointId, Success};
use crate::header::Header;
use crate::{Failure, Method, Resource, Status, header, parameter};

const CONTENT_HEADERS: &[&Header] = &[
    &header::CACHE_CONTROL,
    &header::CONTENT_LENGTH,
    &header::CONTENT_TYPE,
    &header::CONTENT_DIGEST,
    &header::ETAG,
];

const READ_SUCCESSES: &[Success] = &[
    Success {
        status: Status::Ok,
        when: "The manifest exists, whatever `Accept` says.",
        headers: CONTENT_HEADERS,
        body: Body::Manifest,
    },
    Success {
        status: Status::NotModified,
        when: "`If-None-Match` names the manifest's digest, or is `*`.",
        headers: &[&header::CACHE_CONTROL, &header::CONTENT_DIGEST, &header::ETAG],
        body: Body::Empty,
    },
];

const READ_FAILURES: &[Failure] = &[
    Failure::NameInvalid,
    Failure::DigestInvalid,
    Failure::NameUnknown,
    Failure::ManifestUnknown,
    Failure::Unauthorized,
    Failure::Denied,
    Failure::Unavailable,
];

pub(crate) const GET: Endpoint = Endpoint {
    id: EndpointId::ManifestGet,
    operation: "manifest_get",
    resource: Resource::Manifest,
    methods: &[Method::Get],
    clauses: &["end-3"],
    access: Access::Pull,
    parameters: &[&parameter::NS],
    request_headers: &[&header::ACCEPT, &header::AUTHORIZATION, &header::IF_NONE_MATCH],
    request_body: Body::Empty,
    successes: READ_SUCCESSES,
    failures: READ_FAILURES,
    summary: "Pull a manifest",
    description: "Answers with exactly the bytes that were pushed, under the media type they were pushed with. \
        By digest the answer never changes; by tag it is what the tag names at this moment.",
};

pub(crate) const HEAD: Endpoint = Endpoint {
    id: EndpointId::ManifestHead,
    operation: "manifest_head",
    methods: &[Method::Head],
    summary: "Ask for a manifest's digest, size and type",
    description: "The headers of the same GET. For a caller who may push, a 200 also promises that the manifest \
        can be referenced by the next push.",
    ..GET
};

pub(crate) const PUT: Endpoint = Endpoint {
    id: EndpointId::ManifestPut,
    operation: "manifest_put",
    resource: Resource::Manifest,
    methods: &[Method::Put],
    clauses: &["end-7a", "end-7b"],
    access: Access::PullPush,
    parameters: &[&parameter::TAG],
    request_headers: &[
        &header::AUTHORIZATION,
        &header::CONTENT_LENGTH,
        &header::CONTENT_TYPE,
        &header::EXPECT,
        &header::IF_MATCH,
        &header::IF_NONE_MATCH,
    ],
    request_body: Body::Manifest,
    successes: &[Success {
        status: Status::Created,
        when: "The manifest is durable and every tag names it. The same request again gives the same answer.",
        headers: &[&header::CONTENT_DIGEST, &header::LOCATION, &header::SUBJECT, &header::TAG],
        body: Body::Empty,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::TagInvalid,
        Failure::DigestInvalid,
        Failure::DigestMismatch,
        Failure::ManifestInvalid,
        Failure::ManifestTooLarge,
        Failure::ManifestBlobUnknown,
        Failure::TooManyTags,
        Failure::TagConditionFailed,
        Failure::ReadOnly,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Push a manifest",
    description: "Stores the bytes as they are and lets the tags name them; `Location` is the manifest by digest. \
        Everything the manifest names must be in the repository, its `subject` excepted. With a digest as \
        reference, `tag` parameters write up to `limits.max_tags_per_push` tags at once; `OCI-Tag` lists those \
        written. `OCI-Subject` is present when the manifest has a subject. A tag is written unconditionally \
        unless `If-Match` or `If-None-Match: *` says otherwise; a tag is never visible before its manifest.",
};

pub(crate) const DELETE: Endpoint = Endpoint {
    id: EndpointId::ManifestDelete,
    operation: "manifest_delete",
    resource: Resource::Manifest,
    methods: &[Method::Delete],
    clauses: &["end-9"],
    access: Access::Delete,
    parameters: &[],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::Accepted,
        when: "The tag, or the manifest with every tag that named it, is gone.",
        headers: &[],
        body: Body::Empty,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::DigestInvalid,
        Failure::NameUnknown,
        Failure::ManifestUnknown,
        Failure::DeleteDisabled,
        Failure::StillReferenced,
        Failure::ReadOnly,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Delete a tag or a manifest",
    description: "By tag, only the tag goes. By digest, the manifest and all its tags go, unless an index of the \
        repository names it. Space is reclaimed later.",
};

pub(crate) const TAGS: Endpoint = Endpoint {
    id: EndpointId::ManifestTagsList,
    operation: "manifest_tags_list",
    resource: Resource::ManifestTags,
    methods: &[Method::Get, Method::Head],
    clauses: &[],
    access: Access::Pull,
    parameters: &[],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::Ok,
        when: "The manifest exists. The list may be empty.",
        headers: &[&header::CONTENT_LENGTH, &header::CONTENT_TYPE],
        body: Body::ManifestTags,
    }],
    failures: READ_FAILURES,
    summary: "List the tags of a manifest",
    description: "An extension of this registry: which tags of the repository name this digest at the moment, \
        in byte order and in one answer.",
};
