//! The table: one row per operation, and the questions others ask of it.

use crate::endpoints::{base, blobs, catalog, manifests, referrers, tags, uploads};
use crate::header::Header;
use crate::parameter::Parameter;
use crate::{Failure, Method, Resource, Status};

/// Names an operation. The front end maps it to a handler in a `match` without `_`, so a new row does
/// not compile before somebody serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointId {
    /// `GET /v2`
    BaseRedirect,
    /// `GET /v2/`
    Base,
    /// `GET` of a manifest
    ManifestGet,
    /// `HEAD` of a manifest
    ManifestHead,
    /// `PUT` of a manifest
    ManifestPut,
    /// `DELETE` of a manifest or tag
    ManifestDelete,
    /// `GET` of a blob
    BlobGet,
    /// `HEAD` of a blob
    BlobHead,
    /// `DELETE` of a blob
    BlobDelete,
    /// `POST`: open an upload, mount a blob, or push one in a single request
    UploadStart,
    /// `GET` of an upload session
    UploadStatus,
    /// `PATCH` of an upload session
    UploadAppend,
    /// `PUT` of an upload session
    UploadFinish,
    /// `DELETE` of an upload session
    UploadCancel,
    /// `GET` of the tags of a repository
    TagsList,
    /// `GET` of the catalog
    CatalogList,
    /// `GET` of the referrers of a subject
    ReferrersList,
    /// `GET` of the tags of a manifest
    ManifestTagsList,
}

/// What a caller must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Nothing.
    None,
    /// Be known at all; the check clients log in with.
    Base,
    /// `pull` on the repository.
    Pull,
    /// `pull` and `push` on the repository.
    PullPush,
    /// `delete` on the repository.
    Delete,
    /// `*` on `registry:catalog`.
    Catalog,
}

impl Access {
    /// The actions on the repository, as a token's scope writes them; none where no repository is involved.
    pub const fn repository_actions(self) -> &'static [&'static str] {
        match self {
            Access::None | Access::Base | Access::Catalog => &[],
            Access::Pull => &["pull"],
            Access::PullPush => &["pull", "push"],
            Access::Delete => &["delete"],
        }
    }
}

/// The body of a request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// `{}`.
    EmptyObject,
    /// A manifest, exactly as pushed.
    Manifest,
    /// Bytes of a blob.
    Blob,
    /// Bytes of a blob, or several ranges of it as `multipart/byteranges`.
    BlobRanges,
    /// [`crate::body::TagList`].
    Tags,
    /// [`crate::body::Catalog`].
    Catalog,
    /// An OCI image index that lists referrers.
    Referrers,
    /// [`crate::body::ManifestTags`].
    ManifestTags,
}

/// One way to succeed.
#[derive(Clone, Copy, Debug)]
pub struct Success {
    /// The status.
    pub status: Status,
    /// When this answer is given.
    pub when: &'static str,
    /// Headers of the answer, beside those of every answer. Some are conditional, as they say themselves.
    pub headers: &'static [&'static Header],
    /// The body; absent in answers to HEAD.
    pub body: Body,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Which one.
    pub id: EndpointId,
    /// Its name in metric labels, logs and documents.
    pub operation: &'static str,
    /// The path.
    pub resource: Resource,
    /// The methods; GET and HEAD share a row where HEAD is GET without the body.
    pub methods: &'static [Method],
    /// The clauses of the distribution specification; empty for extensions.
    pub clauses: &'static [&'static str],
    /// What the caller must be allowed to do.
    pub access: Access,
    /// Query parameters. Others are ignored.
    pub parameters: &'static [&'static Parameter],
    /// Request headers with a meaning here.
    pub request_headers: &'static [&'static Header],
    /// The body of the request.
    pub request_body: Body,
    /// How it succeeds.
    pub successes: &'static [Success],
    /// How it fails, in ways a test can provoke from outside.
    pub failures: &'static [Failure],
    /// One line.
    pub summary: &'static str,
    /// A paragraph.
    pub description: &'static str,
}

/// The table, in the order of [`EndpointId`].
pub const ENDPOINTS: &[Endpoint] = &[
    base::BASE_REDIRECT,
    base::BASE,
    manifests::GET,
    manifests::HEAD,
    manifests::PUT,
    manifests::DELETE,
    blobs::GET,
    blobs::HEAD,
    blobs::DELETE,
    uploads::START,
    uploads::STATUS,
    uploads::APPEND,
    uploads::FINISH,
    uploads::CANCEL,
    tags::LIST,
    catalog::LIST,
    referrers::LIST,
    manifests::TAGS,
];

