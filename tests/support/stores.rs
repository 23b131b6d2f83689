//! Object stores the runner started, or somebody has an account at: named by the variables that the drivers'
//! own suites read too.
//!
//! | variable | what it names |
//! |---|---|
//! | `ENTREPOT_TEST_S3` | `http://ACCESS:SECRET@HOST/BUCKET`, with `region`, `path_style`, `conditional_put`, `conditional_delete`, `bare_etags`, `uniform_parts` and `checksum` as a query |
//! | `ENTREPOT_TEST_S3_SECOND`, `_CEPH`, `_GARAGE` | the same, other kinds of servers |
//! | `ENTREPOT_TEST_S3_HTTPS` | the same on https, with `certificate` for a file with what it shows, and `kms` for the key everything is encrypted with |
//! | `ENTREPOT_TEST_AZURE` | a connection string; the container is `ENTREPOT_TEST_AZURE_CONTAINER`, or `entrepot-test` |
//! | `ENTREPOT_TEST_AZURE_OAUTH` | the same on https, for a server that takes tokens of any signature; the registry gets them from an issuer of ours, and its key is the tests' own |
//! | `ENTREPOT_TEST_GCS` | a bucket, reached by Application Default Credentials; without it, the driver's fake is taken |
//!
//! Every [`ObjectStore`] has a root directory of its own, so that tests share a bucket without knowing of each
//! other. What they leave there is removed with the emulator, or by the bucket's lifecycle rules.

mod bucket;

use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;

use entrepot_driver_azure as azure;
use entrepot_driver_gcs as gcs;
use entrepot_driver_s3 as s3;
use entrepot_storage::SharedDriver;

use bucket::Bucket;

use crate::environment;
use crate::identities::{GOOGLE_TOKEN, Identity, TemporaryKeys};
use crate::server::Environment;

/// Which store a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The main S3: MinIO, unless somebody names another.
    S3,
    /// A container of Azure Blob Storage: Azurite's.
    Azure,
    /// A bucket of Google Cloud Storage: the fake's.
    Gcs,
}

/// A place in an object store that nobody else uses.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    place: Place,
    root: String,
    redirects: bool,
    /// More of `storage.redirect`, in YAML.
    rules: String,
    /// Where it is asked instead of at its own address.
    through: Option<SocketAddr>,
    /// Where pulls are sent instead of to its own address.
    pulls_through: Option<SocketAddr>,
    /// Who the registry is, where it is not told the store's key.
    identity: Option<Arc<Identity>>,
}

#[derive(Clone, Debug)]
enum Place {
    S3(Box<Bucket>),
    Azure { connection: String, container: String },
    RealGcs { bucket: String },
    FakeGcs(Arc<gcs::fake::Server>),
}

/// The fake's one bucket.
const FAKE_BUCKET: &str = "entrepot";

impl ObjectStore {
    /// A new place in the store that the environment names. Where it names none the test is over: `None`, and
    /// a line that says so. The fake of Google's is always there.
    pub fn find(kind: Kind) -> Option<Self> {
        let place = match kind {
            Kind::S3 => Place::S3(Box::new(Bucket::parse(&named("ENTREPOT_TEST_S3")?))),
            Kind::Azure => {
                let connection = named("ENTREPOT_TEST_AZURE")?;
                Place::Azure { connection, container: container() }
            }
            Kind::Gcs => match environment::variable("ENTREPOT_TEST_GCS") {
                Some(bucket) => Place::RealGcs { bucket },
                None => Place::FakeGcs(Arc::new(fake(None))),
            },
        };
        Some(Self::new_at(place))
    }

    /// The same in another S3, which has other habits than the main one.
    pub fn find_other_s3(variable: &str) -> Option<Self> {
        let bucket = Bucket::parse(&named(variable)?);
        Some(Self::new_at(Place::S3(Box::new(bucket))))
    }

    /// The same in an account on https, whose key the registry is not told: it is somebody.
    pub fn find_azure_by_token(identity: &Arc<Identity>) -> Option<Self> {
        let connection = named("ENTREPOT_TEST_AZURE_OAUTH")?;
        Some(Self::new_at(Place::Azure { connection, container: container() }).by(identity))
    }

    /// The same in a fake of Google's that knows one token, for a registry without a key. Nothing signs there.
    pub fn google_by_token(identity: &Arc<Identity>) -> Self {
        let fake = Place::FakeGcs(Arc::new(fake(Some(GOOGLE_TOKEN))));
        Self::new_at(fake).by(identity).redirects(false)
    }

