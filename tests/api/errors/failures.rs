//! Every failure the table lists, provoked from outside, and the whole answer kept as a golden file.
//!
//! [`provoke`] is a `match` over all failures: one that is listed for an endpoint and cannot be provoked
//! there fails the endpoint's test, and one that is new does not compile.

use entrepot_api::{EndpointId, Failure, Method, failures};
use entrepot_oci::Digest;
use entrepot_oci::manifest::build;
use entrepot_oci::media_type::{OCI_LAYER_GZIP, OCI_MANIFEST};
use entrepot_storage::ErrorKind;
use entrepot_storage::decorate::{Effect, Rule};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{descriptor, with_digest, with_query};
use entrepot_tests::registry::{Setup, assert_golden};

use super::sample::{BYTES, Content, NAME, about};

/// Provokes everything `id` lists and compares it with the table and the golden file.
fn provoke_all(setup: &Setup, id: EndpointId) {
    let setup = setup.clone().fixed();
    let listed = failures().filter(|(endpoint, _)| *endpoint == id);
    let answers: Vec<_> = listed
        .map(|(_, failure)| {
            let answer = provoke(&setup, id, failure);
            if id.endpoint().methods == [Method::Head] {
                answer.has_refusal_head(failure);
                (failure.as_str().to_owned(), answer)
            } else {
                (failure.as_str().to_owned(), answer.refused(failure))
            }
        })
        .collect();
    assert_golden(&format!("failures/{}", id.as_str()), &answers);
}

fn provoke(setup: &Setup, id: EndpointId, failure: Failure) -> Response {
    let content = Content::prepare(&setup.start());
    let plain = setup.start();
    let method = id.endpoint().methods[0].as_str();
    let at = |target: String| plain.request(method, target).header("X-Request-ID", "sample");
    match failure {
        Failure::NameInvalid => content.sample_at(id, &plain, "Not/A/Name").send(),
        Failure::NameUnknown => content.sample_at(id, &plain, "never/seen").send(),
        Failure::TagInvalid => put_manifest(&plain, &content, "-tag"),
        Failure::ManifestUnknown => at(about(id, &absent(id))).send(),
        Failure::ManifestInvalid => {
            at(about(id, "v2")).header("Content-Type", OCI_MANIFEST).body("{}").send()
        }
        Failure::ManifestTooLarge => {
            let small = setup.clone().domain(|config| config.max_manifest_bytes = 100).start();
            content.sample(id, &small).send()
        }
        Failure::ManifestBlobUnknown => {
            let missing = build::Image::oci(descriptor(OCI_LAYER_GZIP, b"missing")).build();
            let put = at(about(id, "v2")).header("Content-Type", OCI_MANIFEST);
            put.body(missing.bytes).send()
        }
        Failure::TagConditionFailed => content.sample(id, &plain).header("If-Match", "*").send(),
        Failure::TooManyTags => {
            let few = setup.clone().domain(|config| config.max_tags_per_push = 1).start();
            put_manifest(&few, &content, &format!("{}?tag=a&tag=b", content.image.digest()))
        }
        Failure::DigestInvalid => invalid_digest(&plain, &content, id),
        Failure::DigestMismatch => mismatched_digest(&plain, &content, id),
        Failure::AlgorithmUnsupported => {
            at(with_query(&content.target(id, NAME), "digest-algorithm=md5")).empty().send()
        }
        Failure::BlobUnknown => at(about(id, &Digest::sha256(b"absent").to_string())).send(),
        Failure::BlobTooLarge => {
            let small = setup.clone().domain(|config| config.max_blob_bytes = Some(5)).start();
            let target = match id {
                EndpointId::UploadStart => with_digest(&content.target(id, NAME), Digest::sha256(BYTES)),
                _ => content.target(id, NAME),
            };
            small.request(method, target).header("X-Request-ID", "sample").body(BYTES).send()
        }
        Failure::UploadUnknown => {
            let patched = plain.patch(&content.upload).body("content").send().expect(202);
            let upload = patched.expect_header("Location").to_owned();
            plain.delete(&upload).send().expect(204);
            Content { upload, ..content }.sample(id, &plain).send()
        }
        Failure::UploadInvalid => {
            let path = content.upload.split('?').next().unwrap();
            let damaged = format!("{path}?_state=damaged&digest={}", Digest::sha256(BYTES));
            at(damaged).body(BYTES).send()
        }
        Failure::ChunkOutOfOrder => {
            plain.patch(&content.upload).body(b"01234").send().expect(202);
            content.sample(id, &plain).header("Content-Range", "1-20").send()
        }
        Failure::ContentRangeInvalid => content.sample(id, &plain).header("Content-Range", "some").send(),
        Failure::SizeInvalid => content.sample(id, &plain).header("Content-Range", "0-99").send(),
        Failure::RangeUnsatisfiable => content.sample(id, &plain).header("Range", "bytes=1000-").send(),
        Failure::PaginationInvalid => at(with_query(&content.target(id, NAME), "n=-1")).send(),
        Failure::DeleteDisabled => {
            let keeping = setup.clone().domain(|config| config.delete_enabled = false).start();
            content.sample(id, &keeping).send()
        }
        Failure::StillReferenced => still_referenced(&plain, &content, id),
        Failure::ReadOnly => {
            let frozen = setup.clone().domain(|config| config.read_only.everything = true).start();
            content.sample(id, &frozen).send()
        }
        Failure::Unauthorized => content.sample(id, &setup.clone().guarded().start()).send(),
        Failure::Denied => {
            let guarded = setup.clone().guarded().start();
            content.sample(id, &guarded).header("Authorization", "Bearer bob").send()
        }
        Failure::Unavailable => without_a_store(setup, &content, id),
        Failure::ManifestUnverified
        | Failure::TooManyRequests
        | Failure::MethodUnsupported
        | Failure::RouteUnknown
        | Failure::UriTooLong
        | Failure::HeadersTooLarge
        | Failure::BodyTimeout
        | Failure::Internal => panic!("{id:?} lists {failure:?}, which has no case here"),
    }
}

