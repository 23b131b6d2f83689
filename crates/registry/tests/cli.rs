//! The real binary, as scripts see it: exit codes and what goes where.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn entrepot(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read");
    child.wait_with_output().expect("the binary ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn a_wide_listener_without_auth_is_refused_with_78_and_the_remedy() {
    let variables = [("REGISTRY_HTTP_ADDR", ":5000")];

    for arguments in [&["serve"][..], &[], &["config", "check"], &["config", "show"]] {
        let output = entrepot(arguments, &variables, "");

        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(
            text(&output.stderr).contains("Write `auth: none` (or set REGISTRY_AUTH=none)"),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_same_listener_passes_once_auth_is_decided() {
    let output =
        entrepot(&["config", "check"], &[("REGISTRY_HTTP_ADDR", ":5000"), ("REGISTRY_AUTH", "none")], "");

    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "defaults and environment: ok\n");
}

#[test]
fn the_file_named_by_the_variable_is_read() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "version: 0.1\ncatalog: {maxentries: 77}\n").expect("written");
    let path = file.path().to_str().expect("text");

    let output = entrepot(&["config", "show"], &[("REGISTRY_CONFIGURATION_PATH", path)], "");

    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("maxentries: 77\n"));
}

#[test]
fn what_show_prints_check_accepts() {
    let shown = entrepot(&["config", "show"], &[], "");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &shown.stdout).expect("written");

    let checked = entrepot(&["config", "check", file.path().to_str().expect("text")], &[], "");

    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(checked.stderr.is_empty(), "{}", text(&checked.stderr));
}

#[test]
fn digests_of_standard_input_are_printed_with_its_name() {
    let sha256 = entrepot(&["digest"], &[], "abc");
    let sha512 = entrepot(&["digest", "-a", "sha512", "-"], &[], "abc");

    assert_eq!(
        text(&sha256.stdout),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\t-\n"
    );
    assert!(text(&sha512.stdout).starts_with("sha512:ddaf35a193617abacc417349ae204131"));
}

#[test]
fn an_algorithm_nobody_accepts_is_a_mistake_of_the_command_line() {
    let output = entrepot(&["digest", "-a", "md5"], &[], "");

    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("sha256, sha512"), "{}", text(&output.stderr));
}

#[test]
fn the_documentation_of_the_api_is_printed_in_both_formats() {
    let openapi = entrepot(&["api-docs", "--format", "openapi"], &[], "");
    let markdown = entrepot(&["api-docs", "--format", "markdown"], &[], "");

    let document: serde_json::Value = serde_json::from_slice(&openapi.stdout).expect("JSON");
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    assert!(text(&markdown.stdout).contains("/v2/"));
}

#[test]
fn version_and_its_flag_agree() {
    let command = entrepot(&["version"], &[], "");
    let flag = entrepot(&["--version"], &[], "");

    assert_eq!(text(&command.stdout), concat!("entrepot ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(command.stdout, flag.stdout);
}
