//! One request for each endpoint that succeeds as it stands, for tests that spoil one thing about it.

use entrepot_api::{EndpointId, endpoint};
use entrepot_oci::Digest;
use entrepot_tests::http::{Client, Request};
use entrepot_tests::registry::Image;
use entrepot_tests::registry::content::with_digest;

/// The repository samples are about. [`Doorman`](entrepot_tests::registry::Doorman) keeps it from bob.
pub(super) const NAME: &str = "private/app";

/// The bytes samples upload.
pub(super) const BYTES: &[u8] = b"uploaded by a sample";

/// What lies in the registry before a sample is sent.
pub(super) struct Content {
    /// An image under `v1`.
    pub(super) image: Image,
    /// A blob no manifest names.
    pub(super) blob: Digest,
    /// An open session without bytes.
    pub(super) upload: String,
}

impl Content {
    pub(super) fn prepare(client: &Client) -> Self {
        let image = Image::called("sample");
        client.push_image(NAME, "v1", &image);
        let blob = client.push_blob(NAME, b"a blob no manifest names");
        Self { image, blob, upload: client.open_upload(NAME) }
    }

    /// The sample of an endpoint.
    pub(super) fn sample<'c>(&self, id: EndpointId, client: &'c Client) -> Request<'c> {
        self.sample_at(id, client, NAME)
    }

    /// The sample of an endpoint, about another repository.
    pub(super) fn sample_at<'c>(&self, id: EndpointId, client: &'c Client, name: &str) -> Request<'c> {
        let method = id.endpoint().methods[0].as_str();
        let request = client.request(method, self.target(id, name)).header("X-Request-ID", "sample");
        match id {
            EndpointId::ManifestPut => request
                .header("Content-Type", self.image.manifest.media_type.as_str())
                .body(self.image.manifest.bytes.clone()),
            EndpointId::UploadStart => request.empty(),
            EndpointId::UploadAppend | EndpointId::UploadFinish => request.body(BYTES),
            _ => request,
        }
    }

    /// The address of an endpoint's sample.
    pub(super) fn target(&self, id: EndpointId, name: &str) -> String {
        let digest = self.image.digest();
        let upload = self.upload.replacen(NAME, name, 1);
        match id {
            EndpointId::BaseRedirect => "/v2".to_owned(),
            EndpointId::Base => "/v2/".to_owned(),
            EndpointId::ManifestGet | EndpointId::ManifestHead | EndpointId::ManifestDelete => {
                format!("/v2/{name}/manifests/v1")
            }
            EndpointId::ManifestPut => format!("/v2/{name}/manifests/v2"),
            EndpointId::BlobGet | EndpointId::BlobHead | EndpointId::BlobDelete => {
                format!("/v2/{name}/blobs/{}", self.blob)
            }
            EndpointId::UploadStart => format!("/v2/{name}/blobs/uploads/"),
            EndpointId::UploadStatus | EndpointId::UploadAppend | EndpointId::UploadCancel => upload,
            EndpointId::UploadFinish => with_digest(&upload, Digest::sha256(BYTES)),
            EndpointId::TagsList => format!("/v2/{name}/tags/list"),
            EndpointId::CatalogList => "/v2/_catalog".to_owned(),
            EndpointId::ReferrersList => format!("/v2/{name}/referrers/{digest}"),
            EndpointId::ManifestTagsList => format!("/v2/{name}/_ext/manifests/{digest}/tags"),
        }
    }
}

/// The target of `id`'s sample with its last path segment, or the one before `/tags`, replaced.
pub(super) fn about(id: EndpointId, argument: &str) -> String {
    match id {
        EndpointId::ManifestTagsList => format!("/v2/{NAME}/_ext/manifests/{argument}/tags"),
        EndpointId::ReferrersList => format!("/v2/{NAME}/referrers/{argument}"),
        EndpointId::BlobGet | EndpointId::BlobHead | EndpointId::BlobDelete => {
            format!("/v2/{NAME}/blobs/{argument}")
        }
        _ => format!("/v2/{NAME}/manifests/{argument}"),
    }
}

/// Every row of the table has a sample that the table itself would route to the row.
#[test]
fn each_sample_leads_to_its_endpoint() {
    let image = Image::called("sample");
    let blob = Digest::sha256(b"");
    let content = Content { image, blob, upload: format!("/v2/{NAME}/blobs/uploads/0190-ab?_state=x") };
    for row in entrepot_api::ENDPOINTS {
        let target = content.target(row.id, NAME);
        let path = target.split('?').next().unwrap();
        let found = entrepot_api::match_path(path).unwrap_or_else(|| panic!("{path} leads nowhere"));
        assert_eq!(endpoint(found.resource, row.methods[0]).unwrap().id, row.id, "{path}");
    }
}
