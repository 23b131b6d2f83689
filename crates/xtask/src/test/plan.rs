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
    /// The drivers' contract, what operations cost and an image's way, on servers that are started for it
    Stores,
    /// The specification's own program
    Conformance,
    /// Other people's clients
    Clients,
    /// Pushes into a server that is killed
    Crash,
    /// Large blobs, and uploads over replicas that are killed, on an object store
    Uploads,
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
        Self::Uploads,
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
            Self::Stores => &[Source::Stores, Source::FurtherStores],
            Self::Crash => &[Source::Go],
            Self::Conformance => &[Source::Go, Source::Stores],
            Self::Clients => &[Source::Debian, Source::Go, Source::Stores],
            Self::Uploads => &[Source::Stores],
        }
    }

    /// The object stores that run while it does.
    pub(super) fn stores(self) -> &'static [&'static str] {
        match self {
            Self::Stores => &[
                "minio",
                "minio-https",
                "moto",
                "ceph",
                "garage",
                "azurite",
                "azurite-https",
                "fake-gcs-server",
            ],
            Self::Conformance => &["minio", "azurite"],
            Self::Clients | Self::Uploads => &["minio"],
            _ => &[],
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no step is hidden");
        f.pad(value.get_name())
    }
}