/// What an endpoint can be asked about that the repository does not have.
fn absent(id: EndpointId) -> String {
    match id {
        EndpointId::ManifestTagsList => Digest::sha256(b"absent").to_string(),
        _ => "absent".to_owned(),
    }
}

fn put_manifest(client: &Client, content: &Content, reference: &str) -> Response {
    let put = client.put(format!("/v2/{NAME}/manifests/{reference}")).header("X-Request-ID", "sample");
    put.header("Content-Type", OCI_MANIFEST).body(content.image.manifest.bytes.clone()).send()
}

fn invalid_digest(client: &Client, content: &Content, id: EndpointId) -> Response {
    let method = id.endpoint().methods[0].as_str();
    let target = match id {
        EndpointId::UploadStart => with_digest(&content.target(id, NAME), "sha256:short"),
        EndpointId::UploadFinish => content.upload.clone(),
        _ => about(id, "sha256:short"),
    };
    client.request(method, target).header("X-Request-ID", "sample").empty().send()
}

fn mismatched_digest(client: &Client, content: &Content, id: EndpointId) -> Response {
    let other = Digest::sha256(b"other");
    let target = match id {
        EndpointId::ManifestPut => return put_manifest(client, content, &other.to_string()),
        EndpointId::UploadFinish => with_digest(&content.upload, other),
        _ => with_digest(&content.target(id, NAME), other),
    };
    let method = id.endpoint().methods[0].as_str();
    client.request(method, target).header("X-Request-ID", "sample").body(BYTES).send()
}

fn still_referenced(client: &Client, content: &Content, id: EndpointId) -> Response {
    let index = build::Index::oci().manifest(content.image.descriptor(), None).build();
    client.push_manifest(NAME, "index", &index);
    let digest = match id {
        EndpointId::BlobDelete => Digest::sha256(&content.image.layer),
        _ => content.image.digest(),
    };
    client.delete(about(id, &digest.to_string())).header("X-Request-ID", "sample").send()
}

/// The sample of an endpoint while every call to the store fails.
fn without_a_store(setup: &Setup, content: &Content, id: EndpointId) -> Response {
    let (setup, controls) = setup.clone().breakable();
    let registry = setup.start();
    controls.add(Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: true })));
    let answer = match id {
        // Opening a session does not touch the store; a blob in one request does.
        EndpointId::UploadStart => {
            let target = with_digest(&content.target(id, NAME), Digest::sha256(BYTES));
            registry.post(target).header("X-Request-ID", "sample").body(BYTES).send()
        }
        _ => content.sample(id, &registry).send(),
    };
    assert!(controls.struck() > 0, "{id:?} did not ask the store");
    answer
}

macro_rules! one_test_for_each {
    ($($case:ident: $id:ident),+ $(,)?) => {
        $(fn $case(setup: Setup) { provoke_all(&setup, EndpointId::$id); })+
        on_every_store![$($case),+];

        #[test]
        fn no_endpoint_is_left_out() {
            let tested = [$(EndpointId::$id),+];
            for (id, failure) in failures() {
                assert!(tested.contains(&id), "nobody provokes {failure:?} of {id:?}");
            }
        }
    };
}

one_test_for_each![
    the_base_fails_as_it_says: Base,
    pulling_a_manifest_fails_as_it_says: ManifestGet,
    asking_for_a_manifest_fails_as_it_says: ManifestHead,
    pushing_a_manifest_fails_as_it_says: ManifestPut,
    deleting_a_manifest_fails_as_it_says: ManifestDelete,
    pulling_a_blob_fails_as_it_says: BlobGet,
    asking_for_a_blob_fails_as_it_says: BlobHead,
    deleting_a_blob_fails_as_it_says: BlobDelete,
    opening_an_upload_fails_as_it_says: UploadStart,
    asking_for_an_upload_fails_as_it_says: UploadStatus,
    appending_to_an_upload_fails_as_it_says: UploadAppend,
    finishing_an_upload_fails_as_it_says: UploadFinish,
    cancelling_an_upload_fails_as_it_says: UploadCancel,
    listing_tags_fails_as_it_says: TagsList,
    listing_the_catalog_fails_as_it_says: CatalogList,
    listing_referrers_fails_as_it_says: ReferrersList,
    listing_the_tags_of_a_manifest_fails_as_it_says: ManifestTagsList,
];
