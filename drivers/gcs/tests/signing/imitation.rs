//! STS and IAM as far as a signature needs them, on loopback.
//!
//! The library makes IAM's address of the credentials' universe, `https://iamcredentials.<universe>`, and takes
//! no other. A universe that begins with a user's name ends in an address of ours. That is spoken to by TLS
//! alone, and the library trusts the authorities of the file a variable names when the process begins: so each
//! test runs itself once more, in a process that has it.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use entrepot_driver_gcs::fake::{SERVICE_ACCOUNT, Server};
use entrepot_driver_gcs::{Config, CredentialSource, Secret};
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// Whom IAM signs for: the account whose signatures the fake knows.
pub(crate) const ACCOUNT: &str = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com";
/// What the tokens are, so that a log can be searched for them.
pub(crate) const TOKENS: [&str; 3] = ["token-of-the-pod", "token-of-the-federation", "token-of-the-account"];
/// Where the second process finds certificate, key and token.
const HOME: &str = "ENTREPOT_TEST_IMITATION";

#[derive(Default)]
struct State {
    asked: Mutex<Vec<String>>,
    refuses: AtomicBool,
}

/// Listens until the process ends.
pub(crate) struct Imitation {
    address: SocketAddr,
    home: PathBuf,
    state: Arc<State>,
}

/// A request, as far as an answer depends on it.
struct Asked {
    line: String,
    authorization: String,
    body: Vec<u8>,
}

impl Imitation {
    /// `None` where the test `name` was run in another process, and is over.
    pub(crate) fn start(name: &str) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "a test, not the registry")]
        let Ok(home) = std::env::var(HOME) else {
            again(name);
            return None;
        };
        let home = PathBuf::from(home);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let (tls, state) = (Arc::new(tls(&home)), Arc::<State>::default());
        let told = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, told) = (Arc::clone(&tls), Arc::clone(&told));
                // A client that goes away is none of our business.
                std::thread::spawn(move || serve(stream, tls, &told).ok());
            }
        });
        Some(Self { address, home, state })
    }

    /// A driver on `server` whose URLs IAM signs.
    pub(crate) fn config(&self, server: &Server) -> Config {
        let federation = json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("https://{}/v1/token", self.address),
            "credential_source": {"file": self.home.join("token")},
            "universe_domain": format!("universe@{}", self.address),
        });
        let credentials = CredentialSource::Key(Secret::new(federation.to_string()));
        Config { credentials, signing_account: Some(ACCOUNT.into()), ..server.config() }
    }

    /// Signs nothing any more.
    pub(crate) fn refuses(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().expect("nobody panics").clone()
    }
}

/// Runs a test of this program once more, with what [`Imitation::start`] needs.
fn again(name: &str) {
    let home = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let write = |name: &str, content: &str| std::fs::write(home.path().join(name), content);
    write("certificate.pem", &made.cert.pem()).expect("it is written");
    write("key.pem", &made.signing_key.serialize_pem()).expect("it is written");
    write("token", TOKENS[0]).expect("it is written");
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.args(["--exact", name, "--nocapture"]).env(HOME, home.path()).env("NO_PROXY", "127.0.0.1");
    program.env("SSL_CERT_FILE", home.path().join("certificate.pem"));

    let run = program.output().expect("it runs");

    let (told, failed) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && told.contains("1 passed"), "{told}\n{failed}");
}

fn tls(home: &Path) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(home.join("certificate.pem")).expect("it was written");
    let key = PrivateKeyDer::from_pem_file(home.join("key.pem")).expect("it was written");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("ring knows them").with_no_client_auth();
    builder.with_single_cert(vec![certificate], key).expect("they belong together")
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, state: &State) -> std::io::Result<()> {
    let connection = ServerConnection::new(tls).expect("the settings make sense");
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let asked = read(&mut reader)?;
    state.asked.lock().expect("nobody panics").push(asked.line.clone());
    let (status, answer) = state.answer(&asked);
    let body = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Asked> {
    let (mut line, mut authorization, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim().split_once(": ") {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.clone_into(&mut authorization)
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0);
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Ok(Asked { line, authorization, body })
}

impl State {
    fn answer(&self, asked: &Asked) -> (u16, Value) {
        let [pod, federation, account] = TOKENS;
        let is_by = |token: &str| asked.authorization == format!("Bearer {token}");
        let asks =
            |method: &str| asked.line == format!("POST /v1/projects/-/serviceAccounts/{ACCOUNT}:{method}");
        if asked.line == "POST /v1/token" && String::from_utf8_lossy(&asked.body).contains(pod) {
            let kind = "urn:ietf:params:oauth:token-type:access_token";
            return (
                200,
                json!({
                    "access_token": federation, "issued_token_type": kind, "token_type": "Bearer", "expires_in": 3600
                }),
            );
        }
        if asks("generateAccessToken") && is_by(federation) {
            return (200, json!({ "accessToken": account, "expireTime": "2099-01-01T00:00:00Z" }));
        }
        if asks("signBlob") && is_by(account) && !self.refuses.load(Ordering::SeqCst) {
            return (200, json!({ "keyId": "1", "signedBlob": signed(&asked.body) }));
        }
        let why = "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist).";
        (403, json!({ "error": { "code": 403, "message": why, "status": "PERMISSION_DENIED" } }))
    }
}

/// What IAM makes of the payload of a request, by the key of [`ACCOUNT`].
fn signed(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).expect("it is JSON");
    let payload = BASE64_STANDARD.decode(request["payload"].as_str().expect("a payload")).expect("base64");
    let account: Value = serde_json::from_str(SERVICE_ACCOUNT).expect("it is JSON");
    let pem = account["private_key"].as_str().expect("a key");
    let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("PEM") else {
        panic!("another kind of key")
    };
    let key = KeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key");
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, &payload, &mut signature).expect("it signs");
    BASE64_STANDARD.encode(signature)
}
