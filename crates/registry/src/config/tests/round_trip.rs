//! What is printed can be read, and nothing that can be read makes the reader panic.

use proptest::prelude::*;

use super::*;
use crate::config::keys::{self, Fate};

fn reload(printed: &str) -> String {
    show(&config(printed))
}

#[test]
fn a_printed_configuration_brings_itself_about() {
    let everything = "\
version: 0.1
auth: none
log: {level: warn, formatter: logstash, fields: {a: 'yes', b: '1.0', c: \"x: y\\n#\", 'd e': ''}}
storage: {filesystem: {rootdirectory: '/srv/my data'}, delete: {enabled: false}, maintenance: {uploadpurging: {age: 36h}}}
http:
  addr: '[::]:5000'
  host: https://registry.example.com
  prefix: /x
  trusted_proxies: [10.0.0.0/8]
  forwarded_headers: forwarded
  headers: {X-A: ['1', 'b: c']}
  tls: {certificate: /c, key: /k, clientcas: [/a]}
  debug: {addr: ':5001'}
health: {file: [{file: /down}], http: [{uri: 'https://a/', statuscode: 204}], tcp: [{addr: 'a:1', interval: 90s}]}
validation: {manifests: {urls: {allow: ['^https?://([^/]+\\.)*example\\.com/']}, indexes: {platforms: list, platformlist: [{os: linux, architecture: amd64}]}}}
limits: {max_blob_size: 1000}
";
    for text in [
        "version: 0.1\n",
        "version: 0.1\nstorage: inmemory\n",
        "version: 0.1\nhttp: {net: unix, addr: /run/x.sock}\n",
        // Found by fuzzing: a header without a value was printed as one with an empty value.
        "version: 0.1\nhttp: {headers: {X-A:, X-B: '', X-C: ['']}}\n",
        everything,
    ] {
        let printed = show(&config(text));

        assert_eq!(reload(&printed), printed);
    }
}

#[test]
fn every_working_key_survives_printing() {
    for key in keys::all().filter(|key| key.outcome().0 == Fate::Works && key.path.matches('.').count() == 1)
    {
        if key.example.is_empty() || key.path.starts_with("http.secret") || key.path == "http.net" {
            continue;
        }
        let (section, name) = key.path.split_once('.').expect("filtered");
        let printed = show(&config(&format!("version: 0.1\n{section}: {{{name}: {}}}\n", key.example)));

        assert_eq!(reload(&printed), printed, "{}", key.path);
    }
}

#[test]
fn a_printed_secret_is_not_mistaken_for_the_secret() {
    let printed = show(&config("version: 0.1\nhttp: {secret: correct-horse-battery}\n"));

    assert!(
        only_problem(&printed).contains("http.secret: this is the placeholder of a printed configuration")
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n]{0,200}") {
        let _outcome = load_text(&text);
    }

    #[test]
    fn no_structure_makes_the_reader_panic(
        lines in prop::collection::vec(("( ){0,6}", "(version|http|tls|addr|log|fields|storage|filesystem|auth|health|tcp|-|<<|&a|[*]a|[$][{]env:X[}])", "(: |: \\[|: \\{|\n|: *)", "[ -~]{0,8}"), 0..20)
    ) {
        let text: String = lines.iter().map(|(indent, key, sign, rest)| format!("{indent}{key}{sign}{rest}\n")).collect();
        let _outcome = load_text(&text);
    }

    #[test]
    fn no_variable_makes_the_reader_panic(name in "[A-Z0-9_]{0,30}", value in "[ -~]{0,40}") {
        let _outcome = load_environment(&Imagined::nothing().variable(&format!("REGISTRY_{name}"), &value));
        let _outcome = load_environment(&Imagined::nothing().variable(&format!("REGISTRY_HTTP_{name}"), &value));
    }
}
