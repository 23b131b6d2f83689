//! Garage, an S3 for few machines that knows no conditional writes: how it is started, and how the tests find
//! it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::stores::BUCKET;
use crate::process;
use crate::workspace;

const SCRIPT: &str = include_str!("garage.sh");
/// Of the form it gives out itself.
const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// It answers 200 to a condition and overwrites, and it breaks a case by itself: of two parts with one number
/// that arrive within one millisecond it makes one with the tag of either and the bytes of both.
const HABITS: &str = "region=garage&conditional_put=false&breaks=of_two_writers_of_one_part_the_tag_decides";

/// Where it lies, once it is installed.
pub(crate) fn program() -> PathBuf {
    workspace::tools().join("bin/garage")
}

/// The command that runs it on `port` of loopback with its data in `data`.
pub(crate) fn command(data: &Path, port: u16) -> Result<Command, String> {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "garage.sh"]).arg(program()).arg(data).arg(port.to_string());
    command.arg(process::free_port()?.to_string()).args([BUCKET, ACCESS_KEY, SECRET_KEY]);
    Ok(command)
}

/// What the tests are told about the one on `port`.
pub(crate) fn url(port: u16) -> String {
    format!("http://{ACCESS_KEY}:{SECRET_KEY}@127.0.0.1:{port}/{BUCKET}?{HABITS}")
}
