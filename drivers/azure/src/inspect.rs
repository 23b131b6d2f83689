//! What the container can and cannot do, found out by trying.

use entrepot_storage::Finding;

use crate::AzureDriver;
use crate::client::Store;

pub(crate) async fn inspect(_: &AzureDriver, _: &Store) -> Vec<Finding> {
    Vec::new()
}
