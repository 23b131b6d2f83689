//! A storage driver for Azure Blob Storage.

mod client;
mod config;
mod credentials;
mod driver;
mod error;
mod inspect;
mod list;
mod read;
mod sas;
mod shared_key;
mod upload;
mod write;

pub use config::{Config, Credentials, DEFAULT_REALM, Secret, Surroundings};
pub use driver::AzureDriver;
pub use error::OpenError;
