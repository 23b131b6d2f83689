//! The wire contract as data: endpoints, error codes, parameters, headers, and what is generated from them.
//!
//! Everything a client may see is one row here, and everybody else only reads: the router and its `Allow`
//! answers, access control, metric labels, the OpenAPI document, the Markdown reference, and the test that
//! every listed failure can be provoked. No status number is written outside this crate.
//!
//! Nothing here does I/O, knows a web framework, or decides what a registry does.

pub mod body;
pub mod emit;
pub mod endpoint;
mod endpoints;
pub mod envelope;
pub mod error_code;
pub mod failure;
#[cfg(test)]
mod golden;
pub mod header;
pub mod location;
pub mod method;
pub mod parameter;
pub mod path;
pub mod resource;
pub mod status;

pub use endpoint::{Access, ENDPOINTS, Endpoint, EndpointId, Route, endpoint, failures, route, successes};
pub use envelope::{ErrorEntry, Errors};
pub use error_code::ErrorCode;
pub use failure::Failure;
pub use location::Locations;
pub use method::Method;
pub use path::{PathMatch, match_path};
pub use resource::Resource;
pub use status::Status;
