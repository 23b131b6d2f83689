//! How the conformance program is set up and run.

use std::net::SocketAddr;
use std::path::Path;

use entrepot_tests::programs::Program;

use crate::junit::Report;

/// The switches that differ between runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switches {
    /// Pushes manifests whose parts are missing.
    pub(crate) sparse: bool,
    /// Demands `Docker-Content-Digest` with a blob. The program follows redirects and looks at the last answer
    /// alone, and a store does not know that header: the registry sends it with the redirect.
    pub(crate) blob_digests: bool,
}

/// Everything a registry can be asked to support. Written out, although most is the program's default, so
/// that a default that changes does not quietly make the run smaller.
const ALL: &[&str] = &[
    "OCI_API_PING",
    "OCI_API_PULL",
    "OCI_API_PUSH",
    "OCI_API_BLOBS_ATOMIC",
    "OCI_API_BLOBS_DELETE",
    "OCI_API_BLOBS_MOUNT_ANONYMOUS",
    "OCI_API_BLOBS_UPLOAD_CANCEL",
    "OCI_API_MANIFESTS_ATOMIC",
    "OCI_API_MANIFESTS_DELETE",
    "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
    "OCI_API_TAGS_ATOMIC",
    "OCI_API_TAGS_DELETE",
    "OCI_API_TAGS_LIST",
    "OCI_API_REFERRER",
    "OCI_DATA_IMAGE",
    "OCI_DATA_INDEX",
    "OCI_DATA_INDEX_LIST",
    "OCI_DATA_ARTIFACT",
    "OCI_DATA_SUBJECT",
    "OCI_DATA_SUBJECT_MISSING",
    "OCI_DATA_ARTIFACT_LIST",
    "OCI_DATA_SUBJECT_LIST",
    "OCI_DATA_DATA_FIELD",
    "OCI_DATA_NONDISTRIBUTABLE",
    "OCI_DATA_CUSTOM_FIELDS",
    "OCI_DATA_NO_LAYERS",
    "OCI_DATA_EMPTY_BLOB",
    "OCI_DATA_SHA512",
];

/// The program, or `None` where it is not installed and need not be.
pub(crate) fn find(home: &Path) -> Option<Program> {
    Program::find("conformance", home)
}

/// Runs it against the registry at `address` and reads its report.
pub(crate) fn run(program: &Program, address: SocketAddr, home: &Path, switches: Switches) -> Report {
    let results = home.join("results");
    let fixed = program
        .clone()
        .with("OCI_VERSION", "dev")
        .with("OCI_REGISTRY", address)
        .with("OCI_TLS", "disabled")
        .with("OCI_RESULTS_DIR", results.display())
        .with("OCI_API_BLOBS_DIGEST_HEADER", switches.blob_digests)
        .with("OCI_DATA_SPARSE", switches.sparse);
    let program = ALL.iter().fold(fixed, |program, switch| program.with(switch, true));
    // It fails when a case fails; the report says which, so its own words matter only without one.
    let finished = program.attempt::<&str>(&[]);
    let report = std::fs::read_to_string(results.join("junit.xml"));
    Report::read(&report.unwrap_or_else(|error| panic!("no report ({error}):\n{finished}")))
}
