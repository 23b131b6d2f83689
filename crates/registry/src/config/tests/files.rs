//! Whole files, as people have them.

use std::time::Duration;

use super::*;

/// The shape of the example that distribution ships, without its users.
const EXAMPLE: &str = "\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
  tag:
    concurrencylimit: 8
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

/// The shape of the file its developers use.
const DEVELOPMENT: &str = "\
version: 0.1
log:
  level: debug
  fields:
    service: registry
    environment: development
storage:
    delete:
      enabled: true
    cache:
        blobdescriptor: inmemory
    filesystem:
        rootdirectory: /var/lib/registry
    maintenance:
        uploadpurging:
            enabled: false
    tag:
      concurrencylimit: 8
http:
    addr: :5000
    debug:
        addr: :5001
        prometheus:
            enabled: true
            path: /metrics
    headers:
        X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

#[test]
fn without_anything_the_registry_stays_on_this_machine() {
    let config = load_environment(&Imagined::nothing()).expect("defaults are valid").config;

    assert_eq!(config.http.listen.to_string(), "127.0.0.1:5000");
    assert!(!config.http.listen.is_reachable_from_outside());
    assert_eq!(config.auth, Auth::Unwritten);
    assert_eq!(config.storage.cache.kind, CacheKind::Inmemory);
    assert!(
        matches!(config.storage.backend, Backend::Filesystem(directory) if directory.root_directory == Path::new("./entrepot-data"))
    );
}

#[test]
fn distributions_example_listens_wide_and_is_told_to_write_auth_none() {
    let problem = only_problem(EXAMPLE);

    assert!(
        problem.starts_with("line 13: http.addr: `:5000` can be reached from other machines"),
        "{problem}"
    );
    assert!(problem.contains("Write `auth: none` (or set REGISTRY_AUTH=none)"), "{problem}");
    assert!(problem.contains("http.addr: 127.0.0.1:5000"), "{problem}");
}

#[test]
fn distributions_example_starts_once_auth_is_decided() {
    for auth in ["auth: none\n", "auth: {none: {}}\n", "auth:\n  none:\n"] {
        let config = config(&format!("{EXAMPLE}{auth}"));

        assert_eq!(config.auth, Auth::None, "{auth}");
        assert_eq!(config.storage.tag.concurrency_limit, 8);
        assert_eq!(
            config.health.storage,
            StorageCheck { enabled: true, interval: Duration::from_secs(10), threshold: 3 }
        );
        assert_eq!(config.http.headers["X-Content-Type-Options"], ["nosniff"]);
        assert_eq!(config.log.fields["service"], "registry");
    }
    let variable = load_with(EXAMPLE, Imagined::nothing().variable("REGISTRY_AUTH", "none"));
    assert_eq!(variable.expect("decided").config.auth, Auth::None);
}

#[test]
fn distributions_development_file_starts_once_auth_is_decided() {
    let config = config(&format!("{DEVELOPMENT}auth: none\n"));

    let debug = config.http.debug.expect("written");
    assert_eq!(debug.addr.to_string(), ":5001");
    assert!(debug.prometheus.enabled);
    assert!(!config.storage.maintenance.upload_purging.enabled);
    assert_eq!(config.log.level, Level::Debug);
}

#[test]
fn a_pull_through_cache_is_told_which_milestones_it_waits_for() {
    let text = "\
version: 0.1
storage: {cache: {blobdescriptor: redis}, filesystem: {rootdirectory: /srv}}
http: {addr: ':5000', secret: asecretforlocaldevelopment}
redis: {addrs: ['localhost:6379'], poolsize: 64}
notifications: {endpoints: [{name: a, url: 'http://localhost:5003/callback'}]}
proxy: {remoteurl: 'https://registry-1.docker.io'}
";

    let problems = load_text(text).expect_err("three sections do not work");

    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["notifications", "redis", "proxy"]);
}

#[test]
fn templates_that_leave_empty_values_mean_nothing_by_them() {
    let config = config(
        "version: '0.1'\nhttp: {host: '', tls: {certificate: '', key: }, debug: {}}\nproxy: {remoteurl: ''}\nredis:\nauth:\nloglevel: ''\n",
    );

    assert!(config.http.tls.is_none());
    assert!(config.http.debug.is_none());
    assert!(config.http.relative_urls);
}

#[test]
fn the_version_is_a_number_or_a_text_and_must_be_there() {
    config("version: 0.1\n");
    config("version: '0.1'\n");

    assert!(only_problem("log: {level: info}\n").contains("write `version: 0.1` at the top"));
    assert!(only_problem("version: 0.2\n").contains("`0.2` is not one of 0.1"));
}

