//! The SDK's clients on a transport of our own, and what all parts of the driver share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Body, ClientOptions, Context, Etag, Method, Request, RetryOptions, Transport, Url};
use azure_core::time::{OffsetDateTime, parse_rfc7231};
use azure_storage_blob::{
    BlobClient, BlobContainerClient, BlobContainerClientOptions, BlobServiceClient, BlobServiceClientOptions,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrepot_storage::{Capabilities, Key, ObjectMeta, Result, Version};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::OpenError;
use crate::credentials::Identity;
use crate::error;
use crate::list::LeftOff;
use crate::sas::Signer;
use crate::tokens::Tokens;

/// How long the store may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the store may be silent in the middle of an answer. Azure gives itself 30 s for most calls, and
/// a block of 100 MiB may keep it quiet longer; `decorate::timeout` bounds whole calls more closely.
const SILENCE: Duration = Duration::from_secs(120);

/// Whether certificates are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    Full,
    None,
}

/// The container, the clients on it, and what is known about it.
pub(crate) struct Store {
    pub(crate) container: BlobContainerClient,
    pub(crate) signer: Signer,
    /// Empty, or ending with a slash.
    pub(crate) root: String,
    pub(crate) capabilities: Capabilities,
    /// Set when the service turned out to ignore where a listing should start.
    pub(crate) ignores_start: AtomicBool,
    /// Where a search for uploads ran out of time before it found any.
    pub(crate) left_off: LeftOff,
    /// For people: `account/container`.
    pub(crate) place: String,
}

impl Store {
    pub(crate) fn blob(&self, key: &Key) -> BlobClient {
        self.container.blob_client(&self.name_of(key))
    }

    /// The blob's name, which is what Azure calls a key.
    pub(crate) fn name_of(&self, key: &Key) -> String {
        format!("{}{key}", self.root)
    }

    /// The key a blob of this name is, where it is one: others' blobs and our own marks are none.
    pub(crate) fn key_of(&self, name: &str) -> Option<Key> {
        name.strip_prefix(&self.root)?.parse().ok()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("place", &self.place).field("root", &self.root).finish_non_exhaustive()
    }
}

/// The clients for one container.
pub(crate) fn clients(
    service_url: &Url,
    container: &str,
    identity: &Identity,
    verification: Verification,
) -> std::result::Result<(BlobServiceClient, BlobContainerClient), OpenError> {
    let mut container_url = service_url.clone();
    let segments = container_url.path_segments_mut();
    segments.map_err(|()| OpenError::new("serviceurl: not an absolute URL"))?.pop_if_empty().push(container);
    let mut per_try_policies: Vec<Arc<dyn Policy>> = vec![Arc::new(Checksum)];
    let mut token: Option<Arc<dyn TokenCredential>> = None;
    match identity {
        Identity::SharedKey(policy) => per_try_policies.push(Arc::clone(policy) as _),
        // One for both clients: what one of them was told the other need not ask.
        Identity::Token(credential) => token = Some(Arc::new(Tokens::new(Arc::clone(credential)))),
    }
    if token.is_some() && service_url.scheme() != "https" {
        return Err(OpenError::new("serviceurl: tokens are sent over https only"));
    }
    let client_options = ClientOptions {
        per_try_policies,
        // `decorate::retry` repeats calls, with a budget for the whole process.
        retry: RetryOptions::none(),
        transport: Some(transport(verification)?),
        ..ClientOptions::default()
    };
    let unusable = |error: azure_core::Error| OpenError::new(format!("serviceurl: {error}"));
    let options = BlobServiceClientOptions { client_options: client_options.clone(), ..Default::default() };
    let service =
        BlobServiceClient::new(service_url.clone(), token.clone(), Some(options)).map_err(unusable)?;
    let options = BlobContainerClientOptions { client_options, ..Default::default() };
    let container = BlobContainerClient::new(container_url, token, Some(options)).map_err(unusable)?;
    Ok((service, container))
}

/// HTTP over rustls with ring. The SDK's own client would bring another provider.
pub(crate) fn transport(verification: Verification) -> std::result::Result<Transport, OpenError> {
    let unusable = |error: &dyn fmt::Display| OpenError::new(format!("TLS cannot be set up: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match verification {
        Verification::Full => builder.with_platform_verifier().map_err(|error| unusable(&error))?,
        Verification::None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        }
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(builder.with_no_client_auth())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .build()
        .map_err(|error| unusable(&error))?;
    Ok(Transport::new(Arc::new(client)))
}

/// Takes any certificate, for `skipverify`. Signatures are still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Sends the checksum of every body along, so that Azure refuses what was damaged on its way. Blocks bring
/// theirs: their bodies are streams.
#[derive(Debug)]
struct Checksum;

const CRC64: HeaderName = HeaderName::from_static("x-ms-content-crc64");

#[expect(elided_lifetimes_in_paths, reason = "the trait leaves it out, and written out it means another")]
#[async_trait]
impl Policy for Checksum {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if request.method() == Method::Put
            && request.headers().get_optional_str(&CRC64).is_none()
            && let Body::Bytes(body) = request.body()
            && !body.is_empty()
        {
            let checksum = crc64([body.as_ref()]);
            request.insert_header(CRC64, STANDARD.encode(checksum));
        }
        match next.split_first() {
            Some((policy, rest)) => policy.send(context, request, rest).await,
            None => Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "a pipeline without a transport",
            )),
        }
    }
}

/// Azure's CRC-64, which is the one of NVMe, as it is sent: the least byte first.
pub(crate) fn crc64<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> [u8; 8] {
    let mut digest = crc64fast_nvme::Digest::new();
    pieces.into_iter().for_each(|piece| digest.write(piece));
    digest.sum64().to_le_bytes()
}

/// An ETag as a version. Headers carry quotes and listings do not.
pub(crate) fn version(etag: &Etag) -> Version {
    let bare = etag.as_ref().trim_matches('"');
    Version(format!("\"{bare}\""))
}

/// What a write answered about the object it made.
pub(crate) fn written(key: &Key, size: u64, headers: &Headers) -> Result<ObjectMeta> {
    let etag = text(headers, "etag").ok_or_else(|| error::nonsense(key, "a write without an ETag"))?;
    let modified = text(headers, "last-modified").and_then(|date| parse_rfc7231(date).ok());
    Ok(meta(key, size, Some(&Etag::from(etag)), modified))
}

pub(crate) fn meta(
    key: &Key,
    size: u64,
    etag: Option<&Etag>,
    modified: Option<OffsetDateTime>,
) -> ObjectMeta {
    let modified = modified.map(SystemTime::from);
    ObjectMeta { key: key.clone(), size, version: etag.map(version), modified }
}

pub(crate) fn text<'h>(headers: &'h Headers, name: &'static str) -> Option<&'h str> {
    headers.get_optional_str(&HeaderName::from_static(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_catalogues_crc_64_nvme() {
        assert_eq!(crc64([&b"123456789"[..]]), 0xae8b_1486_0a79_9888_u64.to_le_bytes());
        assert_eq!(crc64([&b"1234"[..], b"56789"]), crc64([&b"123456789"[..]]));
    }

    #[test]
    fn headers_and_listings_name_one_version() {
        assert_eq!(version(&"0x8DC".into()), version(&"\"0x8DC\"".into()));
    }
}
