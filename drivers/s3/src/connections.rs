//! The HTTP client below the SDK.
//!
//! HTTP/1.1 only: over HTTP/2, which many a proxy in front of a store offers and the SDK's own client takes, all
//! calls share one connection. A few bodies that are read slowly use its window up and stop all others, and a
//! connection that is lost without a word is everybody's. Nor has the SDK's own a setting for `skipverify`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::config::OpenError;

/// Idle connections kept. More may be in use; how many calls run at once is bounded by `decorate::Limit`.
const MAX_IDLE: usize = 128;
/// Below what S3 and common load balancers wait before they close: a connection closed under a request
/// fails it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Whose certificates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    /// Those of the system's authorities, or of the file `SSL_CERT_FILE` names.
    Full,
    /// Anybody's.
    None,
}

/// A client for the store and for those who hand out credentials. Reads the system's certificates: for the time
/// of start.
pub(crate) fn http_client(verification: Verification) -> Result<SharedHttpClient, OpenError> {
    let pools = Pools { tls: tls(verification)?, by_deadlines: Mutex::default() };
    Ok(SharedHttpClient::new(pools))
}

fn tls(verification: Verification) -> Result<ClientConfig, OpenError> {
    let provider = Arc::new(ring::default_provider());
    let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Tls(error.to_string()))?;
    let tls = match verification {
        Verification::Full => tls.with_root_certificates(authorities()),
        Verification::None => tls.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    };
    Ok(tls.with_no_client_auth())
}

fn authorities() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    let mut authorities = RootCertStore::empty();
    // What is no certificate of an authority is left out, as browsers do.
    let (known, _) = authorities.add_parsable_certificates(found.certs);
    if known == 0 {
        tracing::warn!(
            "the system knows no authority, so every certificate will be refused: install `ca-certificates`, or name \
             a file by SSL_CERT_FILE"
        );
    }
    authorities
}

/// How long a connection may take to come about, and an answer to begin.
type Deadlines = (Option<Duration>, Option<Duration>);

/// A pool of connections for each pair of deadlines. The store is asked with one; those who hand out credentials
/// are given less time, or a machine that has none of them would wait for each.
#[derive(Debug)]
struct Pools {
    tls: ClientConfig,
    by_deadlines: Mutex<HashMap<Deadlines, SharedHttpConnector>>,
}

impl HttpClient for Pools {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let deadlines = (settings.connect_timeout(), settings.read_timeout());
        let mut pools = self.by_deadlines.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(deadlines).or_insert_with(|| {
            SharedHttpConnector::new(Pool { client: client(&self.tls, deadlines.0), patience: deadlines.1 })
        });
        pool.clone()
    }
}

fn client(tls: &ClientConfig, connect_timeout: Option<Duration>) -> HttpsClient {
    let mut tcp = Tcp::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(connect_timeout);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(https)
}

type HttpsClient = legacy::Client<HttpsConnector<Tcp>, SdkBody>;

#[derive(Debug)]
struct Pool {
    client: HttpsClient,
    patience: Option<Duration>,
}

impl HttpConnector for Pool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, patience) = (self.client.clone(), self.patience.unwrap_or(Duration::MAX));
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let answered = tokio::time::timeout(patience, client.request(request)).await;
            let answered = answered.map_err(|late| ConnectorError::timeout(late.into()))?;
            let response = answered.map_err(|error| ConnectorError::io(error.into()))?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Believes every certificate; the handshake itself still has to be sound.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// Answers one request, and tells the protocol that was agreed on and how the request began.
    fn serve_one(listener: &TcpListener) -> (Option<Vec<u8>>, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("they belong together");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (stream, _) = listener.accept().expect("a connection");
        let connection = ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = StreamOwned::new(connection, stream);
        let mut head = [0; 14];
        stream.read_exact(&mut head).expect("a request");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it is sent");
        (stream.conn.alpn_protocol().map(<[u8]>::to_vec), String::from_utf8_lossy(&head).into_owned())
    }

    #[tokio::test]
    async fn a_server_that_offers_http_2_is_asked_over_http_1() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("https://{}/", listener.local_addr().expect("an address"));
        let served = std::thread::spawn(move || serve_one(&listener));
        let tls = tls(Verification::None).expect("TLS");
        let pool = Pool { client: client(&tls, None), patience: None };

        let answer = pool.call(HttpRequest::get(url).expect("a request")).await.expect("an answer");

        assert_eq!(answer.status().as_u16(), 204);
        let (agreed, head) = served.join().expect("it was asked");
        assert_ne!(agreed.as_deref(), Some(&b"h2"[..]));
        assert_eq!(head, "GET / HTTP/1.1");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_waited_for_as_long_as_the_caller_wants() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let tls = tls(Verification::None).expect("TLS");
        let pool = Pool { client: client(&tls, None), patience: Some(Duration::from_millis(50)) };

        let late = pool.call(HttpRequest::get(url).expect("a request")).await.expect_err("no answer");

        assert!(late.is_timeout(), "{late:?}");
    }
}