#[test]
fn the_debug_server_stays_on_loopback_unless_told_otherwise() {
    for (written, listens) in [
        ("addr: 5002", "127.0.0.1:5002"),
        ("prometheus: {enabled: true}", "127.0.0.1:5001"),
        ("addr: ':5002'", ":5002"),
    ] {
        let config = config(&format!("version: 0.1\nhttp: {{debug: {{{written}}}}}\n"));
        assert_eq!(config.http.debug.expect("written").addr.to_string(), listens);
    }
}

#[test]
fn tls_is_typed_and_names_the_files_to_watch() {
    let config = config(
        "version: 0.1\nhttp: {tls: {certificate: /c, key: /k, clientcas: [/a, /b], clientauth: verify-client-cert-if-given, minimumtls: tls1.3}}\n",
    );

    let tls = config.http.tls.expect("written");
    assert_eq!(tls.minimum, TlsVersion::Tls13);
    assert_eq!(
        tls.files().map(Path::display).map(|path| path.to_string()).collect::<Vec<_>>(),
        ["/c", "/k", "/a", "/b"]
    );
    assert_eq!(tls.client_authentication().map(|(mode, _)| mode), Some(ClientAuth::VerifyClientCertIfGiven));
    assert_eq!(tls.cipher_suites, CipherSuite::ALL);
}

#[test]
fn cipher_suites_of_tls_13_stay_when_only_older_ones_are_listed() {
    let config = config(
        "version: 0.1\nhttp: {tls: {certificate: /c, key: /k, ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}}\n",
    );

    let suites = config.http.tls.expect("written").cipher_suites;
    assert_eq!(suites.len(), 4);
    assert_eq!(suites.iter().filter(|suite| suite.version() == TlsVersion::Tls13).count(), 3);
    assert_eq!(suites.last().map(|suite| suite.name()), Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
}

#[test]
fn locations_are_relative_unless_a_host_is_written() {
    assert!(config("version: 0.1\n").http.relative_urls);
    assert!(!config("version: 0.1\nhttp: {host: 'https://a'}\n").http.relative_urls);
    assert!(config("version: 0.1\nhttp: {host: 'https://a', relativeurls: true}\n").http.relative_urls);
}

#[test]
fn validation_that_is_off_checks_nothing_and_the_old_switch_wins() {
    let off = config("version: 0.1\nvalidation: {disabled: true}\n").validation;
    let old = config("version: 0.1\nvalidation: {disabled: true, enabled: true}\n").validation;

    assert!(off.urls().is_none() && !off.checks_sizes());
    assert_eq!(off.platforms(), Platforms::None);
    assert!(old.urls().is_some() && old.checks_sizes());
    assert_eq!(old.platforms(), Platforms::All);
}

#[test]
fn zero_means_the_default_where_it_does_in_distribution() {
    let config =
        config("version: 0.1\ncatalog: {maxentries: 0}\ntags: {maxtags: 0}\nlimits: {max_blob_size: 0}\n");

    assert_eq!((config.catalog.max_entries, config.tags.max_tags), (1000, 1000));
    assert_eq!(config.limits.max_blob_size, None);
}

#[test]
fn a_store_named_alone_keeps_distributions_directory() {
    let config = config("version: 0.1\nstorage: filesystem\n");

    assert!(
        matches!(config.storage.backend, Backend::Filesystem(directory) if directory.root_directory == Path::new("/var/lib/registry"))
    );
}

#[test]
fn a_short_age_of_uploads_shortens_their_tokens() {
    let default = config("version: 0.1\n").uploads;
    let short = config("version: 0.1\nstorage: {maintenance: {uploadpurging: {age: 2h}}}\n").uploads;

    assert_eq!(default.token_lifetime, Duration::from_secs(24 * 3600));
    assert_eq!(short.token_lifetime, Duration::from_secs(2 * 3600));
}

#[test]
fn a_prefix_has_a_slash_at_both_ends_and_the_server_gets_it_without_the_last() {
    let nested = config("version: 0.1\nhttp: {prefix: /my/registry}\n").http;

    assert_eq!((nested.prefix.as_str(), nested.path_prefix()), ("/my/registry/", "/my/registry"));
    assert_eq!(config("version: 0.1\n").http.path_prefix(), "");
    assert!(only_problem("version: 0.1\nhttp: {prefix: my/registry/}\n").contains("/my/nested/registry/"));
}
