//! What `entrepot doctor` tells the operator of each store.

use entrepot_tests::server::{self, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};

use crate::home;

/// What is said of a store the registry can use as it is configured.
const GOOD: [&str; 7] = [
    "a conditional put replaces only the version it names",
    "of conditional puts at the same time exactly one wins",
    "a late part of another writer never gets into an object",
    "an upload may be completed again after a lost answer",
    "listings are in byte order and go on where they are asked to",
    "the store's clock agrees with ours",
    "fetched from ",
];

fn finds_no_fault(store: Option<ObjectStore>) {
    let Some(store) = store else { return };

    let (is_well, said) = server::doctor(home().path(), &Storage::Object(store), "");

    assert!(is_well, "{said}");
    for sentence in GOOD {
        assert!(said.contains(sentence), "{sentence} is missing in\n{said}");
    }
}

#[test]
fn the_main_s3_is_well() {
    finds_no_fault(ObjectStore::find(Kind::S3));
}

/// Its certificate is of no public authority's, and the binary is told of it by `SSL_CERT_FILE` only: so is what
/// fetches a presigned URL.
#[test]
fn an_s3_with_a_certificate_of_its_own_authority_is_well() {
    finds_no_fault(ObjectStore::find_other_s3("ENTREPOT_TEST_S3_HTTPS"));
}

#[test]
fn ceph_is_well() {
    finds_no_fault(ObjectStore::find_other_s3("ENTREPOT_TEST_S3_CEPH"));
}

#[test]
fn azure_is_well() {
    finds_no_fault(ObjectStore::find(Kind::Azure));
}

#[test]
fn google_is_well() {
    finds_no_fault(ObjectStore::find(Kind::Gcs));
}

#[test]
fn a_ceph_that_takes_no_quotes_gets_the_setting_that_helps() {
    let Some(store) = ObjectStore::find_other_s3("ENTREPOT_TEST_S3_CEPH") else { return };

    let (is_well, said) = server::doctor(home().path(), &Storage::Object(store.without("bare_etags")), "");

    assert!(!is_well, "{said}");
    assert!(said.contains("storage.s3.bareetags: true"), "{said}");
}
