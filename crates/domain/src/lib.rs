//! What a registry does: records, the write protocol, and the verbs the front end calls.
//!
//! [`Registry`] is a value any number of requests share; it keeps nothing between two calls that
//! another replica would need. Every write follows the protocol step by step: announce from the top
//! down, verify and commit from the bottom up. Absent here: HTTP words, SDKs, redis, the environment,
//! the clock and the random source (both are ports).

pub mod blobs;
pub mod catalog;
pub mod config;
pub mod error;
pub mod layout;
pub mod maintenance;
pub mod manifests;
pub mod mutation;
pub mod ports;
pub mod record;
pub mod redirects;
pub mod referrers;
pub mod registry;
pub mod tags;
pub mod uploads;

pub use catalog::{Listing, Page};
pub use config::Config;
pub use error::{Error, Result};
pub use registry::Registry;
