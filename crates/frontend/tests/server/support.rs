//! A running server over an empty memory store, and a client that writes and reads bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use entrepot_auth::Gate;
use entrepot_domain::Registry;
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_driver_memory::MemoryDriver;
use entrepot_frontend::{Address, Config, Handle, Listener, NoObserver, Observer, Server};

/// How long a test waits for bytes before it fails; nothing is measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Running {
    pub(crate) addresses: Vec<Address>,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<()>>,
}

pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) domain: entrepot_domain::Config,
    pub(crate) gate: Gate,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) driver: MemoryDriver,
}

impl Default for Setup {
    fn default() -> Self {
        let listeners = vec![Listener::plain(SocketAddr::from(([127, 0, 0, 1], 0)))];
        let config = Config { listeners, workers: Some(2), ..Config::default() };
        Self {
            config,
            domain: entrepot_domain::Config::default(),
            gate: Gate::open(),
            observer: Arc::new(NoObserver),
            driver: MemoryDriver::new(),
        }
    }
}

impl Setup {
    pub(crate) fn start(self) -> Running {
        let Setup { config, domain, gate, observer, driver } = self;
        let tokens = TokenKeys::new(vec![vec![7; 32]]).unwrap();
        let registry = Registry::new(Parts {
            store: driver.shared(),
            cache: Arc::new(entrepot_domain::ports::NoCache),
            clock: Arc::new(entrepot_domain::ports::System),
            entropy: Arc::new(entrepot_domain::ports::System),
            tokens,
            config: domain,
        });
        let server = Server::build(config, registry, gate, observer).unwrap();
        let (addresses, handle) = (server.addresses().to_vec(), server.handle());
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(server.run()).unwrap();
        });
        Running { addresses, handle, thread: Some(thread) }
    }
}

pub(crate) fn start() -> Running {
    Setup::default().start()
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.addresses[0] {
            Address::Tcp { address, .. } => *address,
            Address::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }

    pub(crate) fn connect(&self) -> Client<TcpStream> {
        Client::new(tcp(self.address()))
    }

    /// One request on a connection of its own.
    pub(crate) fn send(&self, request: &str) -> Response {
        self.connect().send(request)
    }

    /// Stops it, gracefully, and waits until it is gone.
    pub(crate) fn stop(mut self) {
        self.end(true);
    }

    fn end(&mut self, graceful: bool) {
        let Some(thread) = self.thread.take() else { return };
        let handle = self.handle.clone();
        actix_web::rt::System::new()
            .block_on(async move { if graceful { handle.stop().await } else { handle.kill().await } });
        thread.join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end(false);
        }
    }
}

pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) struct Client<S: Read + Write> {
    pub(crate) stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    /// Sends `METHOD path` with further header lines; ends the head.
    pub(crate) fn send(&mut self, request: &str) -> Response {
        self.write_head(request);
        self.read(request.starts_with("HEAD"))
    }

    /// `request` is `METHOD path` and header lines, separated by newlines.
    pub(crate) fn write_head(&mut self, request: &str) {
        self.write_with(request, "");
    }

    /// The same with the first of its body, sent at once.
    pub(crate) fn write_with(&mut self, request: &str, body: &str) {
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let headers: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
        self.write(format!("{line} HTTP/1.1\r\nHost: registry.test\r\n{headers}\r\n{body}"));
    }

    pub(crate) fn read(&mut self, head_only: bool) -> Response {
        let mut response = self.read_head();
        let length = response.header("content-length").map_or(0, |text| text.parse().unwrap());
        if !head_only {
            response.body = vec![0; length];
            self.stream.read_exact(&mut response.body).unwrap();
        }
        response
    }

    fn read_head(&mut self) -> Response {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "the connection ended within the headers: {lines:?}");
            match line.trim_end() {
                "" => break,
                text => lines.push(text.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Response { status, headers, body: Vec::new() }
    }

    /// Whether the server has closed its side.
    pub(crate) fn is_over(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0)) || self.was_reset()
    }

    fn was_reset(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock)
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of the first error in the body.
    pub(crate) fn code(&self) -> String {
        let errors: entrepot_api::Errors = serde_json::from_slice(&self.body).unwrap();
        errors.errors[0].code.to_string()
    }
}

pub(crate) fn digest_of(content: &[u8]) -> String {
    entrepot_oci::Digest::sha256(content).to_string()
}

/// Pushes a blob in one request.
pub(crate) fn push_blob(running: &Running, repository: &str, content: &[u8]) -> String {
    let digest = digest_of(content);
    let mut client = running.connect();
    client.write_head(&format!(
        "POST /v2/{repository}/blobs/uploads/?digest={digest}\nContent-Length: {}",
        content.len()
    ));
    client.write(content);
    let response = client.read(false);
    assert_eq!(response.status, 201, "{}", response.text());
    digest
}

/// Pushes a manifest of an image with an empty config under `reference`.
pub(crate) fn push_manifest(running: &Running, repository: &str, reference: &str) -> (String, String) {
    let config = push_blob(running, repository, b"{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#
    );
    let mut client = running.connect();
    client.write_head(&format!(
        "PUT /v2/{repository}/manifests/{reference}\nContent-Type: application/vnd.oci.image.manifest.v1+json\nContent-Length: {}",
        manifest.len()
    ));
    client.write(&manifest);
    let response = client.read(false);
    assert_eq!(response.status, 201, "{}", response.text());
    (digest_of(manifest.as_bytes()), manifest)
}

/// Opens an upload session and returns its location.
pub(crate) fn open_upload(running: &Running, repository: &str) -> String {
    let response = running.send(&format!("POST /v2/{repository}/blobs/uploads/"));
    assert_eq!(response.status, 202, "{}", response.text());
    response.header("location").unwrap().to_owned()
}
