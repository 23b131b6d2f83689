//! The specification's own conformance program against the real binary: nothing may fail, and nothing may be
//! skipped that a registry can pass.
//!
//! Every `OCI_API_*` and `OCI_DATA_*` switch is on, digest headers are required. Incomplete manifests are
//! refused by default, so a second configuration that admits them runs the whole program again.

mod junit;
mod program;
mod stores;

use entrepot_tests::server::{Server, Storage};

use junit::{Outcome, Report};
use program::Switches;

/// Fewer cases than this mean that the program did not run what it should have. It has some 840.
const FEWEST_CASES: usize = 700;

/// Cases that may be skipped: the end of the name, and why a registry cannot pass it.
const ALLOWED_SKIPS: &[(&str, &str)] = &[];

/// Cases of the first configuration only: the switch for sparse manifests is off there.
const SPARSE: &str = "/sparse";

/// The URLs of non-distributable layers, which the default refuses, are welcome in both.
const ADMIT_URLS: &str = "validation:\n  manifests:\n    urls:\n      allow: ['.*']\n";

/// What the second configuration adds: indexes and images may be incomplete.
const ADMIT_SPARSE: &str = "    references: ignore\n    indexes:\n      platforms: none\n";

fn run(storage: impl FnOnce(&std::path::Path) -> Storage, switches: Switches) {
    let home = tempfile::tempdir().expect("there is room for results");
    let Some(program) = program::find(home.path()) else { return };
    let server = Server::start(&home.path().join("server"), &storage(home.path()), &configuration(switches));

    let report = program::run(&program, server.address(), home.path(), switches);

    judge(&report, switches);
}

fn configuration(switches: Switches) -> String {
    [ADMIT_URLS, if switches.sparse { ADMIT_SPARSE } else { "" }].concat()
}

#[expect(clippy::print_stdout, reason = "the numbers are wanted beside a pass, too")]
fn judge(report: &Report, switches: Switches) {
    let failed = report.with(Outcome::Failed);
    let skipped = report.with(Outcome::Skipped);
    let unexpected: Vec<_> = skipped.iter().filter(|case| !may_be_skipped(&case.name, switches)).collect();
    println!("{} cases, {} failed, {} skipped", report.cases.len(), failed.len(), skipped.len());
    let blamed = failed.iter().chain(unexpected.iter().copied());
    let blamed: Vec<_> = blamed.map(ToString::to_string).collect();
    assert!(
        blamed.is_empty(),
        "{} cases failed, {} were skipped without a reason we know:\n{}",
        failed.len(),
        unexpected.len(),
        blamed.join("\n")
    );
    assert!(report.cases.len() >= FEWEST_CASES, "only {} cases were run", report.cases.len());
}

fn may_be_skipped(name: &str, switches: Switches) -> bool {
    let switched_off = !switches.sparse && name.contains(SPARSE);
    switched_off || ALLOWED_SKIPS.iter().any(|(end, _reason)| name.ends_with(end))
}

#[test]
fn the_official_program_passes_on_memory() {
    run(|_| Storage::Memory, Switches { sparse: false, blob_digests: true });
}

#[test]
fn the_official_program_passes_on_a_directory() {
    run(|home| Storage::Directory(home.join("content")), Switches { sparse: false, blob_digests: true });
}

#[test]
fn the_official_program_passes_on_memory_where_sparse_manifests_are_admitted() {
    run(|_| Storage::Memory, Switches { sparse: true, blob_digests: true });
}

#[test]
fn the_official_program_passes_on_a_directory_where_sparse_manifests_are_admitted() {
    run(|home| Storage::Directory(home.join("content")), Switches { sparse: true, blob_digests: true });
}