/// What to do with a method on a resource.
#[derive(Clone, Copy, Debug)]
pub enum Route {
    /// Serve this row.
    Endpoint(&'static Endpoint),
    /// Answer `OPTIONS` with this `Allow` (and what cross-origin rules add to it).
    Options(&'static str),
    /// Refuse with [`Failure::MethodUnsupported`] and this `Allow`.
    MethodUnsupported(&'static str),
}

/// The row that serves `method` on `resource`. Of several rows that might, there is exactly one.
pub fn endpoint(resource: Resource, method: Method) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|row| row.resource == resource && row.methods.contains(&method))
}

/// As [`endpoint`], from the method's token, with an answer for every other method.
pub fn route(resource: Resource, method: &str) -> Route {
    match Method::parse(method) {
        Some(Method::Options) => Route::Options(resource.allow()),
        Some(method) => match endpoint(resource, method) {
            Some(row) => Route::Endpoint(row),
            None => Route::MethodUnsupported(resource.allow()),
        },
        None => Route::MethodUnsupported(resource.allow()),
    }
}

/// Every failure an endpoint lists: what the tests have to provoke, one case each.
pub fn failures() -> impl Iterator<Item = (EndpointId, Failure)> {
    ENDPOINTS.iter().flat_map(|row| row.failures.iter().map(|failure| (row.id, *failure)))
}

/// Every successful status an endpoint lists: what the tests have to reach, one case each.
pub fn successes() -> impl Iterator<Item = (EndpointId, Status)> {
    ENDPOINTS.iter().flat_map(|row| row.successes.iter().map(|success| (row.id, success.status)))
}

impl EndpointId {
    /// The row.
    pub fn endpoint(self) -> &'static Endpoint {
        &ENDPOINTS[self as usize]
    }

    /// The operation's name, for metric labels and logs.
    pub fn as_str(self) -> &'static str {
        self.endpoint().operation
    }
}

impl Endpoint {
    /// Whether the request carries a body that the operation reads.
    pub fn has_request_body(&self) -> bool {
        self.request_body != Body::Empty
    }

    /// Whether the operation changes the store, so that a read-only registry refuses it.
    pub fn writes(&self) -> bool {
        self.failures.contains(&Failure::ReadOnly)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_its_identifiers() {
        for (place, row) in ENDPOINTS.iter().enumerate() {
            assert_eq!(row.id as usize, place, "{:?}", row.id);
            assert_eq!(row.id.endpoint().operation, row.operation);
        }
    }

    #[test]
    fn every_resource_and_method_has_at_most_one_row() {
        for resource in Resource::ALL {
            for method in Method::ALL {
                let serves = |row: &&Endpoint| row.resource == *resource && row.methods.contains(&method);
                assert!(ENDPOINTS.iter().filter(serves).count() <= 1, "{method} {}", resource.template());
            }
        }
    }

    #[test]
    fn every_resource_is_served_and_what_can_be_read_can_be_asked_for_by_head() {
        for resource in Resource::ALL {
            assert!(ENDPOINTS.iter().any(|row| row.resource == *resource), "{resource:?}");
            let read = endpoint(*resource, Method::Get).is_some();
            assert_eq!(read, endpoint(*resource, Method::Head).is_some(), "{resource:?}");
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let names: HashSet<_> = ENDPOINTS.iter().map(|row| row.operation).collect();
        assert_eq!(names.len(), ENDPOINTS.len());
    }

    #[test]
    fn unknown_and_unserved_methods_are_refused_with_allow() {
        for method in ["PATCH", "TRACE", "get"] {
            let Route::MethodUnsupported(allow) = route(Resource::Manifest, method) else {
                panic!("{method} must be refused");
            };
            assert_eq!(allow, "GET, HEAD, PUT, DELETE, OPTIONS");
        }
        assert!(matches!(route(Resource::Uploads, "OPTIONS"), Route::Options("POST, OPTIONS")));
        assert!(
            matches!(route(Resource::Blob, "HEAD"), Route::Endpoint(row) if row.id == EndpointId::BlobHead)
        );
    }

    #[test]
    fn rows_fail_as_their_path_their_access_and_their_method_imply() {
        for row in ENDPOINTS {
            let fails = |failure| row.failures.contains(&failure);
            let named = row.resource.parameters().contains(&&crate::parameter::NAME);
            let guarded = row.access != Access::None;
            let changes = row.methods.iter().any(|method| !matches!(method, Method::Get | Method::Head));
            assert_eq!(named, fails(Failure::NameInvalid), "{:?}", row.id);
            assert_eq!(guarded, fails(Failure::Unauthorized), "{:?}", row.id);
            assert_eq!(guarded && row.access != Access::Base, fails(Failure::Denied), "{:?}", row.id);
            assert_eq!(changes, row.writes(), "{:?}", row.id);
        }
    }

    #[test]
    fn rows_list_nothing_twice() {
        for row in ENDPOINTS {
            let failures: HashSet<_> = row.failures.iter().collect();
            let statuses: HashSet<_> = row.successes.iter().map(|success| success.status).collect();
            assert_eq!(failures.len(), row.failures.len(), "{:?}", row.id);
            assert_eq!(statuses.len(), row.successes.len(), "{:?}", row.id);
            assert!(row.successes.iter().all(|success| success.status.code() < 400), "{:?}", row.id);
        }
        assert_eq!(failures().count(), ENDPOINTS.iter().map(|row| row.failures.len()).sum::<usize>());
        assert_eq!(successes().count(), ENDPOINTS.iter().map(|row| row.successes.len()).sum::<usize>());
    }

    #[test]
    fn an_answer_about_content_names_its_digest() {
        for id in
            [EndpointId::ManifestGet, EndpointId::BlobGet, EndpointId::BlobHead, EndpointId::UploadFinish]
        {
            for success in id.endpoint().successes {
                assert!(
                    success.headers.contains(&&crate::header::CONTENT_DIGEST),
                    "{id:?} {}",
                    success.status
                );
            }
        }
    }
}
