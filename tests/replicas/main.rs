//! What replicas owe each other: several registries over one store, without anything else in common, and
//! balancers that are not sticky. A crash is a registry that is dropped between or within requests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod balanced;
mod cleaning;
mod crashes;
mod layout;
mod races;
mod secrets;

/// For tests of servers, which end on threads of their own.
fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}
