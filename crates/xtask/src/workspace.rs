//! Where things are: the repository, what it consists of, and the environment these commands run in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A file of the repository, tracked or new, but not ignored.
pub(crate) struct Source {
    /// Its path from the top, with `/`.
    pub(crate) path: String,
    /// What is in it; empty if it is not text.
    pub(crate) text: String,
}

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two levels below the top").to_owned()
}

/// Where Cargo builds: what is installed and logged goes below it, so that it is never committed.
pub(crate) fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path))
}

/// Where installed tools lie.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// The value of a variable, if it is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a developer's command, not the registry")]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

/// Whether this is a run nobody watches, where nothing may be left out.
pub(crate) fn is_ci() -> bool {
    variable("CI").is_some_and(|value| value != "false" && value != "0")
}

/// The Cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    command.current_dir(root());
    command
}

/// `cargo metadata` of the workspace's own packages.
pub(crate) fn metadata() -> Value {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output();
    let output = output.expect("cargo can be run");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON")
}

/// Every file that is or would be in the repository.
pub(crate) fn sources() -> Vec<Source> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("git can be run");
    let complaint = String::from_utf8_lossy(&listing.stderr);
    // A tree that git will not list is not a tree without findings.
    assert!(listing.status.success(), "git ls-files: {complaint}");
    let listing = String::from_utf8(listing.stdout).expect("our paths are text");
    let paths = listing.split('\0').filter(|path| !path.is_empty() && root().join(path).exists());
    paths.map(|path| Source { path: path.to_owned(), text: read(path) }).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}
