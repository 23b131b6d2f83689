//! The two registries we start ourselves: how they are configured and called.
//!
//! Both write their access log and offer metrics while they are measured, as they would in earnest. The
//! storage of docker-registry is as Debian ships it, with its cache of descriptors in memory.

use std::path::Path;

use super::machine;
use super::store::Storage;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    Entrepot,
    DockerRegistry,
}

impl Product {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Entrepot => "entrepot",
            Self::DockerRegistry => "docker-registry",
        }
    }

    /// Its configuration file; `data` is the directory of a storage that is one. The access log of Entrepot is
    /// on unless it is turned off.
    pub(super) fn configuration(self, storage: &Storage, data: &Path, port: u16, debug_port: u16) -> String {
        let storage = match storage {
            Storage::Directory => format!("  filesystem: {{rootdirectory: {}}}\n", data.display()),
            Storage::SmallCache => format!(
                "  filesystem: {{rootdirectory: {}}}\n  cache: {{max_memory: 8MiB}}\n",
                data.display()
            ),
            Storage::Place(place) => place.configuration(),
        };
        let own = match self {
            Self::Entrepot => format!("storage:\n{storage}"),
            Self::DockerRegistry => format!(
                "log: {{level: info, accesslog: {{disabled: false}}}}\n\
                 storage:\n{storage}  cache: {{blobdescriptor: inmemory}}\n"
            ),
        };
        format!(
            "version: 0.1\n{own}  delete: {{enabled: true}}\n\
             http:\n  addr: 127.0.0.1:{port}\n  secret: not-a-secret-but-long-enough-for-a-token\n  \
             debug: {{addr: '127.0.0.1:{debug_port}', prometheus: {{enabled: true}}}}\n"
        )
    }

    /// What it says about its version.
    pub(super) fn version(self, program: &Path) -> String {
        let said = machine::said(&program.display().to_string(), &["--version"]);
        let version = said.split_whitespace().next_back().unwrap_or("unknown");
        format!("{} {version}", self.name())
    }
}
