//! Every success the table lists, reached, and the whole answer kept as a golden file.

use entrepot_api::{EndpointId, Status, successes};
use entrepot_oci::Digest;
use entrepot_tests::http::Response;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::with_query;
use entrepot_tests::registry::{Setup, assert_golden};

use super::sample::{Content, NAME};

/// Reaches every status of every endpoint. A redirect to the store is only given where blobs are redirected,
/// and then nothing else is: it is reached apart.
fn every_listed_success_can_be_reached(setup: Setup) {
    let setup = setup.fixed();
    for row in entrepot_api::ENDPOINTS {
        let listed = successes().filter(|(id, status)| *id == row.id && *status != Status::TemporaryRedirect);
        let answers: Vec<_> = listed
            .map(|(id, status)| {
                let answer = reach(&setup, id, status).expect(status.code());
                let success = row.successes.iter().find(|success| success.status == status).unwrap();
                for header in success.headers {
                    let conditional = ["link", "oci-filters-applied", "oci-subject", "oci-tag"];
                    let sometimes = conditional.contains(&header.field)
                        || header.field == "content-range"
                            && answer.expect_header("Content-Type").starts_with("multipart")
                        || header.field == "oci-chunk-min-length";
                    assert!(sometimes || !answer.all(header.field).is_empty(), "{} in {answer}", header.name);
                }
                (format!("{id:?} {status}"), answer)
            })
            .collect();
        assert_golden(&format!("answers/{}", row.operation), &answers);
    }
}

fn reach(setup: &Setup, id: EndpointId, status: Status) -> Response {
    let registry = setup.start();
    let content = Content::prepare(&registry);
    let sample = || content.sample(id, &registry);
    match (id, status) {
        (_, Status::NotModified) => sample().header("If-None-Match", "*").send(),
        (EndpointId::BlobGet, Status::PartialContent) => sample().header("Range", "bytes=2-5").send(),
        (EndpointId::UploadStart, Status::Created) => {
            let digest = Digest::sha256(&content.image.layer);
            let query = format!("mount={digest}&from={NAME}");
            let target = with_query("/v2/other/blobs/uploads/", &query);
            registry.post(target).header("X-Request-ID", "sample").empty().send()
        }
        _ => sample().send(),
    }
}

on_every_store![every_listed_success_can_be_reached];

#[test]
fn a_redirect_to_the_store_says_where_and_no_more() {
    let registry = Setup::redirecting().fixed().start();
    let content = Content::prepare(&registry);

    let answer = content.sample(EndpointId::BlobGet, &registry).send().expect(307);

    assert_golden("answers/blob_get_redirected", &[("BlobGet 307".to_owned(), answer)]);
}
