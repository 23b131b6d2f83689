//! URLs of what stands in front of a store.
//!
//! A pull may be sent past the store's own address: to a content delivery network that fetches from the
//! bucket, or to a mirror of it. Four [signers](entrepot_storage::signer::UrlSigner) do what distribution's
//! storage middlewares `cloudfront`, `redirect` and `rewrite` do, and GitLab's `googlecdn`:
//!
//! - [`CloudFront`]: Amazon CloudFront with a trusted key group, signed with a canned policy, or for the
//!   client's address alone;
//! - [`GoogleCdn`]: Google Cloud CDN with a backend bucket and a key for signed URLs;
//! - [`Redirect`]: the object's key behind another address, not signed;
//! - [`Rewrite`]: the store's own URL with another scheme, host or a shorter path; with Azure Front Door, whose
//!   URLs carry the account's own signature, that of its endpoint.
//!
//! # What they need
//!
//! | in front of the store | which has to be allowed | and has |
//! |---|---|---|
//! | CloudFront | `s3:GetObject` on the bucket for the distribution (origin access control) | a key group with the public key, which the cache behaviour trusts |
//! | Google Cloud CDN | `roles/storage.objectViewer` for `service-PROJECT_NUMBER@cloud-cdn-fill.iam.gserviceaccount.com` | a backend bucket with the key for signed URLs |
//! | Azure Front Door | nothing: it hands the signature on | the query string in its cache key; without that it serves what it cached to whoever asks |
//!
//! None of them makes a request. Signatures were compared with those of botocore and of Google's samples, not
//! with a distribution. What no test can prove here: that the CDN reads from the same bucket; `entrepot doctor`
//! follows one URL and compares.

mod cloudfront;
mod google_cdn;
mod key_file;
mod path;
mod redirect;
mod rewrite;

pub use cloudfront::{CloudFront, CloudFrontConfig};
pub use google_cdn::{GoogleCdn, GoogleCdnConfig};
pub use key_file::KeyError;
pub use redirect::Redirect;
pub use rewrite::{Rewrite, RewriteConfig};

/// An address that URLs cannot be made of.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{address}` is no address of a server: {reason}")]
pub struct AddressError {
    address: String,
    reason: &'static str,
}
