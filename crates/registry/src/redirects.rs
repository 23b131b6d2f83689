//! Where pulls go: the rules of the configuration, made into what the domain asks.

mod address_ranges;

use std::collections::BTreeMap;
use std::sync::Arc;

use entrepot_domain::redirects::{Pull, PullPattern, Redirects, Route};
use entrepot_driver_cdn::{
    CloudFront, CloudFrontConfig, GoogleCdn, GoogleCdnConfig, Redirect, Rewrite, RewriteConfig,
};
use entrepot_storage::SharedDriver;
use entrepot_storage::signer::{StoreSigner, UrlSigner};
use regex::Regex;

use crate::assemble::{self, AssemblyError};
use crate::config::{
    self, Backend, Config, Network, NetworkFilter, RedirectAction, RedirectRule, StorageMiddleware,
    Surroundings,
};
use crate::stores;
use address_ranges::AddressRanges;

/// The rules for pulls over `store`. A store without URLs of its own serves everything through the
/// registry, unless something in front of it is configured.
pub async fn assemble(
    config: &Config,
    store: &SharedDriver,
    surroundings: &dyn Surroundings,
) -> Result<Redirects, AssemblyError> {
    let settings = &config.storage.redirect;
    let mut redirects =
        Redirects { lifetime: settings.ttl, private_lifetime: settings.private_ttl, ..Redirects::default() };
    if settings.disable {
        return Ok(redirects);
    }
    let signer: Arc<dyn UrlSigner> = Arc::new(StoreSigner(Arc::clone(store)));
    let own = if store.capabilities().presign { Route::Signed(Arc::clone(&signer)) } else { Route::Proxy };
    if settings.min_size > 0 {
        let least = settings.min_size;
        redirects.rules.push((pattern(move |pull| pull.size < least), Route::Proxy));
    }
    redirects.otherwise = own.clone();
    let mut middlewares = Vec::new();
    for (index, middleware) in config.middleware.storage.iter().enumerate() {
        let made = make(middleware, index, &config.storage.backend, &signer)?;
        let route = match middleware.duration() {
            Some(lifetime) => Route::SignedFor(made, lifetime),
            None => Route::Signed(made),
        };
        middlewares.push((middleware.name(), route.clone()));
        redirects.otherwise = route;
    }
    let elsewhere = signed_elsewhere(config, surroundings).await?;
    for rule in &settings.rules {
        let route = match &rule.action {
            RedirectAction::Proxy => Route::Proxy,
            RedirectAction::Presign => match &rule.endpoint {
                Some(endpoint) => elsewhere.get(endpoint).cloned().map_or(Route::Proxy, Route::Signed),
                None => own.clone(),
            },
            RedirectAction::Cdn(name) => {
                let found = middlewares.iter().rev().find(|(known, _)| known == name);
                found.map_or(Route::Proxy, |(_, route)| route.clone())
            }
        };
        redirects.rules.push((fits(rule)?, route));
    }
    if let Some(last) = config.middleware.storage.last() {
        redirects.rules.extend(last.filter().map(|filter| (near_the_bucket(filter), own)));
    }
    Ok(redirects)
}

/// Where clients may be sent.
pub struct Destination {
    /// What to call it.
    pub name: String,
    /// What it is.
    pub place: Place,
    /// Whether pulls go there that nothing particular is said about.
    pub is_usual: bool,
    /// What makes its URLs.
    pub signer: Arc<dyn UrlSigner>,
}

/// What a destination is, seen from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The store itself, at the address everybody is given.
    Store,
    /// The store itself, at an address of some clients' own.
    StoreElsewhere,
    /// What stands in front of it.
    Front,
}

