//! Ceph's gateway, the S3 of many who run their own hardware: how it is started, and how the tests find it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::stores::BUCKET;
use crate::process;

const SCRIPT: &str = include_str!("ceph.sh");
const ACCESS_KEY: &str = "entrepot";
const SECRET_KEY: &str = "entrepot-secret";

/// It takes a quoted ETag for another version, and the cases it breaks by itself: it completes an upload only
/// with every part that was ever sent to it, one that arrives at that instant included, and an overwrite that
/// meets a conditional one at the same instant may be acknowledged and not applied. The registry does neither.
const HABITS: &str = "bare_etags=true&\
    breaks=a_winner_of_compare_and_swap_is_not_lost_to_an_overwrite,exactly_the_named_parts_are_taken,\
    late_parts_racing_with_completion_harm_nothing";

/// Its gateway, or what is missing of it.
pub(crate) fn program() -> PathBuf {
    let programs = ["/usr/bin/radosgw", "/usr/bin/ceph-osd", "/usr/bin/ceph-mon"].map(PathBuf::from);
    let [gateway, ..] = &programs;
    programs.iter().find(|program| !program.is_file()).unwrap_or(gateway).clone()
}

/// The command that runs all of it with its gateway on `port` of loopback and its data in `data`.
pub(crate) fn command(data: &Path, port: u16) -> Result<Command, String> {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "ceph.sh"]).arg(data).arg(port.to_string());
    command.arg(process::free_port()?.to_string()).args([BUCKET, ACCESS_KEY, SECRET_KEY]);
    Ok(command)
}

/// What the tests are told about the one on `port`.
pub(crate) fn url(port: u16) -> String {
    format!("http://{ACCESS_KEY}:{SECRET_KEY}@127.0.0.1:{port}/{BUCKET}?{HABITS}")
}
