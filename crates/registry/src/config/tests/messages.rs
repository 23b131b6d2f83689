//! What people read when something is wrong.

use super::*;

#[test]
fn unknown_keys_name_their_path_line_and_the_nearest_key() {
    for (text, message) in [
        (
            "version: 0.1\nhttp:\n  tls:\n    certficate: /c\n",
            "line 4: http.tls.certficate: unknown key; did you mean `http.tls.certificate`?",
        ),
        (
            "version: 0.1\nrootdirectory: /srv\n",
            "line 2: rootdirectory: unknown key; did you mean `storage.filesystem.rootdirectory`?",
        ),
        (
            "version: 0.1\nstorage: filesytem\n",
            "line 2: storage.filesytem: unknown key; did you mean `storage.filesystem`?",
        ),
        ("version: 0.1\nhttp: {adr: }\n", "line 2: http.adr: unknown key; did you mean `http.addr`?"),
        ("version: 0.1\nxyzzyplugh: 1\n", "line 2: xyzzyplugh: unknown key"),
        (
            "version: 0.1\nhealth: {tcp: [{addr: 'a:1', treshold: 3}]}\n",
            "line 2: health.tcp[0].treshold: unknown key; did you mean `health.tcp[0].threshold`?",
        ),
    ] {
        assert_eq!(only_problem(text), message);
    }
}

#[test]
fn wrong_values_say_what_is_right() {
    for (text, message) in [
        ("log: {level: loud}", "log.level: `loud` is not one of error, warn, info, debug"),
        ("log: {accesslog: {disabled: maybe}}", "log.accesslog.disabled: `maybe` is neither true nor false"),
        ("catalog: {maxentries: -1}", "catalog.maxentries: `-1` is no whole number"),
        (
            "limits: {max_manifest_size: 1MiB}",
            "limits.max_manifest_size: 1MiB is less than the least that is possible, 4MiB",
        ),
        (
            "health: {storagedriver: {interval: 10}}",
            "health.storagedriver.interval: 10ns is less than the least that is possible, 1s; a bare number counts nanoseconds, so write a unit such as 10s",
        ),
        (
            "http: {draintimeout: 5 minutes}",
            "http.draintimeout: `5 minutes` is no duration; write for example 90s, 5m, 1h30m or 168h",
        ),
        (
            "http: {addr: '5000'}",
            "http.addr: `5000` is no HOST:PORT; write for example 127.0.0.1:5000, [::1]:5000 or :5000",
        ),
        ("http: {addr: [a]}", "http.addr: one value is expected here, not a list or section"),
        ("http: {tls: /cert}", "http.tls: a section with keys is expected here"),
        ("http: {headers: nosniff}", "http.headers: a section of names and values is expected here"),
        (
            "http: {headers: {Content-Encoding: gzip}}",
            "http.headers: `Content-Encoding` is set by the registry itself; remove it",
        ),
        (
            "http: {trusted_proxies: [proxy]}",
            "http.trusted_proxies: `proxy` is no network; write for example 10.0.0.0/8, fd00::/8 or 127.0.0.1",
        ),
        (
            "http: {secret: <hidden>}",
            "http.secret: this is the placeholder of a printed configuration; put the real secret in its place",
        ),
        (
            "http: {tls: {certificate: /c, key: /k, minimumtls: tls1.0}}",
            "http.tls.minimumtls: tls1.0 is broken and no longer spoken; write tls1.2 or tls1.3",
        ),
        (
            "http: {tls: {certificate: /c, key: /k, ciphersuites: [TLS_RSA_WITH_AES_128_CBC_SHA]}}",
            "http.tls.ciphersuites: `TLS_RSA_WITH_AES_128_CBC_SHA` is too weak to be offered; remove it (the good ones are the default)",
        ),
        (
            "http: {tls: {certificate: /c}}",
            "http.tls.key: TLS needs the key of the certificate; write the path of its file here",
        ),
        ("health: {http: [{timeout: 1s}]}", "health.http[0].uri: this key is required here"),
        (
            "storage: {filesystem: {}, inmemory: {}}",
            "storage: only one of filesystem, inmemory can be used; keep one",
        ),
        (
            "validation: {manifests: {urls: {allow: ['(']}}}",
            "validation.manifests.urls.allow: `(` is no regular expression",
        ),
        (
            "validation: {manifests: {indexes: {platforms: List}}}",
            "validation.manifests.indexes.platforms: `list` wants the platforms",
        ),
        (
            "uploads: {max_memory: 64MiB, part_size: 64MiB}",
            "uploads.max_memory: there must be room for four parts of `uploads.part_size`, 256MiB",
        ),
        (
            "uploads: {token_lifetime: 500h}",
            "uploads.token_lifetime: uploads are forgotten after `storage.maintenance.uploadpurging.age`, 168h",
        ),
        (
            "uploads: {replay_window: 169h}",
            "uploads.replay_window: uploads are forgotten after `storage.maintenance.uploadpurging.age`, 168h",
        ),
        (
            "storage: {cache: {blobdescriptor: redis}}",
            "storage.cache.blobdescriptor: `redis` does not work yet, it arrives with the fleet milestone; until then write inmemory",
        ),
    ] {
        let problem = only_problem(&format!("version: 0.1\n{text}\n"));
        assert!(problem.starts_with(&format!("line 2: {message}")), "{problem}\n{message}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = load_text("version: 0.1\nlog: {level: loud}\nhttp: {adr: x, draintimeout: soon}\n")
        .expect_err("three problems");

    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["log.level", "http.adr", "http.draintimeout"]);
}

#[test]
fn warnings_tell_what_has_no_effect() {
    for (text, path) in [
        ("http: {secret: short}", "http.secret"),
        ("http: {h2c: {enabled: true}, tls: {certificate: /c, key: /k}}", "http.h2c.enabled"),
        ("http: {tls: {certificate: /c, key: /k, clientauth: request-client-cert}}", "http.tls.clientauth"),
        ("storage: {filesystem: {maxthreads: 4}}", "storage.filesystem.maxthreads"),
        ("storage: {cache: {blobdescriptorsize: 0}}", "storage.cache.blobdescriptorsize"),
        (
            "validation: {manifests: {indexes: {platformlist: [{os: linux, architecture: amd64}]}}}",
            "validation.manifests.indexes.platformlist",
        ),
    ] {
        let loaded = load_text(&format!("version: 0.1\n{text}\n")).expect(text);

        let paths: Vec<_> = loaded.warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, [path]);
    }
}

#[test]
fn no_message_and_no_debug_output_holds_a_secret() {
    let secret = "correct-horse-battery-staple";
    let loaded = load_text(&format!(
        "version: 0.1\nhttp: {{secret: [{secret}]}}\nhealth: {{http: [{{uri: 'http://a/', headers: {{Authorization: [{secret}]}}}}]}}\n"
    ))
    .expect("valid");
    let wrong =
        load_text(&format!("version: 0.1\nhttp: {{secret: [[{secret}]]}}\n")).expect_err("a list in a list");

    let printed = format!("{:?} {} {wrong:?}", loaded.config, show(&loaded.config));
    assert!(!printed.contains(secret), "{printed}");
}

#[test]
fn lenient_loading_keeps_every_other_problem() {
    let surroundings = Imagined::nothing().file("/c", "version: 0.1\nhttp: {adr: x}\nlog: {level: loud}\n");

    let error = load(Some("/c".as_ref()), Leniency::Lenient, &surroundings).expect_err("the level is wrong");

    assert_eq!(
        error.to_string(),
        "/c: 1 problem\n  line 3: log.level: `loud` is not one of error, warn, info, debug"
    );
}
