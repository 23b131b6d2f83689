//! `REGISTRY_*` variables.

use super::*;

fn variable(name: &str, value: &str) -> Imagined {
    Imagined::nothing().variable(name, value)
}

#[test]
fn variables_beat_the_file() {
    let loaded = load_with("version: 0.1\nlog: {level: error}\n", variable("REGISTRY_LOG_LEVEL", "debug"))
        .expect("valid");

    assert_eq!(loaded.config.log.level, Level::Debug);
}

#[test]
fn a_store_named_by_a_variable_replaces_the_section_of_the_file() {
    let file = "version: 0.1\nstorage: {inmemory: {}, delete: {enabled: false}}\n";
    let around = variable("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data")
        .variable("REGISTRY_STORAGE", "filesystem");

    let storage = load_with(file, around).expect("valid").config.storage;

    assert!(
        matches!(storage.backend, Backend::Filesystem(directory) if directory.root_directory == Path::new("/data"))
    );
    assert!(storage.delete.enabled);
}

#[test]
fn a_key_of_a_store_names_the_store() {
    let storage = load_environment(&variable("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data"))
        .expect("valid")
        .config
        .storage;

    assert!(
        matches!(storage.backend, Backend::Filesystem(directory) if directory.root_directory == Path::new("/data"))
    );
}

#[test]
fn a_second_store_beside_that_of_the_file_is_refused() {
    let around = variable("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data");

    let problems = load_with("version: 0.1\nstorage: inmemory\n", around).expect_err("two stores");

    assert!(problems[0].message.contains("only one of filesystem, inmemory can be used"), "{}", problems[0]);
}

#[test]
fn list_items_are_set_and_appended_by_index() {
    let file = "version: 0.1\nhttp: {tls: {certificate: /c, key: /k, clientcas: [/a, /b]}}\n";
    let around =
        variable("REGISTRY_HTTP_TLS_CLIENTCAS_0", "/x").variable("REGISTRY_HTTP_TLS_CLIENTCAS_2", "/y");

    let tls = load_with(file, around).expect("valid").config.http.tls.expect("written");

    assert_eq!(tls.client_authorities, [Path::new("/x"), Path::new("/b"), Path::new("/y")]);
}

#[test]
fn an_index_that_leaves_a_gap_is_refused() {
    let problems = load_environment(&variable("REGISTRY_HTTP_TRUSTED_PROXIES_1", "10.0.0.1"))
        .expect_err("item 0 is missing");

    assert_eq!(
        problems[0].to_string(),
        "REGISTRY_HTTP_TRUSTED_PROXIES_1: the list has 0 items, so the next index is 0"
    );
}

#[test]
fn items_of_sections_are_reached_by_index_and_by_distributions_go_names() {
    let around = variable("REGISTRY_HEALTH_TCP_0_ADDR", "a:1")
        .variable("REGISTRY_HEALTH_FILECHECKERS_0_FILE", "/down");

    let health = load_environment(&around).expect("valid").config.health;

    assert_eq!(health.tcp[0].addr.to_string(), "a:1");
    assert_eq!(health.files[0].file, Path::new("/down"));
}

#[test]
fn map_entries_are_set_by_name_and_keep_the_spelling_of_the_file() {
    let file = "version: 0.1\nhttp: {headers: {X-Frame-Options: [DENY]}}\n";
    let around = variable("REGISTRY_HTTP_HEADERS_X-FRAME-OPTIONS_0", "SAMEORIGIN")
        .variable("REGISTRY_LOG_FIELDS_SERVICE", "registry");

    let config = load_with(file, around).expect("valid").config;

    assert_eq!(config.http.headers["X-Frame-Options"], ["SAMEORIGIN"]);
    assert_eq!(config.http.headers.len(), 1);
    assert_eq!(config.log.fields["service"], "registry");
}

#[test]
fn values_are_yaml() {
    let around = variable("REGISTRY_HTTP_TRUSTED_PROXIES", "[10.0.0.0/8, 127.0.0.1]")
        .variable("REGISTRY_LOG", "{level: 'debug', accesslog: {disabled: yes}}");

    let config = load_environment(&around).expect("valid").config;

    assert_eq!(config.http.trusted_proxies.len(), 2);
    assert_eq!(config.log.level, Level::Debug);
    assert!(config.log.accesslog.disabled);
}

#[test]
fn a_text_that_is_no_yaml_text_is_taken_literally() {
    for value in
        ["#not-a-comment-at-all", "key: value and more", "[unfinished-and-long", "*unknown-alias-name"]
    {
        let config = load_environment(&variable("REGISTRY_LOG_FIELDS_NOTE", value)).expect(value).config;
        assert_eq!(config.log.fields["note"], value);
    }
}

#[test]
fn keys_with_underscores_are_found() {
    let around = variable("REGISTRY_LIMITS_MAX_BLOB_SIZE", "1GiB")
        .variable("REGISTRY_HTTP_TIMEOUTS_MIN_BODY_RATE", "0");

    let config = load_environment(&around).expect("valid").config;

    assert_eq!(config.limits.max_blob_size, Some(1 << 30));
    assert_eq!(config.http.timeouts.min_body_rate, 0);
}

#[test]
fn an_unknown_name_below_a_section_is_an_error_with_a_suggestion() {
    let problems = load_environment(&variable("REGISTRY_HTTP_ADR", ":5000")).expect_err("unknown");

    assert_eq!(
        problems[0].to_string(),
        "REGISTRY_HTTP_ADR: http.adr: unknown key; did you mean `http.addr`?"
    );
}

#[test]
fn an_unknown_first_word_is_a_warning_because_the_variable_may_be_somebody_elses() {
    let loaded = load_environment(
        &variable("REGISTRY_PASSWORD", "x").variable("REGISTRY_STORGE_DELETE_ENABLED", "false"),
    )
    .expect("valid");

    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "REGISTRY_PASSWORD: no such key; ignored",
            "REGISTRY_STORGE_DELETE_ENABLED: no such key; ignored; did you mean `storage`?"
        ]
    );
}

#[test]
fn the_variables_kubernetes_injects_for_a_service_are_passed_over() {
    let around = variable("REGISTRY_PORT", "tcp://10.0.0.1:5000")
        .variable("REGISTRY_SERVICE_HOST", "10.0.0.1")
        .variable("REGISTRY_SERVICE_PORT", "5000")
        .variable("REGISTRY_SERVICE_PORT_HTTP", "5000")
        .variable("REGISTRY_PORT_5000_TCP", "tcp://10.0.0.1:5000")
        .variable("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1")
        .variable("REGISTRY_HTTP_PORT", "tcp://10.0.0.1:5000")
        .variable("REGISTRY_CONFIGURATION_PATH", "")
        .variable("REGISTRYPASSWORD", "x")
        .variable("HOME", "/");

    let loaded = load_environment(&around).expect("valid");

    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn a_port_written_by_a_person_is_not_mistaken_for_such_a_variable() {
    assert!(load_environment(&variable("REGISTRY_HTTP_PORT", "5000")).is_err());
}
