//! Links the binary with packed relocations: a megabyte and a half that would be read, and stay resident,
//! with every start becomes 20 KB.
//!
//! A linker that does not know them says so and goes on. The binary wants a loader that does: glibc 2.36 or
//! musl 1.2.4.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if is_linux {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