    fn new_at(place: Place) -> Self {
        let store = Self {
            place,
            root: format!("e2e-{}", random()),
            redirects: true,
            rules: String::new(),
            through: None,
            pulls_through: None,
            identity: None,
        };
        store.prepare();
        store
    }

    /// Whether pulls are sent to the store. They are, unless this is called.
    #[must_use]
    pub fn redirects(self, redirects: bool) -> Self {
        Self { redirects, ..self }
    }

    /// Keys with an end for this S3, which its STS gives out.
    pub async fn temporary_keys(&self) -> TemporaryKeys {
        let Place::S3(bucket) = &self.place else { panic!("only an S3 has an STS") };
        bucket.temporary_keys().await
    }

    /// Used by a registry that is somebody and has no key of the store.
    #[must_use]
    pub fn by(self, identity: &Arc<Identity>) -> Self {
        Self { identity: Some(Arc::clone(identity)), ..self }
    }

    /// Without a setting of the variable that names an S3.
    #[must_use]
    pub fn without(mut self, setting: &str) -> Self {
        if let Place::S3(bucket) = &mut self.place {
            bucket.settings.remove(setting);
        }
        self
    }

    /// Pulls are sent where these lines of `storage.redirect` say, indented by four.
    #[must_use]
    pub fn ruled(self, rules: &str) -> Self {
        Self { rules: rules.to_owned(), ..self }
    }

    /// Another new place in the same store.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { root: format!("e2e-{}", random()), ..self.clone() }
    }

    /// Where the store listens, for who looks into what it is asked. Where that is https nobody between can, and
    /// the test is over: `None`, and a line that says so.
    pub fn address(&self) -> Option<SocketAddr> {
        let address = self.url().and_then(|url| plain_host(&url)?.to_socket_addrs().ok()?.next());
        if address.is_none() {
            skip("an object store on https: nobody can look into what it is asked");
        }
        address
    }

    fn url(&self) -> Option<String> {
        match &self.place {
            Place::S3(bucket) => Some(bucket.endpoint.clone()),
            Place::Azure { connection, .. } => field(connection, "BlobEndpoint").map(str::to_owned),
            Place::FakeGcs(server) => Some(server.url()),
            Place::RealGcs { .. } => None,
        }
    }

    /// The same place, asked at another address. Only [`driver`](Self::driver) heeds it.
    #[must_use]
    pub fn through(self, address: SocketAddr) -> Self {
        Self { through: Some(address), ..self }
    }

    /// The same place; clients whose pulls are redirected are sent to another address, where nobody else asks
    /// for anything. Only an S3 heeds it.
    #[must_use]
    pub fn pulls_through(self, address: SocketAddr) -> Self {
        Self { pulls_through: Some(address), ..self }
    }

    /// What a configuration says below `storage:`. Keys that have to be files are written into `home`.
    pub(crate) fn configuration(&self, home: &Path) -> String {
        let mut text = match &self.place {
            Place::S3(bucket) => bucket.configuration(self.identity.is_none()),
            Place::Azure { connection, container } if self.identity.is_none() => {
                section("azure", &[("connectionstring", connection), ("container", container)])
            }
            Place::Azure { connection, container } => by_token(connection, container),
            Place::RealGcs { bucket } => section("gcs", &[("bucket", bucket)]),
            Place::FakeGcs(server) if self.identity.is_some() => {
                section("gcs", &[("bucket", FAKE_BUCKET), ("endpoint", &server.url())])
            }
            Place::FakeGcs(server) => {
                let key = home.join("account.json");
                std::fs::write(&key, gcs::fake::SERVICE_ACCOUNT).expect("a file can be written");
                let key = key.display().to_string();
                section("gcs", &[("bucket", FAKE_BUCKET), ("endpoint", &server.url()), ("keyfile", &key)])
            }
        };
        if let Some(identity) = &self.identity {
            text.push_str(&identity.configuration);
        }
        if let (Place::S3(_), Some(address)) = (&self.place, self.pulls_through) {
            writeln!(text, "    redirectendpoint: http://{address}").expect("a string takes text");
        }
        writeln!(text, "    rootdirectory: {}", self.root).expect("a string takes text");
        if let Place::S3(bucket) = &self.place
            && bucket.is("conditional_put") == Some(false)
        {
            text.push_str("  conditionalwrites: assume-single-replica\n");
        }
        writeln!(text, "  redirect:\n    disable: {}", !self.redirects).expect("a string takes text");
        text + &self.rules
    }

    /// What a registry's environment has to say for it.
    pub(crate) fn environment(&self) -> Environment {
        let mut environment: Environment =
            self.identity.as_ref().map(|identity| identity.environment.clone()).unwrap_or_default();
        if let Place::S3(bucket) = &self.place
            && let Some(certificate) = bucket.certificate()
        {
            environment.push(("SSL_CERT_FILE", certificate.to_owned()));
        }
        environment
    }

    /// The same place through a driver of the test's own.
    pub async fn driver(&self) -> SharedDriver {
        match &self.place {
            Place::S3(bucket) => {
                let mut config = bucket.settings(&self.root);
                if let Some(address) = self.through {
                    config.endpoint = Some(format!("http://{address}"));
                }
                let driver = s3::S3Driver::open(config).await;
                Arc::new(driver.expect("the settings go together"))
            }
            Place::Azure { .. } => Arc::new(self.azure()),
            Place::RealGcs { .. } | Place::FakeGcs(_) => {
                let mut config = match &self.place {
                    Place::FakeGcs(server) => server.config(),
                    Place::RealGcs { bucket } => gcs::Config::new(bucket),
                    Place::S3(_) | Place::Azure { .. } => unreachable!("not Google's"),
                };
                config.root_directory.clone_from(&self.root);
                if let Some(address) = self.through {
                    config.endpoint = Some(format!("http://{address}"));
                }
                Arc::new(gcs::GcsDriver::open(config).await.expect("the settings go together"))
            }
        }
    }

    fn azure(&self) -> azure::AzureDriver {
        let Place::Azure { connection, container } = &self.place else { unreachable!("not Azure's") };
        let own = field(connection, "BlobEndpoint").and_then(plain_host);
        let connection = match (self.through, own) {
            (Some(through), Some(own)) => connection.replace(own, &through.to_string()),
            _ => connection.clone(),
        };
        // Who takes tokens of any signature has a certificate of nobody's.
        let skip_verify = connection.contains("BlobEndpoint=https://127.0.0.1");
        let credentials = azure::Credentials::ConnectionString(connection.into());
        let mut config = azure::Config::new("", container.clone(), credentials);
        config.root_directory.clone_from(&self.root);
        config.skip_verify = skip_verify;
        azure::AzureDriver::open(&config).expect("the settings go together")
    }

    /// Azurite has no containers at first. Creating one that is there is no error.
    fn prepare(&self) {
        if let Place::Azure { .. } = &self.place {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let created =
                runtime.expect("a runtime").block_on(async { self.azure().create_container().await });
            created.expect("the container can be created");
        }
    }
}

