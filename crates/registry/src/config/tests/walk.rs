//! Every key of the table, put alone into a configuration, has the outcome the table says.

use super::*;
use crate::config::keys::{self, Fate, Key, Kind};

/// What some keys need beside them to mean anything.
const COMPANIONS: &[(&str, &[(&str, &str)])] = &[
    ("http.net", &[("REGISTRY_HTTP_ADDR", "/run/registry.sock")]),
    (
        "http.tls.clientauth",
        &[
            ("REGISTRY_HTTP_TLS_CERTIFICATE", "/c"),
            ("REGISTRY_HTTP_TLS_KEY", "/k"),
            ("REGISTRY_HTTP_TLS_CLIENTCAS", "[/ca]"),
        ],
    ),
    ("http.tls.certificate", &[("REGISTRY_HTTP_TLS_KEY", "/k")]),
    ("http.tls.key", &[("REGISTRY_HTTP_TLS_CERTIFICATE", "/c")]),
    ("http.tls", &[("REGISTRY_HTTP_TLS_CERTIFICATE", "/c"), ("REGISTRY_HTTP_TLS_KEY", "/k")]),
    ("health.file", &[("REGISTRY_HEALTH_FILE_0_FILE", "/f")]),
    ("health.http", &[("REGISTRY_HEALTH_HTTP_0_URI", "http://a/")]),
    ("health.tcp", &[("REGISTRY_HEALTH_TCP_0_ADDR", "a:1")]),
    ("validation.enabled", &[("REGISTRY_VALIDATION_DISABLED", "true")]),
    (
        "validation.manifests.indexes.platformlist[].os",
        &[("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE", "arm64"), LIST],
    ),
    (
        "validation.manifests.indexes.platformlist[].architecture",
        &[("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS", "linux"), LIST],
    ),
    (
        "storage.redirect.rules[].endpoint",
        &[("REGISTRY_STORAGE_REDIRECT_RULES_0_ACTION", "presign"), S3_BUCKET, S3_REGION],
    ),
    ("storage.s3.accesskey", &[S3_BUCKET, S3_REGION, ("REGISTRY_STORAGE_S3_SECRETKEY", "s")]),
    ("storage.s3.secretkey", &[S3_BUCKET, S3_REGION, ("REGISTRY_STORAGE_S3_ACCESSKEY", "a")]),
    (
        "storage.s3.sessiontoken",
        &[
            S3_BUCKET,
            S3_REGION,
            ("REGISTRY_STORAGE_S3_ACCESSKEY", "a"),
            ("REGISTRY_STORAGE_S3_SECRETKEY", "s"),
        ],
    ),
    ("storage.s3.keyid", &[S3_BUCKET, S3_REGION, ("REGISTRY_STORAGE_S3_ENCRYPT", "true")]),
    ("storage.s3", &[S3_BUCKET, S3_REGION]),
    ("storage.azure.credentials.clientid", &[AZURE_ACCOUNT, AZURE_CONTAINER]),
    ("storage.azure.credentials.type", &[AZURE_ACCOUNT, AZURE_CONTAINER]),
    (
        "storage.azure.credentials",
        &[
            AZURE_ACCOUNT,
            AZURE_CONTAINER,
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "client_secret"),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_CLIENTID", "c"),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TENANTID", "t"),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_SECRET", "s"),
        ],
    ),
    ("storage.azure", &[AZURE_ACCOUNT, AZURE_CONTAINER]),
    (
        "storage.gcs.credentials",
        &[
            GCS_BUCKET,
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY", "k"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_CLIENT_EMAIL", "e"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY_ID", "i"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_PROJECT_ID", "p"),
        ],
    ),
    ("storage.gcs.hmacaccessid", &[GCS_BUCKET, ("REGISTRY_STORAGE_GCS_HMACSECRET", "s")]),
    ("storage.gcs.hmacsecret", &[GCS_BUCKET, ("REGISTRY_STORAGE_GCS_HMACACCESSID", "a")]),
    (
        "storage.gcs.redirectbucketbound",
        &[GCS_BUCKET, ("REGISTRY_STORAGE_GCS_REDIRECTENDPOINT", "https://images.example.com")],
    ),
    ("storage.gcs", &[GCS_BUCKET]),
    ("storage.redirect.rules", &[("REGISTRY_STORAGE_REDIRECT_RULES_0_ACTION", "presign")]),
    (
        "middleware.storage[].name",
        &[
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "https://c"),
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_SCHEME", "https"),
        ],
    ),
    (
        "middleware.storage[].disabled",
        &[
            ("REGISTRY_MIDDLEWARE_STORAGE_0_NAME", "redirect"),
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "c"),
        ],
    ),
    ("middleware.storage[].options.scheme", &[REWRITE]),
    ("middleware.storage[].options.host", &[REWRITE]),
    ("middleware.storage[].options.trimpathprefix", &[REWRITE]),
    (
        "middleware.storage[].options.keyname",
        &[
            ("REGISTRY_MIDDLEWARE_STORAGE_0_NAME", "googlecdn"),
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "https://c"),
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_PRIVATEKEY", "/k"),
        ],
    ),
    (
        "middleware.storage[].options",
        &[
            ("REGISTRY_MIDDLEWARE_STORAGE_0_NAME", "cloudfront"),
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "https://c"),
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_PRIVATEKEY", "/k"),
            ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_KEYPAIRID", "K"),
        ],
    ),
];
const S3_BUCKET: (&str, &str) = ("REGISTRY_STORAGE_S3_BUCKET", "b");
const S3_REGION: (&str, &str) = ("REGISTRY_STORAGE_S3_REGION", "r");
const AZURE_ACCOUNT: (&str, &str) = ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", "a");
const AZURE_CONTAINER: (&str, &str) = ("REGISTRY_STORAGE_AZURE_CONTAINER", "c");
const GCS_BUCKET: (&str, &str) = ("REGISTRY_STORAGE_GCS_BUCKET", "b");
const REWRITE: (&str, &str) = ("REGISTRY_MIDDLEWARE_STORAGE_0_NAME", "rewrite");
const LIST: (&str, &str) = ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "list");

