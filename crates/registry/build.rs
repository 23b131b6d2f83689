//! Links the binary with packed relocations where its loader knows them: a megabyte and a half that would be
//! read, and stay resident, with every start becomes 20 KB.
//!
//! glibc knows them from 2.36 on; an older one refuses the program. So they are packed only where the machine
//! that builds has such a glibc, and builds for itself. A linker that does not know them says so and goes on.

use std::process::Command;

/// The first glibc whose loader takes them (DT_RELR).
const FIRST: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_for_here = variable("HOST") == variable("TARGET") && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_for_here && glibc().is_some_and(|version| version >= FIRST) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

#[expect(clippy::disallowed_methods, reason = "what is built, and where, is said in no other way")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The version of this machine's glibc, if it has one.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
