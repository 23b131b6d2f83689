//! A server to try the driver on, named in the environment as a URL:
//!
//! `http://ACCESS:SECRET@127.0.0.1:9000/bucket?path_style=true&conditional_delete=false`
//!
//! Without `ACCESS:SECRET@` credentials come from the SDK's chain, as a registry's without keys do: from variables,
//! a profile, a web identity, the agent of EKS or ECS, or the instance.
//!
//! Parameters, all optional: `region`, `path_style`, `conditional_put`, `conditional_delete`, `bare_etags`,
//! `uniform_parts`, `checksum` (`crc32c` or `none`), `root`, `kms` for the key everything is encrypted with,
//! `certificate` for a file with what it shows on https, where no authority knows it, `checks_signatures=false` for a server that lets
//! anybody read, and `breaks`, the names of cases this server is known to fail by itself, with commas between.

#![expect(clippy::print_stdout, reason = "a skipped case is told on the test's own output")]

use std::collections::BTreeMap;

use entrepot_driver_s3::{Checksum, Config, CredentialSource, Encryption, S3Driver, StaticCredentials};

/// The variable of the main server.
pub(crate) const FIRST: &str = "ENTREPOT_TEST_S3";
/// That of another kind.
pub(crate) const SECOND: &str = "ENTREPOT_TEST_S3_SECOND";
pub(crate) const CEPH: &str = "ENTREPOT_TEST_S3_CEPH";
pub(crate) const GARAGE: &str = "ENTREPOT_TEST_S3_GARAGE";
/// The main one's kind, on https, and encrypting.
pub(crate) const HTTPS: &str = "ENTREPOT_TEST_S3_HTTPS";

/// Those the environment names, with the variables that name them.
pub(crate) fn each() -> impl Iterator<Item = (&'static str, Server)> {
    [FIRST, SECOND, CEPH, GARAGE, HTTPS].into_iter().filter_map(|variable| Some((variable, named(variable)?)))
}

/// Those that look at signatures.
pub(crate) fn each_that_checks_signatures() -> impl Iterator<Item = (&'static str, Server)> {
    each().filter(|(_, server)| server.checks_signatures)
}

/// A bucket, and what is known of its server.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) checks_signatures: bool,
    breaks: Vec<String>,
}

pub(crate) fn skip(why: &str) {
    println!("skipped: {why}");
}

/// The server that `variable` names; says so and answers `None` where it names none.
pub(crate) fn named(variable: &str) -> Option<Server> {
    #[expect(clippy::disallowed_methods, reason = "a test, not the registry")]
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        skip(&format!("{variable} is not set; `cargo xtask test --only stores` starts a server for it"));
    }
    url.map(|url| Server::parse(&url).unwrap_or_else(|| panic!("{variable} is not such a URL")))
}

impl Server {
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (credentials, place) = match address.rsplit_once('@') {
            Some((keys, place)) => (given(keys)?, place),
            None => (CredentialSource::Chain, address),
        };
        let (host, bucket) = place.split_once('/')?;
        let settings: BTreeMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let is = |name: &str| settings.get(name).map(|value| *value == "true");
        let mut config = Config::new(bucket, *settings.get("region").unwrap_or(&"us-east-1"));
        config.endpoint = Some(format!("{scheme}://{host}"));
        config.force_path_style = is("path_style").unwrap_or(true);
        config.credentials = credentials;
        config.conditional_put = is("conditional_put");
        config.conditional_delete = is("conditional_delete");
        config.bare_etags = is("bare_etags").unwrap_or(false);
        config.uniform_parts = is("uniform_parts").unwrap_or(false);
        config.root_directory = settings.get("root").copied().unwrap_or_default().to_owned();
        if let Some(key) = settings.get("kms") {
            config.encryption = Encryption::Kms { key_id: Some((*key).to_owned()) };
        }
        config.skip_verify = settings.contains_key("certificate");
        if settings.get("checksum") == Some(&"none") {
            config.checksum = Checksum::None;
        }
        let breaks = settings.get("breaks").copied().unwrap_or_default();
        let breaks = breaks.split(',').map(str::to_owned).collect();
        Some(Self { config, checks_signatures: is("checks_signatures").unwrap_or(true), breaks })
    }

    /// Leaves out, and says so, what the server is known to break: the case that runs is the thread's name.
    pub(crate) fn unless_it_breaks_the_case(self) -> Option<Self> {
        let thread = std::thread::current();
        let case = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or_default();
        let is_broken = self.breaks.iter().any(|broken| broken == case);
        if is_broken {
            println!("skipped: this server is known to break {case}");
        }
        (!is_broken).then_some(self)
    }

    pub(crate) async fn open(&self) -> S3Driver {
        S3Driver::open(self.config.clone()).await.expect("the settings go together")
    }

    /// Two drivers with connections of their own, as two processes have. Of the chain each might get temporary keys
    /// of its own, as of STS, and those stand in URLs: there they share what they have.
    pub(crate) async fn open_two(&self) -> (S3Driver, S3Driver) {
        let first = self.open().await;
        let second = match self.config.credentials {
            CredentialSource::Static(_) => self.open().await,
            CredentialSource::Chain => first.clone(),
        };
        (first, second)
    }
}

fn given(keys: &str) -> Option<CredentialSource> {
    let (access, secret) = keys.split_once(':')?;
    Some(CredentialSource::Static(StaticCredentials::new(access, secret, None)))
}

mod tests {
    use super::*;

    const ACCOUNT: &str = "s3.eu-central-1.amazonaws.com/images?region=eu-central-1&path_style=false";

    #[test]
    fn a_url_with_keys_is_asked_with_them_and_one_without_by_the_chain() {
        let keyed = Server::parse(&format!("https://AKID:se/cr@t@{ACCOUNT}")).expect("a URL").config;
        let unkeyed = Server::parse(&format!("https://{ACCOUNT}")).expect("a URL").config;

        assert!(format!("{:?}", keyed.credentials).contains("AKID"), "{keyed:?}");
        assert!(matches!(unkeyed.credentials, CredentialSource::Chain), "{unkeyed:?}");
        for config in [keyed, unkeyed] {
            assert_eq!(config.endpoint.as_deref(), Some("https://s3.eu-central-1.amazonaws.com"));
            assert_eq!((&*config.bucket, &*config.region), ("images", "eu-central-1"));
        }
    }

    /// As where a shell left the secret out.
    #[test]
    fn a_url_with_half_of_its_keys_is_none() {
        assert!(Server::parse(&format!("https://AKID@{ACCOUNT}")).is_none());
    }
}
