//! A storage driver over an S3 bucket.

mod body;
mod client;
mod config;
mod credentials;
mod driver;
mod error;
mod inspect;
mod list;
mod presign;
mod read;
mod unverified;
mod upload;
mod user_agent;
mod write;

pub use config::{Checksum, Config, CredentialSource, Encryption, OpenError, StaticCredentials};
pub use driver::S3Driver;

/// The driver's name in configuration, errors and logs.
pub(crate) const NAME: &str = "s3";