/// Everywhere the configuration may send clients, each place once. URLs are for whoever asks: the address that
/// others see us at is not known here.
pub async fn destinations(
    config: &Config,
    store: &SharedDriver,
    surroundings: &dyn Surroundings,
) -> Result<Vec<Destination>, AssemblyError> {
    let own: Arc<dyn UrlSigner> = Arc::new(StoreSigner(Arc::clone(store)));
    let mut found = Vec::new();
    let fronts = &config.middleware.storage;
    let everybodys = config.storage.redirect.rules.iter().find(|rule| is_about_everybody(rule));
    let usual_front = match everybodys.map(|rule| &rule.action) {
        None => fronts.len().checked_sub(1),
        Some(RedirectAction::Cdn(name)) => fronts.iter().rposition(|front| front.name() == name),
        Some(RedirectAction::Presign | RedirectAction::Proxy) => None,
    };
    if store.capabilities().presign && sends_to_the_store(config) {
        let (name, signer) = ("the store".to_owned(), Arc::clone(&own));
        let is_usual = match everybodys {
            None => fronts.is_empty(),
            Some(rule) => rule.action == RedirectAction::Presign && rule.endpoint.is_none(),
        };
        found.push(Destination { name, place: Place::Store, is_usual, signer });
    }
    for (index, middleware) in fronts.iter().enumerate() {
        let signer = make(&for_anybody(middleware), index, &config.storage.backend, &own)?;
        let (name, is_usual) = (middleware.name().to_owned(), usual_front == Some(index));
        found.push(Destination { name, place: Place::Front, is_usual, signer });
    }
    for (endpoint, signer) in signed_elsewhere(config, surroundings).await? {
        let name = format!("the store at {endpoint}");
        let is_usual = everybodys.is_some_and(|rule| rule.endpoint.as_ref() == Some(&endpoint));
        found.push(Destination { name, place: Place::StoreElsewhere, is_usual, signer });
    }
    Ok(found)
}

fn for_anybody(middleware: &StorageMiddleware) -> StorageMiddleware {
    match middleware.clone() {
        StorageMiddleware::Cloudfront(settings) => {
            StorageMiddleware::Cloudfront(config::Cloudfront { source_ip: false, ..settings })
        }
        other => other,
    }
}

/// Whether a rule fits every pull, so that nothing is left to those behind it.
fn is_about_everybody(rule: &RedirectRule) -> bool {
    rule.networks.is_empty()
        && rule.repositories.is_empty()
        && rule.user_agent.is_none()
        && rule.min_size.is_none_or(|least| least == 0)
        && rule.max_size.is_none()
}

/// Whether anybody is given the store's own URL: where nothing stands in front of it, or a rule or a filter
/// leads past that.
fn sends_to_the_store(config: &Config) -> bool {
    let is_filtered = |middleware: &StorageMiddleware| middleware.filter().is_some();
    let is_own = |rule: &RedirectRule| rule.action == RedirectAction::Presign && rule.endpoint.is_none();
    let front = config.middleware.storage.last();
    front.is_none_or(is_filtered) || config.storage.redirect.rules.iter().any(is_own)
}

/// What signs for the endpoints that rules name. URLs are signed for the host they name, so each takes a driver
/// of its own, which is used for nothing else. Without those the store signs no URLs for.
async fn signed_elsewhere(
    config: &Config,
    surroundings: &dyn Surroundings,
) -> Result<BTreeMap<String, Arc<dyn UrlSigner>>, AssemblyError> {
    let mut signers: BTreeMap<String, Arc<dyn UrlSigner>> = BTreeMap::new();
    for endpoint in config.storage.redirect.rules.iter().filter_map(|rule| rule.endpoint.as_ref()) {
        let Some(backend) = config.storage.backend.reached_at(endpoint) else { continue };
        if signers.contains_key(endpoint) {
            continue;
        }
        let store = stores::open(&backend, surroundings).await?.driver;
        if store.capabilities().presign {
            signers.insert(endpoint.clone(), Arc::new(StoreSigner(assemble::steadied(store))));
        }
    }
    Ok(signers)
}

fn make(
    middleware: &StorageMiddleware,
    index: usize,
    backend: &Backend,
    store: &Arc<dyn UrlSigner>,
) -> Result<Arc<dyn UrlSigner>, AssemblyError> {
    let refuse = |reason: String| AssemblyError::Setting {
        key: "middleware.storage",
        reason: format!("{} (number {index}): {reason}", middleware.name()),
    };
    Ok(match middleware {
        StorageMiddleware::Cloudfront(settings) => {
            let root_directory = match backend {
                Backend::S3(s3) => s3.root_directory.clone(),
                _ => return Err(refuse("CloudFront serves from S3; `storage.s3` is not configured".into())),
            };
            let settings = CloudFrontConfig {
                base_url: settings.base_url.clone(),
                root_directory,
                private_key: settings.private_key.clone(),
                key_pair_id: settings.key_pair_id.clone(),
                source_ip: settings.source_ip,
            };
            Arc::new(CloudFront::open(settings).map_err(|error| refuse(error.to_string()))?)
        }
        StorageMiddleware::Googlecdn(settings) => {
            let root_directory = match backend {
                Backend::Gcs(gcs) => gcs.root_directory.clone(),
                _ => {
                    return Err(refuse(
                        "Cloud CDN serves from Google's buckets; `storage.gcs` is not configured".into(),
                    ));
                }
            };
            let settings = GoogleCdnConfig {
                base_url: settings.base_url.clone(),
                root_directory,
                private_key: settings.private_key.clone(),
                key_name: settings.key_name.clone(),
            };
            Arc::new(GoogleCdn::open(settings).map_err(|error| refuse(error.to_string()))?)
        }
        StorageMiddleware::Redirect { base_url } => {
            Arc::new(Redirect::new(base_url).map_err(|error| refuse(error.to_string()))?)
        }
        StorageMiddleware::Rewrite { scheme, host, trim_path_prefix } => {
            let settings = RewriteConfig {
                scheme: scheme.clone(),
                host: host.clone(),
                trim_path_prefix: trim_path_prefix.clone(),
            };
            let made = Rewrite::new(Arc::clone(store), settings);
            Arc::new(made.map_err(|error| refuse(error.to_string()))?)
        }
    })
}

