//! The words of the OCI specifications as types: no I/O, no clock, no network.
//!
//! A `String` that has a grammar becomes one of these types where it enters; from there on it is
//! trusted. Everything here parses in time linear in its input and allocates no more than it keeps.

pub mod content_range;
pub mod descriptor;
pub mod digest;
pub mod error;
pub mod etag;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod range;
pub mod reference;
pub mod scope;
pub mod tag;
mod text;

pub use content_range::ContentRange;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, Hasher};
pub use error::ParseError;
pub use manifest::Manifest;
pub use media_type::MediaType;
pub use name::RepositoryName;
pub use range::Ranges;
pub use reference::Reference;
pub use scope::Scope;
pub use tag::Tag;