/// Keys of which only one value works alone, the default.
const WITHOUT_CHOICE: [&str; 3] =
    ["version", "storage.cache.blobdescriptor", "storage.azure.credentials.type"];

/// Keys that do what they say, and about which something has to be said.
const WARNED_ABOUT: [&str; 2] = ["storage.s3.skipverify", "storage.azure.skipverify"];

/// The surroundings in which `key` means something; without the key itself, where it is one of those
/// another key needs.
fn surroundings(key: &Key) -> Imagined {
    let found =
        COMPANIONS.iter().find(|(path, _)| key.path == *path || key.path.starts_with(&format!("{path}[")));
    let found =
        found.or_else(|| COMPANIONS.iter().find(|(path, _)| key.path.starts_with(&format!("{path}."))));
    let nothing = Imagined::nothing().file("/run/secrets/http", "a-secret-from-a-file\n");
    let Some((_, companions)) = found else { return nothing };
    let own = indexed(key);
    let others = companions.iter().filter(|(name, _)| *name != own && !is_below(key, name));
    others.fold(nothing, |around, (name, value)| around.variable(name, value))
}

/// Whether the variable is that of a key in the section of `key`. Its name alone does not tell: `private_key` and
/// `private_key_id` are neighbours.
fn is_below(key: &Key, variable: &str) -> bool {
    let has_own = |other: &&Key| indexed(other) == variable;
    let path = keys::all().find(has_own).map_or("", |other| other.path);
    path.strip_prefix(key.path).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The variable of a key, for the first item of each list, or of the whole map.
fn indexed(key: &Key) -> String {
    key.environment_variable().replace("<index>", "0").replace("_<name>", "")
}

/// A file that holds nothing but the key.
fn alone(key: &Key) -> String {
    if key.path == "version" {
        return format!("version: {}\n", key.example);
    }
    let nested =
        key.path.rsplit('.').fold(key.example.to_owned(), |inner, part| match part.strip_suffix("[]") {
            Some(name) => format!("{{{name}: [{inner}]}}"),
            None => format!("{{{part}: {inner}}}"),
        });
    format!("version: 0.1\n{}\n", &nested[1..nested.len() - 1])
}

fn with_example() -> impl Iterator<Item = &'static Key> {
    keys::all().filter(|key| !key.example.is_empty())
}

/// What the other problems of a configuration without the key are about is not this test's business.
fn shown_without(key: &Key) -> Option<String> {
    load_with("version: 0.1\n", surroundings(key)).ok().map(|loaded| show(&loaded.config))
}

#[test]
fn a_key_that_works_is_accepted_without_a_word_and_changes_what_is_used() {
    for key in with_example().filter(|key| key.outcome().0 == Fate::Works) {
        let loaded = load_with(&alone(key), surroundings(key))
            .unwrap_or_else(|problems| panic!("{}: {problems:#?}", key.path));

        let is_warned = WARNED_ABOUT.contains(&key.path);
        assert_eq!(loaded.warnings.is_empty(), !is_warned, "{}: {:?}", key.path, loaded.warnings);
        let changed = shown_without(key).as_ref() != Some(&show(&loaded.config));
        assert_eq!(changed, !WITHOUT_CHOICE.contains(&key.path), "{} makes no difference", key.path);
    }
}

#[test]
fn a_key_that_works_does_the_same_as_a_variable() {
    for key in with_example().filter(|key| key.outcome().0 == Fate::Works && key.path != "version") {
        let file = load_with(&alone(key), surroundings(key)).expect("tested above");
        let around = surroundings(key).variable(&indexed(key), key.example);

        let variable =
            load_environment(&around).unwrap_or_else(|problems| panic!("{}: {problems:#?}", indexed(key)));

        assert_eq!(show(&variable.config), show(&file.config), "{}", indexed(key));
        let is_warned = WARNED_ABOUT.contains(&key.path);
        assert_eq!(variable.warnings.is_empty(), !is_warned, "{}: {:?}", indexed(key), variable.warnings);
    }
}

