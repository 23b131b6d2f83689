//! Who makes the URLs that clients read objects by: the store itself, or a cache in front of it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Key, PresignOptions, Result, SharedDriver, SignedUrl};

/// Makes URLs of objects. All calls may run at once; none makes a request per URL.
#[async_trait]
pub trait UrlSigner: fmt::Debug + Send + Sync + 'static {
    /// A URL by which anybody may read the object for a while, under the promises of
    /// [`presign_get`](crate::StorageDriver::presign_get): the same options give the same URL on every
    /// process with the same keys, and it covers no header a client chooses. `None` where there is none.
    ///
    /// `client` is the address it will be used from, where that is known. Most take no notice of it, so that
    /// all clients are given one URL; a signer that binds its URLs to it answers `None` without it.
    async fn sign(
        &self,
        key: &Key,
        options: &PresignOptions,
        client: Option<IpAddr>,
    ) -> Result<Option<SignedUrl>>;

    /// The longest a URL may be asked to last.
    fn longest(&self) -> Duration;
}

/// The store's own URLs.
#[derive(Debug)]
pub struct StoreSigner(pub SharedDriver);

#[async_trait]
impl UrlSigner for StoreSigner {
    async fn sign(
        &self,
        key: &Key,
        options: &PresignOptions,
        _: Option<IpAddr>,
    ) -> Result<Option<SignedUrl>> {
        self.0.presign_get(key, options).await
    }

    fn longest(&self) -> Duration {
        self.0.capabilities().longest_url
    }
}
