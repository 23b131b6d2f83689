//! What replicas owe each other: several registries over one store, without anything else in common, and
//! balancers that are not sticky. A crash is a registry that is dropped between or within requests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod balanced;
mod cleaning;
mod crashes;
mod layout;
mod races;
mod secrets;
