//! **A fake.** A small server that answers as Google Cloud Storage is documented to, as far as this driver
//! and the URLs it signs go. For tests: it keeps everything in memory and forgets it.
//!
//! It was written from Google's pages, each cited where it is followed, and it proves that the driver does
//! what those pages ask for: the XML API's objects, preconditions by generation and multipart uploads
//! (`NoSuchUpload`, `InvalidPart`, `EntityTooSmall`), the JSON API's listing and metadata, and its writes as
//! Google's library makes them (`uploadType=multipart`), ranges, CRC32C on the way in, and signatures of
//! version 4 with their expiry, by RSA and HMAC.
//!
//! What it does not prove: that Google behaves as its pages say; anything about IAM, tokens and `signBlob`
//! (a bearer token is looked for, not looked at); rate limits, but for writes of one name where a test asks
//! for that; encryption, retention, soft delete, lifecycle; which headers a completed upload is answered
//! with; and how an overloaded or failing service looks beyond the faults a test asks for.

mod answers;
mod calls;
mod faults;
mod related;
mod server;
mod signatures;
mod store;

pub use faults::{Effect, Operation};
pub use server::{Options, Server};

/// A service account nobody has: the inactive one Google publishes with its test vectors for signatures
/// (<https://github.com/googleapis/conformance-tests>). Its key is public, and so are they.
pub const SERVICE_ACCOUNT: &str = include_str!("account.json");
