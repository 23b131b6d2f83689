//! The object's key behind another address.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use entrepot_storage::signer::UrlSigner;
use entrepot_storage::{Key, PresignOptions, Result, SignedUrl};

use crate::AddressError;
use crate::path::Base;

/// distribution's `redirect` middleware: clients fetch `<base>/<key>` from a server that everybody who may
/// reach it may read from. Nothing is signed, so its URLs never end; the lifetime asked for is answered.
#[derive(Debug)]
pub struct Redirect {
    base: Base,
}

impl Redirect {
    /// URLs behind `base`, such as `https://mirror.example.com/registry`.
    pub fn new(base: &str) -> std::result::Result<Self, AddressError> {
        Ok(Self { base: Base::parse(base)? })
    }
}

#[async_trait]
impl UrlSigner for Redirect {
    async fn sign(
        &self,
        key: &Key,
        options: &PresignOptions,
        _: Option<IpAddr>,
    ) -> Result<Option<SignedUrl>> {
        let expires_at = options.signed_at + options.expires_in;
        Ok(Some(SignedUrl { url: self.base.join("", key), expires_at }))
    }

    fn longest(&self) -> Duration {
        Duration::MAX
    }
}
