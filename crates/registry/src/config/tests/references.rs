//! `${env:..}`, `${file:..}` and `*_file`.

use super::*;

fn exposed(config: &Config) -> Vec<&str> {
    config.http.secrets.iter().map(|secret| secret.expose().as_str()).collect()
}

#[test]
fn references_are_replaced_in_files_and_in_variables() {
    let around = Imagined::nothing()
        .file("/run/secret", "from-the-file-system\n")
        .variable("MY_SERVICE", "registry")
        .variable("REGISTRY_HTTP_SECRET", "${file:/run/secret}");

    let config = load_with("version: 0.1\nlog: {fields: {service: 'the-${env:MY_SERVICE}!'}}\n", around)
        .expect("valid")
        .config;

    assert_eq!(config.log.fields["service"], "the-registry!");
    assert_eq!(exposed(&config), ["from-the-file-system"]);
}

#[test]
fn what_a_reference_yields_is_not_looked_at_again() {
    let around = Imagined::nothing().variable("A", "${env:B}").variable("B", "never");

    let config = load_with("version: 0.1\nlog: {fields: {a: '${env:A}'}}\n", around).expect("valid").config;

    assert_eq!(config.log.fields["a"], "${env:B}");
}

#[test]
fn other_braces_and_escaped_references_stay() {
    let config = config("version: 0.1\nlog: {fields: {a: '${x}', b: '$${env:HOME}', c: 'a$'}}\n");

    assert_eq!(config.log.fields["a"], "${x}");
    assert_eq!(config.log.fields["b"], "${env:HOME}");
    assert_eq!(config.log.fields["c"], "a$");
}

#[test]
fn a_reference_to_nothing_fails_at_its_place() {
    for (value, message) in [
        ("${env:MISSING}", "line 2: log.level: the environment variable MISSING is not set"),
        ("${file:/missing}", "line 2: log.level: cannot read /missing: entity not found"),
        ("${env:OPEN", "line 2: log.level: the reference has no closing brace"),
    ] {
        let problems = load_text(&format!("version: 0.1\nlog: {{level: '{value}'}}\n")).expect_err(value);
        assert_eq!(problems[0].to_string(), message);
    }
}

#[test]
fn a_secret_file_holds_one_secret_in_each_line() {
    let around =
        Imagined::nothing().file("/run/secrets", "the-new-secret-signs\n\nthe-old-secret-verifies\n");

    let config =
        load_with("version: 0.1\nhttp: {secret_file: /run/secrets}\n", around).expect("valid").config;

    assert_eq!(exposed(&config), ["the-new-secret-signs", "the-old-secret-verifies"]);
}

#[test]
fn a_secret_and_its_file_exclude_each_other_and_the_file_must_hold_something() {
    let around = || Imagined::nothing().file("/s", "abc\n").file("/empty", "\n");
    let problem = |text: &str| load_with(text, around()).expect_err(text)[0].to_string();

    let both = problem("version: 0.1\nhttp:\n  secret: x\n  secret_file: /s\n");
    let empty = problem("version: 0.1\nhttp: {secret_file: /empty}\n");
    let missing = problem("version: 0.1\nhttp: {secret_file: /missing}\n");

    assert_eq!(both, "line 4: http.secret_file: `http.secret` is written too; keep one of them");
    assert_eq!(empty, "line 2: http.secret_file: /empty is empty");
    assert!(missing.contains("cannot read /missing"), "{missing}");
}

#[test]
fn a_list_of_secrets_rotates() {
    let config = config("version: 0.1\nhttp: {secret: [the-new-secret-signs, the-old-secret-verifies]}\n");

    assert_eq!(exposed(&config), ["the-new-secret-signs", "the-old-secret-verifies"]);
}
