//! Azurite, the emulator of Azure Blob Storage: how it is started, and how the tests find it.
//!
//! Two of them are wanted. One speaks http and takes its account key; the other speaks https and takes
//! tokens too, which it reads without asking who signed them. Neither has containers at first: the tests
//! make theirs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificate::Certificate;
use super::npm;

/// The account each Azurite has, with a key that Microsoft published for it.
const ACCOUNT: &str = "AccountName=devstoreaccount1;\
    AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The variable that names the one on http to the tests.
pub(crate) const KEYED: &str = "ENTREPOT_TEST_AZURE";
/// The variable that names the one on https.
pub(crate) const TOKENED: &str = "ENTREPOT_TEST_AZURE_OAUTH";

/// Where its program lies, once it is installed.
pub(crate) fn program() -> PathBuf {
    npm::path("azurite-blob")
}

/// The command that runs it on `port` of loopback with its data in the directory `data`: on https and with
/// tokens where a certificate is given.
pub(crate) fn command(data: &Path, port: u16, certificate: Option<&Certificate>) -> Command {
    let mut command = Command::new(program());
    command.args(["--silent", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort"]);
    command.arg(port.to_string()).arg("--location").arg(data);
    if let Some(Certificate { certificate, key, .. }) = certificate {
        command.args(["--oauth", "basic", "--cert"]).arg(certificate).arg("--key").arg(key);
    }
    command
}

/// What the tests are told about the one on `port`.
pub(crate) fn connection_string(port: u16, is_https: bool) -> String {
    let scheme = if is_https { "https" } else { "http" };
    format!(
        "DefaultEndpointsProtocol={scheme};{ACCOUNT};\
         BlobEndpoint={scheme}://127.0.0.1:{port}/devstoreaccount1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_string_names_scheme_and_port() {
        let text = connection_string(9150, true);

        assert!(text.starts_with("DefaultEndpointsProtocol=https;AccountName=devstoreaccount1;AccountKey="));
        assert!(text.ends_with(";BlobEndpoint=https://127.0.0.1:9150/devstoreaccount1"));
    }
}