#[test]
fn an_alias_means_its_target_and_says_so() {
    for key in with_example() {
        let Fate::Alias(target) = key.fate else { continue };
        let target_key = keys::find(target).expect("tested with the table");
        let target_file = alone(&Key { example: key.example, ..*target_key });

        let loaded = load_with(&alone(key), surroundings(key))
            .unwrap_or_else(|problems| panic!("{}: {problems:#?}", key.path));

        assert_eq!(show(&loaded.config), show(&config(&target_file)), "{}", key.path);
        assert_eq!(loaded.warnings.len(), 1, "{}", key.path);
        assert!(loaded.warnings[0].message.contains(target), "{}", loaded.warnings[0]);
    }
}

#[test]
fn an_ignored_key_changes_nothing_and_is_mentioned() {
    for key in with_example() {
        let (Fate::Ignored(why), decided_by) = key.outcome() else { continue };

        let loaded = load_with(&alone(key), surroundings(key))
            .unwrap_or_else(|problems| panic!("{}: {problems:#?}", key.path));

        assert_eq!(Some(show(&loaded.config)), shown_without(key), "{}", key.path);
        assert_eq!(loaded.warnings.len(), 1, "{}", key.path);
        assert_eq!(loaded.warnings[0].path, decided_by);
        assert!(loaded.warnings[0].message.contains(why), "{}", loaded.warnings[0]);
    }
}

#[test]
fn a_key_that_does_not_work_fails_once_and_says_what_to_do() {
    for key in with_example() {
        let (expected, decided_by) = match key.outcome() {
            (Fate::NotYet(milestone, meanwhile), path) => {
                ([format!("the {milestone} milestone"), meanwhile.to_owned()], path)
            }
            (Fate::Refused(instead), path) => (["not supported".to_owned(), instead.to_owned()], path),
            _ => continue,
        };

        let problems = load_text(&alone(key)).expect_err(key.path);

        assert_eq!(problems.len(), 1, "{}: {problems:#?}", key.path);
        assert_eq!(problems[0].path, decided_by, "{}", key.path);
        assert!(matches!(problems[0].origin, Origin::Line(2)), "{}: {:?}", key.path, problems[0].origin);
        for part in expected {
            assert!(problems[0].message.contains(&part), "{}: {}", key.path, problems[0]);
        }
    }
}

#[test]
fn a_key_that_does_not_work_fails_as_a_variable_too() {
    for key in with_example().filter(|key| matches!(key.outcome().0, Fate::NotYet(..) | Fate::Refused(_))) {
        let problems =
            load_environment(&Imagined::nothing().variable(&indexed(key), key.example)).expect_err(key.path);

        assert_eq!(problems.len(), 1, "{}: {problems:#?}", key.path);
        assert_eq!(problems[0].path, key.outcome().1, "{}", key.path);
        assert!(matches!(problems[0].origin, Origin::Variable(_)), "{}", key.path);
    }
}

#[test]
fn every_key_is_unknown_with_a_slip_in_it_and_the_right_one_is_suggested() {
    for key in with_example()
        .filter(|key| key.outcome().0 == Fate::Works && key.name().len() > 4 && key.path != "version")
    {
        let (head, tail) = key.name().split_at(2);
        let slip = format!("{head}x{tail}");
        let file = alone(key).replacen(&format!("{}:", key.name()), &format!("{slip}:"), 1);
        if !file.contains(&format!("{slip}: ")) {
            continue;
        }

        let problems = load_with(&file, surroundings(key)).expect_err(&file);

        let found =
            problems.iter().find(|problem| problem.message.starts_with("unknown key")).expect(key.path);
        assert!(found.path.ends_with(&slip), "{found}");
        assert!(found.message.contains(&format!("{}`?", key.name())), "{found}");
    }
}

#[test]
fn every_bounded_key_refuses_what_is_out_of_bounds() {
    for key in with_example().filter(|key| key.outcome().0 == Fate::Works) {
        let too_much = match key.kind {
            Kind::Count(_, max) if max < u64::MAX => (max + 1).to_string(),
            Kind::Size(_, max) if max < u64::MAX => (max + 1).to_string(),
            Kind::Duration(_, max) => format!("{}s", max.as_secs() + 1),
            Kind::Flag => "maybe".to_owned(),
            Kind::OneOf(_) => "xyzzy".to_owned(),
            _ => continue,
        };

        let problems = load_with(
            &alone(&Key { example: Box::leak(too_much.into_boxed_str()), ..*key }),
            surroundings(key),
        )
        .expect_err(key.path);

        assert!(
            problems.iter().any(|problem| problem.path.replace("[0]", "[]") == key.path),
            "{}: {problems:#?}",
            key.path
        );
    }
}
