//! URLs of what stands in front of a store.
//!
//! A pull may be sent past the store's own address: to a content delivery network that fetches from the
//! bucket, or to a mirror of it. Three [signers](entrepot_storage::signer::UrlSigner) stand for distribution's
//! storage middlewares of the same names:
//!
//! - [`CloudFront`]: Amazon CloudFront with a trusted key group, signed with a canned policy;
//! - [`Redirect`]: the object's key behind another address, not signed;
//! - [`Rewrite`]: the store's own URL with another scheme, host or a shorter path.
//!
//! None of them makes a request. What they do not prove: that the CDN reads from the same bucket; `entrepot
//! doctor` follows one URL and compares.

mod cloudfront;
mod path;
mod redirect;
mod rewrite;

pub use cloudfront::{CloudFront, CloudFrontConfig, KeyError};
pub use redirect::Redirect;
pub use rewrite::{Rewrite, RewriteConfig};

/// An address that URLs cannot be made of.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{address}` is no address of a server: {reason}")]
pub struct AddressError {
    address: String,
    reason: &'static str,
}
