//! The store's own URL, changed on its way out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entrepot_storage::signer::UrlSigner;
use entrepot_storage::{Key, PresignOptions, Result, SignedUrl};

use crate::AddressError;
use crate::path::Base;

/// What is changed; nothing where a field is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewriteConfig {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host, and a port if it needs one.
    pub host: Option<String>,
    /// Taken off the beginning of the path, where it stands there.
    pub trim_path_prefix: Option<String>,
}

/// distribution's `rewrite` middleware: a proxy in front of the store that puts the original host back, or
/// checks no signature. S3 and Google sign the host and refuse the URL otherwise: to give clients another host
/// of the store itself, tell the driver (`redirectendpoint`). Azure signs the path alone, so Azure Front Door
/// with the storage account as its origin takes these URLs as they are.
#[derive(Debug)]
pub struct Rewrite {
    inner: Arc<dyn UrlSigner>,
    config: RewriteConfig,
}

impl Rewrite {
    /// Changes the URLs of `inner`.
    pub fn new(inner: Arc<dyn UrlSigner>, config: RewriteConfig) -> std::result::Result<Self, AddressError> {
        let scheme = config.scheme.as_deref().unwrap_or("https");
        Base::parse(&format!("{scheme}://{}", config.host.as_deref().unwrap_or("host")))?;
        Ok(Self { inner, config })
    }

    fn rewritten(&self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        let scheme = self.config.scheme.as_deref().unwrap_or(scheme);
        let host = self.config.host.as_deref().unwrap_or(host);
        let prefix = self.config.trim_path_prefix.as_deref().unwrap_or_default();
        let path = path.strip_prefix(prefix).unwrap_or(path);
        let slash = if path.starts_with(['/', '?']) || path.is_empty() { "" } else { "/" };
        format!("{scheme}://{host}{slash}{path}")
    }
}

#[async_trait]
impl UrlSigner for Rewrite {
    async fn sign(
        &self,
        key: &Key,
        options: &PresignOptions,
        client: Option<IpAddr>,
    ) -> Result<Option<SignedUrl>> {
        let signed = self.inner.sign(key, options, client).await?;
        Ok(signed.map(|signed| SignedUrl { url: self.rewritten(&signed.url), ..signed }))
    }

    fn longest(&self) -> Duration {
        self.inner.longest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Redirect;

    fn rewrite(scheme: &str, host: &str, prefix: &str) -> Rewrite {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let config =
            RewriteConfig { scheme: given(scheme), host: given(host), trim_path_prefix: given(prefix) };
        Rewrite::new(Arc::new(Redirect::new("h").unwrap()), config).unwrap()
    }

    #[test]
    fn scheme_host_and_the_beginning_of_the_path_are_changed_and_the_query_is_kept() {
        let url = "http://minio:9000/bucket/data/ab?X-Amz-Signature=1/2";

        assert_eq!(rewrite("", "", "").rewritten(url), url);
        assert_eq!(
            rewrite("https", "cdn.example.com", "/bucket").rewritten(url),
            "https://cdn.example.com/data/ab?X-Amz-Signature=1/2"
        );
        assert_eq!(rewrite("", "", "/other").rewritten(url), url);
        assert_eq!(rewrite("", "h", "/bucket/").rewritten(url), "http://h/data/ab?X-Amz-Signature=1/2");
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        let inner: Arc<dyn UrlSigner> = Arc::new(Redirect::new("h").unwrap());
        for (scheme, host) in [("ftp", "h"), ("https", "a b"), ("https", "")] {
            let config = RewriteConfig {
                scheme: Some(scheme.into()),
                host: Some(host.into()),
                trim_path_prefix: None,
            };
            assert!(Rewrite::new(Arc::clone(&inner), config).is_err(), "{scheme} {host:?}");
        }
    }
}