fn pattern(fits: impl Fn(&Pull<'_>) -> bool + Send + Sync + 'static) -> PullPattern {
    PullPattern(Arc::new(fits))
}

/// Clients in the cloud's own networks, who reach the bucket faster and cheaper than what is in front of it.
fn near_the_bucket(filter: &NetworkFilter) -> PullPattern {
    let ranges = AddressRanges::watch(filter);
    pattern(move |pull| pull.reader.address.is_some_and(|address| ranges.contains(address)))
}

/// The pulls a rule is about.
fn fits(rule: &RedirectRule) -> Result<PullPattern, AssemblyError> {
    let compile = |key: &'static str, text: &str| {
        Regex::new(text).map_err(|error| AssemblyError::Setting { key, reason: error.to_string() })
    };
    let repositories: Vec<Regex> = rule
        .repositories
        .iter()
        .map(|glob| compile("storage.redirect.rules.repositories", &expression(glob)))
        .collect::<Result<_, _>>()?;
    let agent = rule
        .user_agent
        .as_deref()
        .map(|text| compile("storage.redirect.rules.user_agent", text))
        .transpose()?;
    let networks: Vec<config::Network> = rule.networks.clone();
    let sizes = rule.min_size.unwrap_or(0)..=rule.max_size.unwrap_or(u64::MAX);
    Ok(pattern(move |pull| {
        let reader = pull.reader;
        sizes.contains(&pull.size)
            && (networks.is_empty() || reader.address.is_some_and(|address| within(&networks, address)))
            && (repositories.is_empty()
                || repositories.iter().any(|repository| repository.is_match(pull.repository.as_str())))
            && agent.as_ref().is_none_or(|agent| reader.agent.is_some_and(|text| agent.is_match(text)))
    }))
}

