//! TLS as configured: versions, suites, and what is asked of clients.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio_rustls::TlsAcceptor;

use super::certificates::Certificates;
use crate::config::{BuildError, ClientAuth, Tls, TlsVersion};

/// Makes the acceptor of a listener. Certificates are read here for the first time.
pub(super) fn acceptor(tls: &Tls, http2: bool) -> Result<TlsAcceptor, BuildError> {
    let provider = Arc::new(provider(tls));
    let certificates = Certificates::load(&tls.certificate, &tls.key)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(tls.minimum))
        .map_err(|error| BuildError::invalid("tls", error))?
        .with_client_cert_verifier(verifier(tls, provider)?);
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = protocols(http2);
    config.ticketer = ring::Ticketer::new().map_err(|error| BuildError::invalid("tls", error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn provider(tls: &Tls) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !tls.cipher_suites.is_empty() {
        provider.cipher_suites = tls.cipher_suites.iter().map(|suite| suite.0).collect();
    }
    provider
}

fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static SINCE_12: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    match minimum {
        TlsVersion::Tls12 => &SINCE_12,
        TlsVersion::Tls13 => &SINCE_12[..1],
    }
}

fn protocols(http2: bool) -> Vec<Vec<u8>> {
    let offered: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    offered.iter().map(|name| name.to_vec()).collect()
}

fn verifier(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, BuildError> {
    Ok(match tls.client_auth {
        ClientAuth::None => WebPkiClientVerifier::no_client_auth(),
        ClientAuth::Request => Arc::new(AnyClient { provider, mandatory: false }),
        ClientAuth::RequireAny => Arc::new(AnyClient { provider, mandatory: true }),
        ClientAuth::VerifyIfGiven => verifying(tls, provider, false)?,
        ClientAuth::RequireAndVerify => verifying(tls, provider, true)?,
    })
}

fn verifying(
    tls: &Tls,
    provider: Arc<CryptoProvider>,
    mandatory: bool,
) -> Result<Arc<dyn ClientCertVerifier>, BuildError> {
    let authorities = Arc::new(authorities(&tls.client_authorities)?);
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider);
    let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| BuildError::invalid("tls.client_authorities", error))
}

fn authorities(files: &[PathBuf]) -> Result<RootCertStore, BuildError> {
    let mut store = RootCertStore::empty();
    for path in files {
        let unusable = |reason: String| BuildError::Certificate { path: path.clone(), reason };
        let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
        for certificate in found {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            store.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    Ok(store)
}

/// Takes whatever certificate a client has, as long as the client has its key too. Who signed it is for
/// others to judge.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
    mandatory: bool,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }
}