fn fake(token: Option<&str>) -> gcs::fake::Server {
    let options =
        gcs::fake::Options { token: token.map(str::to_owned), ..gcs::fake::Options::new(FAKE_BUCKET) };
    gcs::fake::Server::start(options).expect("loopback has a free port")
}

fn container() -> String {
    let named = environment::variable("ENTREPOT_TEST_AZURE_CONTAINER");
    named.unwrap_or_else(|| "entrepot-test".to_owned())
}

/// An account by its name and address, and neither key nor certificate.
fn by_token(connection: &str, container: &str) -> String {
    let said = |name| field(connection, name).expect("the connection string names account and endpoint");
    let account = [
        ("accountname", said("AccountName")),
        ("serviceurl", said("BlobEndpoint")),
        ("container", container),
    ];
    section("azure", &account) + "    skipverify: true\n"
}

/// What a connection string says of something.
fn field<'c>(connection: &'c str, name: &str) -> Option<&'c str> {
    connection.split(';').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// Host and port of a URL that is asked without TLS.
fn plain_host(url: &str) -> Option<&str> {
    url.strip_prefix("http://")?.split('/').next()
}

/// A store's section, its values quoted as JSON, which YAML understands.
fn section(name: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(format!("  {name}:\n"), |mut text, (key, value)| {
        writeln!(text, "    {key}: {}", serde_json::Value::from(*value)).expect("a string takes text");
        text
    })
}

fn named(variable: &str) -> Option<String> {
    let value = environment::variable(variable);
    if value.is_none() {
        skip(&format!("{variable}: not set; `cargo xtask test` starts a server for it"));
    }
    value
}

/// Straight to the stream: what the macros print is swallowed when a test passes.
fn skip(why: &str) {
    let line = format!("SKIPPED {why}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("standard error takes a line");
}

fn random() -> String {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
