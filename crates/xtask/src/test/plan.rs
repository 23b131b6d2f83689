//! The steps by name, in order, and what each needs installed.

use std::fmt;

use clap::ValueEnum;

use crate::services::Source;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Name {
    /// `cargo fmt --check`
    Fmt,
    /// The layering and the conventions
    Tidy,
    /// Lints, as errors
    Clippy,
    /// Generated files are as committed
    Codegen,
    /// The tests of every crate, and the suites that need no other program
    Unit,
    /// Duplicates, licences, sources
    Deny,
    /// Advisories, where the database is at hand
    Audit,
    /// The release binary, as shipped
    Binary,
    /// The drivers' contract, on servers that are started for it
    Stores,
    /// The specification's own program
    Conformance,
    /// Other people's clients
    Clients,
    /// Pushes into a server that is killed
    Crash,
}

impl Name {
    /// All, in order: what fails fastest first, and what needs an installation after what does not.
    pub(super) const ALL: &[Self] = &[
        Self::Fmt,
        Self::Tidy,
        Self::Clippy,
        Self::Codegen,
        Self::Unit,
        Self::Binary,
        Self::Deny,
        Self::Audit,
        Self::Stores,
        Self::Conformance,
        Self::Clients,
        Self::Crash,
    ];

    /// Whether it needs nothing but Rust.
    pub(super) fn is_fast(self) -> bool {
        matches!(self, Self::Fmt | Self::Tidy | Self::Clippy | Self::Unit)
    }

    /// What it needs installed.
    pub(super) fn needs(self) -> &'static [Source] {
        match self {
            Self::Fmt | Self::Tidy | Self::Clippy | Self::Codegen | Self::Unit | Self::Binary => &[],
            Self::Deny | Self::Audit => &[Source::Cargo],
            Self::Stores => &[Source::Stores],
            Self::Conformance | Self::Crash => &[Source::Go],
            Self::Clients => &[Source::Debian, Source::Go],
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no step is hidden");
        f.pad(value.get_name())
    }
}
