//! Stores with habits of their own, and an operator who was not told of them.

use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::ObjectStore;

use crate::home;

/// How a server that is not to be used with `store` as it is says so.
fn refusal(store: ObjectStore) -> String {
    let home = home();
    let said = Server::refusing(home.path(), &Storage::Object(store), "");
    assert!(said.contains("never run more than one process"), "{said}");
    said
}

#[test]
fn a_ceph_that_takes_no_quotes_is_refused_with_the_setting_that_helps() {
    let Some(store) = ObjectStore::find_other_s3("ENTREPOT_TEST_S3_CEPH") else { return };

    let said = refusal(store.without("bare_etags"));

    assert!(said.contains("a put over the version that is there is refused"), "{said}");
    assert!(said.contains("`storage.s3.bareetags: true`"), "{said}");
}

#[test]
fn a_garage_that_may_have_several_replicas_is_refused() {
    let Some(store) = ObjectStore::find_other_s3("ENTREPOT_TEST_S3_GARAGE") else { return };

    let said = refusal(store.without("conditional_put"));

    assert!(said.contains("a put-if-absent over an object is answered with success"), "{said}");
    assert!(!said.contains("bareetags"), "{said}");
}
