//! Certificates for servers that speak https on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A certificate for 127.0.0.1 and its key, as PEM files. It is its own authority.
pub(crate) struct Certificate {
    /// The directory both are in.
    pub(crate) directory: PathBuf,
    /// The certificate.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Where that of the server with its data in `data` lies, by the names MinIO looks for.
    pub(crate) fn of(data: &Path) -> Self {
        let directory = data.with_file_name("certificates");
        let (certificate, key) = (directory.join("public.crt"), directory.join("private.key"));
        Self { directory, certificate, key }
    }

    /// One that is made for this start. Where it cannot be made, the server ends and says so.
    pub(crate) fn made(data: &Path) -> Self {
        let made = Self::of(data);
        let _ = fs::create_dir_all(&made.directory);
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
        ]);
        command.args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        command.arg("-out").arg(&made.certificate).arg("-keyout").arg(&made.key);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.status();
        made
    }
}
