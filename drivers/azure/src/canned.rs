//! An account that answers as a test wrote it down, for what no emulator does.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::client::Store;
use crate::{AzureDriver, Config, Credentials};

/// A request, as far as an answer depends on it.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its slashes written out.
    pub(crate) path: String,
    query: String,
    /// How often the same was asked for before.
    pub(crate) before: usize,
}

impl Asked {
    /// A field of the query.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let fields = self.query.split('&').filter_map(|field| field.split_once('='));
        let (_, value) = fields.into_iter().find(|(field, _)| *field == name)?;
        Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
    }
}

/// An answer.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    pause: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), pause: Duration::ZERO }
    }

    pub(crate) fn xml(body: String) -> Self {
        Self { body, ..Self::new(200).with("content-type", "application/xml") }
    }

    pub(crate) fn refusal(status: u16, code: &str) -> Self {
        Self::new(status).with("x-ms-error-code", code)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn after(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    fn text(&self, with_body: bool) -> String {
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (status, length) = (self.status, self.body.len());
        let body = if with_body { self.body.as_str() } else { "" };
        format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
    }
}

/// What was asked for, by method, path and query.
type Seen = Arc<Mutex<BTreeMap<String, usize>>>;

/// Listens until the test ends.
pub(crate) struct Canned {
    address: SocketAddr,
    /// The paths, in the order they were asked for.
    paths: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let (paths, seen) = (Arc::<Mutex<Vec<String>>>::default(), Seen::default());
        let (answer, told) = (Arc::new(answer), Arc::clone(&paths));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, told, seen) = (Arc::clone(&answer), Arc::clone(&told), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &*answer, &told, &seen));
            }
        });
        Self { address, paths }
    }

    /// The container `images` of it.
    pub(crate) fn driver(&self) -> AzureDriver {
        let mut config = Config::new("account", "images", Credentials::SharedKey("a2V5".into()));
        config.service_url = Some(format!("http://{}/account", self.address));
        AzureDriver::open(&config).expect("the settings go together")
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        self.driver().store()
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.paths.lock().expect("nobody panics").clone()
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Asked) -> Reply, told: &Mutex<Vec<String>>, seen: &Seen) {
    let mut reader = BufReader::new(stream.try_clone().expect("it can be cloned"));
    let mut line = String::new();
    // A client that goes away is none of our business.
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let _ = reader.read_exact(&mut vec![0; length]);
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let (path, query) =
        words.next().map(|target| target.split_once('?').unwrap_or((target, ""))).unwrap_or_default();
    let path = path.replace("%2F", "/");
    told.lock().expect("nobody panics").push(path.clone());
    let before = {
        let mut seen = seen.lock().expect("nobody panics");
        let count = seen.entry(format!("{method} {path}?{query}")).or_default();
        *count += 1;
        *count - 1
    };
    let asked = Asked { path, before, method, query: query.to_owned() };
    let reply = answer(&asked);
    std::thread::sleep(reply.pause);
    let _ = (&stream).write_all(reply.text(asked.method != "HEAD").as_bytes());
}
