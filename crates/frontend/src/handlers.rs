//! One function for each operation: extract, one domain call, respond. Each takes the grant that let the
//! request in, so none can be reached without.

pub(crate) mod base;
pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod expected;
pub(crate) mod manifests;
pub(crate) mod referrers;
pub(crate) mod tags;
pub(crate) mod uploads;
