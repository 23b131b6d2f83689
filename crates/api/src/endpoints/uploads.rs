//! `/v2/<name>/blobs/uploads/` and the sessions below it.

use crate::endpoint::{Access, Body, Endpoint, EndpointId, Success};
use crate::header::Header;
use crate::{Failure, Method, Resource, Status, header, parameter};

const SESSION_HEADERS: &[&Header] = &[&header::LOCATION, &header::RANGE, &header::UPLOAD_UUID];

const STORED: Success = Success {
    status: Status::Created,
    when: "The blob is durable and belongs to the repository. `Location` is where it can be pulled.",
    headers: &[&header::CONTENT_DIGEST, &header::LOCATION],
    body: Body::Empty,
};

pub(crate) const START: Endpoint = Endpoint {
    id: EndpointId::UploadStart,
    operation: "upload_start",
    resource: Resource::Uploads,
    methods: &[Method::Post],
    clauses: &["end-4a", "end-4b", "end-4c", "end-11"],
    access: Access::PullPush,
    parameters: &[
        &parameter::UPLOAD_DIGEST,
        &parameter::DIGEST_ALGORITHM,
        &parameter::MOUNT,
        &parameter::FROM,
    ],
    request_headers: &[&header::AUTHORIZATION, &header::CONTENT_LENGTH, &header::EXPECT],
    request_body: Body::Blob,
    successes: &[
        Success { when: "`mount` found the blob, or the body was the blob that `digest` names.", ..STORED },
        Success {
            status: Status::Accepted,
            when: "A session is open; also whenever a mount is not possible, for whatever reason.",
            headers: &[&header::LOCATION, &header::RANGE, &header::UPLOAD_UUID, &header::CHUNK_MIN_LENGTH],
            body: Body::Empty,
        },
    ],
    failures: &[
        Failure::NameInvalid,
        Failure::DigestInvalid,
        Failure::DigestMismatch,
        Failure::AlgorithmUnsupported,
        Failure::BlobTooLarge,
        Failure::ReadOnly,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Open an upload, mount a blob, or push one whole",
    description: "Without parameters a session is opened, which costs the store nothing until bytes arrive. With \
        `digest` the body is the blob. With `mount` a blob of another repository is taken over without its bytes, if \
        the caller may pull it there; a session is opened otherwise. The path works without its last slash as well. \
        Any `Content-Type` is accepted, and unknown parameters are ignored.",
};

pub(crate) const STATUS: Endpoint = Endpoint {
    id: EndpointId::UploadStatus,
    operation: "upload_status",
    resource: Resource::Upload,
    methods: &[Method::Get, Method::Head],
    clauses: &["end-13"],
    access: Access::PullPush,
    parameters: &[&parameter::STATE],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::NoContent,
        when: "The session is open. `Range` says how far it got, whichever replica took the bytes.",
        headers: SESSION_HEADERS,
        body: Body::Empty,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::UploadUnknown,
        Failure::UploadInvalid,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Ask how far an upload got",
    description: "The way to resume after a lost answer: go on from the byte after `Range`, at the new `Location`.",
};

pub(crate) const APPEND: Endpoint = Endpoint {
    id: EndpointId::UploadAppend,
    operation: "upload_append",
    resource: Resource::Upload,
    methods: &[Method::Patch],
    clauses: &["end-5"],
    access: Access::PullPush,
    parameters: &[&parameter::STATE],
    request_headers: &[
        &header::AUTHORIZATION,
        &header::CONTENT_LENGTH,
        &header::CONTENT_RANGE,
        &header::EXPECT,
    ],
    request_body: Body::Blob,
    successes: &[Success {
        status: Status::Accepted,
        when: "The bytes are durable. The next request goes to the new `Location`.",
        headers: SESSION_HEADERS,
        body: Body::Empty,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::UploadUnknown,
        Failure::UploadInvalid,
        Failure::ContentRangeInvalid,
        Failure::ChunkOutOfOrder,
        Failure::SizeInvalid,
        Failure::BlobTooLarge,
        Failure::ReadOnly,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Append to an upload",
    description: "One chunk, or the whole blob as a stream of unknown length. Without `Content-Range` the bytes go where \
        the upload stands; with it they must begin there. Chunks may have any size. Of two requests at the same \
        place one wins, and the other learns the true `Range`. What arrived before a broken connection is kept.",
};

pub(crate) const FINISH: Endpoint = Endpoint {
    id: EndpointId::UploadFinish,
    operation: "upload_finish",
    resource: Resource::Upload,
    methods: &[Method::Put],
    clauses: &["end-6"],
    access: Access::PullPush,
    parameters: &[&parameter::FINISH_DIGEST, &parameter::STATE, &parameter::SIZE, &parameter::LENGTH],
    request_headers: &[
        &header::AUTHORIZATION,
        &header::CONTENT_LENGTH,
        &header::CONTENT_RANGE,
        &header::EXPECT,
    ],
    request_body: Body::Blob,
    successes: &[STORED],
    failures: &[
        Failure::NameInvalid,
        Failure::DigestInvalid,
        Failure::DigestMismatch,
        Failure::UploadUnknown,
        Failure::UploadInvalid,
        Failure::ContentRangeInvalid,
        Failure::ChunkOutOfOrder,
        Failure::SizeInvalid,
        Failure::BlobTooLarge,
        Failure::ReadOnly,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Finish an upload",
    description: "The body is the last chunk, the whole blob, or empty. Takes the same time for every size, because \
        nothing is copied or read again. When the answer was lost, the same request may be sent again and gives 201 \
        again. A wrong digest ends the session; a missing or malformed one does not.",
};

pub(crate) const CANCEL: Endpoint = Endpoint {
    id: EndpointId::UploadCancel,
    operation: "upload_cancel",
    resource: Resource::Upload,
    methods: &[Method::Delete],
    clauses: &["end-14"],
    access: Access::PullPush,
    parameters: &[&parameter::STATE],
    request_headers: &[&header::AUTHORIZATION],
    request_body: Body::Empty,
    successes: &[Success {
        status: Status::NoContent,
        when: "The session is gone and its bytes are freed.",
        headers: &[],
        body: Body::Empty,
    }],
    failures: &[
        Failure::NameInvalid,
        Failure::UploadUnknown,
        Failure::UploadInvalid,
        Failure::ReadOnly,
        Failure::Unauthorized,
        Failure::Denied,
        Failure::Unavailable,
    ],
    summary: "Cancel an upload",
    description: "The token in the query may be missing, because old clients build this address themselves; one that \
        is there must be good.",
};