fn within(networks: &[Network], address: std::net::IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// A pattern of repositories as a regular expression: `*` stands for any text without a slash, `**` for any.
fn expression(glob: &str) -> String {
    let parts: Vec<String> = glob
        .split("**")
        .map(|part| part.split('*').map(regex::escape).collect::<Vec<_>>().join("[^/]*"))
        .collect();
    format!("^(?:{})$", parts.join(".*"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use entrepot_domain::redirects::Reader;
    use entrepot_driver_memory::MemoryDriver;
    use entrepot_storage::PresignOptions;

    use super::*;
    use crate::config::{Imagined, Leniency};

    fn assembled(storage: &str) -> Result<Redirects, AssemblyError> {
        let text = format!("version: 0.1\nauth: none\n{storage}");
        let around = Imagined::nothing().file("/config.yml", &text);
        let path = std::path::Path::new("/config.yml");
        let loaded = config::load(Some(path), Leniency::Strict, &around).expect("a good configuration");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = match &loaded.config.storage.backend {
                Backend::Inmemory(_) => MemoryDriver::new().shared(),
                backend => stores::open(backend, &around).await.unwrap().driver,
            };
            assemble(&loaded.config, &store, &around).await
        })
    }

    /// Where a pull goes: the index of the rule, or none for what holds otherwise.
    fn decided(
        redirects: &Redirects,
        repository: &str,
        size: u64,
        address: &str,
        agent: &str,
    ) -> Option<usize> {
        let name = repository.parse().expect("a name");
        let reader = Reader { address: address.parse().ok(), agent: Some(agent), is_anonymous: true };
        let pull = Pull { reader, repository: &name, size };
        redirects.rules.iter().position(|(pattern, _)| (pattern.0)(&pull))
    }

    /// What `route` signs for an object.
    fn url(route: &Route) -> String {
        let (Route::Signed(signer) | Route::SignedFor(signer, _)) = route else {
            return "nowhere".to_owned();
        };
        let key = "data/ab/object".parse().unwrap();
        let options = PresignOptions {
            signed_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            expires_in: Duration::from_secs(600),
            content_type: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(signer.sign(&key, &options, None)).unwrap().unwrap().url
    }

    #[test]
    fn globs_stop_at_slashes_unless_doubled() {
        let matches = |glob: &str, name: &str| Regex::new(&expression(glob)).unwrap().is_match(name);

        assert!(
            matches("team/*", "team/app") && !matches("team/*", "team/app/x") && !matches("team/*", "team")
        );
        assert!(matches("team/**", "team/app/x") && matches("**", "a/b") && matches("a.b", "a.b"));
        assert!(!matches("a.b", "axb"), "a dot is a dot");
        assert!(matches("*/app", "x/app") && !matches("*/app", "x/y/app"));
    }

    #[test]
    fn a_rule_is_about_the_pulls_that_fit_all_it_says() {
        let redirects = assembled(
            "storage:\n  inmemory:\n  redirect:\n    min_size: 4KiB\n    rules:\n    - action: proxy\n      networks: [10.0.0.0/8]\n      repositories: [team/*]\n      user_agent: ^containerd/\n      min_size: 1MiB\n      max_size: 2MiB\n",
        )
        .unwrap();
        let mib = 1 << 20;

        assert_eq!(decided(&redirects, "team/a", 100, "192.0.2.1", "x"), Some(0), "too small to redirect");
        assert_eq!(decided(&redirects, "team/a", mib, "10.1.1.1", "containerd/2"), Some(1));
        for (repository, size, address, agent) in [
            ("other/a", mib, "10.1.1.1", "containerd/2"),
            ("team/a", mib - 1, "10.1.1.1", "containerd/2"),
            ("team/a", 2 * mib + 1, "10.1.1.1", "containerd/2"),
            ("team/a", mib, "192.0.2.1", "containerd/2"),
            ("team/a", mib, "10.1.1.1", "docker/27 containerd/2"),
            ("team/a", mib, "nowhere", "containerd/2"),
        ] {
            assert_eq!(decided(&redirects, repository, size, address, agent), None, "{repository} {address}");
        }
    }

    #[test]
    fn redirects_can_be_switched_off_and_go_to_the_store_otherwise() {
        let off = assembled("storage:\n  inmemory:\n  redirect:\n    disable: true\n").unwrap();
        let on = assembled("storage:\n  inmemory:\n").unwrap();

        assert!(matches!(off.otherwise, Route::Proxy));
        assert!(matches!(on.otherwise, Route::Signed(_)));
    }

    #[test]
    fn clients_of_one_network_are_sent_to_an_endpoint_of_their_own() {
        let redirects = assembled(
            "storage:\n  s3: {bucket: images, region: eu-central-1, accesskey: AKIA, secretkey: hidden}\n  redirect:\n    rules:\n    - action: presign\n      networks: [10.0.0.0/8]\n      endpoint: https://s3.internal.example\n",
        )
        .unwrap();

        assert_eq!(decided(&redirects, "a", 1, "10.1.1.1", ""), Some(0));
        assert_eq!(decided(&redirects, "a", 1, "192.0.2.1", ""), None);
        assert!(url(&redirects.rules[0].1).contains("s3.internal.example/"));
        assert!(url(&redirects.otherwise).contains("amazonaws.com/"));
    }

    #[test]
    fn an_endpoint_wants_a_rule_and_a_store_that_send_clients_there() {
        for storage in [
            "storage:\n  inmemory:\n  redirect: {rules: [{action: presign, endpoint: https://a.example}]}\n",
            "storage:\n  s3: {bucket: b, region: r}\n  redirect: {rules: [{action: proxy, endpoint: https://a.example}]}\n",
        ] {
            let text = format!("version: 0.1\nauth: none\n{storage}");
            let around = Imagined::nothing().file("/config.yml", &text);
            let refused = config::load(Some("/config.yml".as_ref()), Leniency::Strict, &around).unwrap_err();

            assert!(format!("{refused}").contains("rules[0].endpoint"), "{refused}");
        }
    }

    #[test]
    fn a_cdn_without_the_bucket_it_serves_from_is_refused() {
        for (options, bucket) in [
            ("{name: cloudfront, options: {baseurl: https://c, privatekey: /k, keypairid: K}}", "storage.s3"),
            ("{name: googlecdn, options: {baseurl: https://c, privatekey: /k, keyname: K}}", "storage.gcs"),
        ] {
            let text = format!("storage: inmemory\nmiddleware:\n  storage: [{options}]\n");
            let refused = assembled(&text).unwrap_err();

            assert!(refused.to_string().contains(bucket), "{refused}");
        }
    }

    #[test]
    fn a_cdn_is_told_only_what_it_can_do() {
        for (options, key) in [
            ("name: cloudfront, options: {keypairid: K, ipfilteredby: gcp, ", "ipfilteredby"),
            ("name: googlecdn, options: {keyname: K, ipfilteredby: aws, ", "ipfilteredby"),
            ("name: googlecdn, options: {keyname: K, sourceip: true, ", "sourceip"),
            ("name: googlecdn, options: {", "keyname"),
        ] {
            let entry = format!("{{{options}baseurl: https://c, privatekey: /k}}}}");
            let text = format!("version: 0.1\nauth: none\nmiddleware: {{storage: [{entry}]}}\n");
            let around = Imagined::nothing().file("/config.yml", &text);
            let refused = config::load(Some("/config.yml".as_ref()), Leniency::Strict, &around).unwrap_err();

            assert!(format!("{refused}").contains(&format!("options.{key}")), "{refused}");
        }
    }

    #[test]
    fn urls_last_as_long_as_the_configuration_says() {
        let minutes = |storage: &str| {
            let redirects = assembled(storage).unwrap();
            (redirects.lifetime.as_secs() / 60, redirects.private_lifetime.as_secs() / 60)
        };

        assert_eq!(minutes("storage:\n  inmemory:\n"), (20, 5));
        assert_eq!(minutes("storage:\n  inmemory:\n  redirect: {ttl: 1h, private_ttl: 10m}\n"), (60, 10));
    }

    #[test]
    fn a_cdn_says_how_long_its_urls_last_and_who_goes_past_it() {
        let scratch = tempfile::tempdir().unwrap();
        let key = scratch.path().join("key");
        std::fs::write(&key, "nZtRohdNF9m3cKM24IcK4w==").unwrap();
        let redirects = assembled(&format!(
            "storage:\n  gcs: {{bucket: images, hmacaccessid: GOOG1, hmacsecret: c2VjcmV0}}\nmiddleware:\n  storage:\n  - name: googlecdn\n    options: {{baseurl: https://c, privatekey: {}, keyname: k, duration: 1h, ipfilteredby: gcp, iprangesurl: 'http://127.0.0.1:1/'}}\n",
            key.display()
        ))
        .unwrap();

        assert!(matches!(redirects.otherwise, Route::SignedFor(_, lifetime) if lifetime.as_secs() == 3600));
        assert_eq!(
            redirects.lifetime.as_secs(),
            20 * 60,
            "what the store signs itself lasts as long as ever"
        );
        assert!(matches!(redirects.rules[..], [(_, Route::Signed(_))]), "clients in Google's networks");
        assert_eq!(decided(&redirects, "a", 1, "192.0.2.1", ""), None);
    }

    /// Serves a list of networks to whoever asks.
    fn published(networks: &'static str) -> String {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("http://{}/ranges.json", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let _request = client.read(&mut [0; 4096]).unwrap();
                let length = networks.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{networks}"
                );
                client.write_all(answer.as_bytes()).unwrap();
            }
        });
        place
    }

    #[test]
    fn a_client_in_the_published_networks_goes_to_the_store_and_others_through_the_cdn() {
        let scratch = tempfile::tempdir().unwrap();
        let key = scratch.path().join("key");
        std::fs::write(&key, "nZtRohdNF9m3cKM24IcK4w==").unwrap();
        let ranges = published(r#"{"prefixes":[{"ipv4Prefix":"8.8.4.0/24"}]}"#);
        let redirects = assembled(&format!(
            "storage:\n  gcs: {{bucket: images, hmacaccessid: GOOG1, hmacsecret: c2VjcmV0}}\nmiddleware:\n  storage:\n  - name: googlecdn\n    options: {{baseurl: https://c.example, privatekey: {}, keyname: k, ipfilteredby: gcp, iprangesurl: '{ranges}'}}\n",
            key.display()
        ))
        .unwrap();
        let patience = std::time::Instant::now() + Duration::from_secs(30);

        while decided(&redirects, "a", 1, "8.8.4.4", "").is_none() {
            assert!(std::time::Instant::now() < patience, "the networks never arrive");
            std::thread::sleep(Duration::from_millis(10));
        }

        assert_eq!(decided(&redirects, "a", 1, "8.8.4.4", ""), Some(0));
        assert!(url(&redirects.rules[0].1).starts_with("https://storage.googleapis.com/"));
        assert_eq!(decided(&redirects, "a", 1, "8.8.5.4", ""), None);
        assert!(url(&redirects.otherwise).starts_with("https://c.example/"));
    }
}
