//! TLS: versions, protocols, client certificates, and certificates that change under a running server.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use entrepot_frontend::{ClientAuth, Endpoint, Listener, Tls, TlsVersion};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use super::support::{Client, Running, Setup, tcp};

type Pair = CertifiedKey<KeyPair>;

fn certificate(name: &str) -> Pair {
    generate_simple_self_signed(vec![name.to_owned()]).unwrap()
}

fn write(directory: &Path, pair: &Pair) {
    std::fs::write(directory.join("tls.crt"), pair.cert.pem()).unwrap();
    std::fs::write(directory.join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
}

fn tls(directory: &Path) -> Tls {
    Tls::new(directory.join("tls.crt"), directory.join("tls.key"))
}

fn serve(tls: Tls) -> Running {
    let mut setup = Setup::default();
    let endpoint = Endpoint::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    setup.config.listeners = vec![Listener { endpoint, tls: Some(tls) }];
    setup.start()
}

/// Takes any certificate, and leaves it to the test to look at it.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

struct Caller<'a> {
    versions: &'a [&'static rustls::SupportedProtocolVersion],
    pair: Option<&'a Pair>,
    alpn: &'a [&'a [u8]],
}

const PLAIN: Caller<'static> = Caller { versions: rustls::ALL_VERSIONS, pair: None, alpn: &[] };

impl Caller<'_> {
    fn connect(&self, running: &Running) -> StreamOwned<ClientConnection, TcpStream> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything));
        let mut config = match self.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![pair.cert.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("registry.test").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp(running.address()))
    }

    /// Whether a request gets through.
    fn succeeds(&self, running: &Running) -> bool {
        use std::io::{Read, Write};
        let mut stream = self.connect(running);
        let request = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        stream.write_all(request).is_ok()
            && stream.read_to_end(&mut answer).is_ok()
            && answer.starts_with(b"HTTP/1.1 200")
    }
}

/// The certificate a new connection is shown.
fn shown(running: &Running) -> Vec<u8> {
    let mut client = Client::new(PLAIN.connect(running));
    assert_eq!(client.send("GET /v2/").status, 200);
    client.stream.get_ref().conn.peer_certificates().unwrap()[0].to_vec()
}

/// Looks until the server shows `expected`.
fn eventually_shows(running: &Running, expected: &Pair) {
    let until = std::time::Instant::now() + super::support::PATIENCE;
    while shown(running) != expected.cert.der().to_vec() {
        assert!(std::time::Instant::now() < until, "the certificate was never reloaded");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn both_versions_are_spoken_and_the_minimum_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &certificate("registry.test"));
    let old: &[_] = &[&rustls::version::TLS12];
    let new: &[_] = &[&rustls::version::TLS13];

    let both = serve(tls(directory.path()));
    let strict = serve(Tls { minimum: TlsVersion::Tls13, ..tls(directory.path()) });

    assert!(Caller { versions: old, ..PLAIN }.succeeds(&both));
    assert!(Caller { versions: new, ..PLAIN }.succeeds(&both));
    assert!(!Caller { versions: old, ..PLAIN }.succeeds(&strict));
    assert!(Caller { versions: new, ..PLAIN }.succeeds(&strict));
}

#[test]
fn only_the_configured_suites_are_offered() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &certificate("registry.test"));
    let suite = "TLS_CHACHA20_POLY1305_SHA256".parse().unwrap();

    let running = serve(Tls { cipher_suites: vec![suite], ..tls(directory.path()) });

    assert!(PLAIN.succeeds(&running));
    let mut client = Client::new(PLAIN.connect(&running));
    client.send("GET /v2/");
    let chosen = client.stream.get_ref().conn.negotiated_cipher_suite().unwrap();
    assert_eq!(format!("{:?}", chosen.suite()), "TLS13_CHACHA20_POLY1305_SHA256");
}

#[test]
fn http2_is_chosen_where_the_client_offers_it() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &certificate("registry.test"));
    let running = serve(tls(directory.path()));
    let chosen = |alpn: &[&[u8]]| {
        let mut stream = Caller { alpn, ..PLAIN }.connect(&running);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream.conn.alpn_protocol().map(<[u8]>::to_vec)
    };

    assert_eq!(chosen(&[b"h2", b"http/1.1"]), Some(b"h2".to_vec()));
    assert_eq!(chosen(&[b"http/1.1"]), Some(b"http/1.1".to_vec()));
    assert_eq!(chosen(&[]), None);
}

#[test]
fn a_changed_certificate_is_taken_over_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (certificate("registry.test"), certificate("registry.test"));
    write(directory.path(), &first);
    let running = serve(tls(directory.path()));
    assert_eq!(shown(&running), first.cert.der().to_vec());

    write(directory.path(), &second);

    eventually_shows(&running, &second);
}

#[test]
fn a_swapped_link_is_noticed_as_kubernetes_does_it() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (certificate("registry.test"), certificate("registry.test"));
    for (name, pair) in [("v1", &first), ("v2", &second)] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        write(&directory.path().join(name), pair);
    }
    let data = directory.path().join("..data");
    symlink("v1", &data).unwrap();
    let running = serve(tls(&data));
    assert_eq!(shown(&running), first.cert.der().to_vec());

    symlink("v2", directory.path().join("..new")).unwrap();
    std::fs::rename(directory.path().join("..new"), &data).unwrap();

    eventually_shows(&running, &second);
}

#[test]
fn a_bad_pair_keeps_the_old_one_until_it_is_good() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (certificate("registry.test"), certificate("registry.test"));
    write(directory.path(), &first);
    let running = serve(tls(directory.path()));

    // A new certificate beside the old key, longer than the server takes to look again.
    std::fs::write(directory.path().join("tls.crt"), second.cert.pem()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(shown(&running), first.cert.der().to_vec());
    std::fs::write(directory.path().join("tls.key"), second.signing_key.serialize_pem()).unwrap();

    eventually_shows(&running, &second);
}

#[test]
fn unusable_files_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &certificate("registry.test"));
    std::fs::write(directory.path().join("tls.key"), "no key").unwrap();
    let mut setup = Setup::default();
    let endpoint = Endpoint::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    setup.config.listeners = vec![Listener { endpoint, tls: Some(tls(directory.path())) }];

    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| setup.start()));

    assert!(started.is_err());
}

#[test]
fn client_certificates_are_asked_for_as_configured() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &certificate("registry.test"));
    let (known, stranger) = (certificate("known"), certificate("stranger"));
    let authorities = directory.path().join("ca.crt");
    std::fs::write(&authorities, known.cert.pem()).unwrap();
    for (mode, nobody, unknown) in [
        (ClientAuth::None, true, true),
        (ClientAuth::Request, true, true),
        (ClientAuth::RequireAny, false, true),
        (ClientAuth::VerifyIfGiven, true, false),
        (ClientAuth::RequireAndVerify, false, false),
    ] {
        let client_authorities = vec![authorities.clone()];
        let running = serve(Tls { client_auth: mode, client_authorities, ..tls(directory.path()) });

        assert_eq!(PLAIN.succeeds(&running), nobody, "{mode:?} without a certificate");
        assert_eq!(
            Caller { pair: Some(&stranger), ..PLAIN }.succeeds(&running),
            unknown,
            "{mode:?} by a stranger"
        );
        assert!(
            Caller { pair: Some(&known), ..PLAIN }.succeeds(&running),
            "{mode:?} with a good certificate"
        );
    }
}
