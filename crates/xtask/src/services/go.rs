//! Programs built by Go, each in a module of its own so that none chooses another's dependencies.
//!
//! Not `go install package@version`: that asks for the list of all versions first, to look for a notice of
//! deprecation, and some module proxies serve the versions but not the list.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::stamp::Stamp;
use super::{Installed, State, last_line};
use crate::process;
use crate::workspace;

/// A program to build.
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
    module: &'static str,
    pub(super) version: &'static str,
    /// Build tags, with commas between: what a program can be built without.
    tags: &'static str,
    /// The proxy may answer that it does not serve this version; then the suite is skipped, and says so.
    may_be_refused: bool,
}

/// The clients. Quick ones first: they share the Go build cache, not their dependencies.
pub(super) const CLIENTS: &[Tool] = &[
    Tool {
        program: "conformance",
        package: "github.com/opencontainers/distribution-spec/conformance",
        module: "github.com/opencontainers/distribution-spec/conformance",
        // A main program since 2026, never tagged: the commit 97274622c111.
        version: "v0.0.0-20260831232431-97274622c111",
        tags: "",
        may_be_refused: true,
    },
    Tool {
        program: "crane",
        package: "github.com/google/go-containerregistry/cmd/crane",
        module: "github.com/google/go-containerregistry",
        version: "v0.22.1",
        tags: "",
        may_be_refused: false,
    },
    Tool {
        program: "oras",
        package: "oras.land/oras/cmd/oras",
        module: "oras.land/oras",
        version: "v1.2.3",
        tags: "",
        may_be_refused: false,
    },
    Tool {
        program: "regctl",
        package: "github.com/regclient/regclient/cmd/regctl",
        module: "github.com/regclient/regclient",
        version: "v0.11.7",
        tags: "",
        may_be_refused: false,
    },
    Tool {
        program: "helm",
        package: "helm.sh/helm/v4/cmd/helm",
        module: "helm.sh/helm/v4",
        version: "v4.3.1",
        tags: "",
        may_be_refused: false,
    },
    // Beside Debian's, which is of the 1 series and never asks for one layer by several ranges at once. Under
    // names of their own: the suites run both.
    Tool {
        program: "containerd-2",
        package: "github.com/containerd/containerd/v2/cmd/containerd",
        module: CONTAINERD,
        version: CONTAINERD_VERSION,
        tags: CONTAINERD_TAGS,
        may_be_refused: false,
    },
    Tool {
        program: "ctr-2",
        package: "github.com/containerd/containerd/v2/cmd/ctr",
        module: CONTAINERD,
        version: CONTAINERD_VERSION,
        tags: CONTAINERD_TAGS,
        may_be_refused: false,
    },
];

const CONTAINERD: &str = "github.com/containerd/containerd/v2";
const CONTAINERD_VERSION: &str = "v2.4.2";
/// Content is moved and nothing unpacked or run: snapshotters and Kubernetes' interface are half of the build.
const CONTAINERD_TAGS: &str = "no_cri,no_btrfs,no_devmapper,no_zfs,no_aufs";

/// Stores the drivers are tried on.
pub(super) const STORES: &[Tool] = &[Tool {
    program: "minio",
    package: "github.com/minio/minio",
    module: "github.com/minio/minio",
    // Its releases have no versions that modules know: the commit 7aac2a2c5b7c, its last.
    version: "v0.0.0-20260212201848-7aac2a2c5b7c",
    tags: "",
    may_be_refused: true,
}];

/// And one for the step that is about stores alone.
pub(super) const FURTHER_STORES: &[Tool] = &[Tool {
    program: "fake-gcs-server",
    package: "github.com/fsouza/fake-gcs-server",
    module: "github.com/fsouza/fake-gcs-server",
    version: "v1.56.1",
    tags: "",
    may_be_refused: false,
}];

const LIMIT: Duration = Duration::from_secs(2400);

/// What a proxy says that does not serve a version, as opposed to one that cannot be reached.
const REFUSALS: &[&str] = &["403 Forbidden", "404 Not Found", "410 Gone"];

/// Builds what is missing or of another version.
pub(super) fn install(tools: &[Tool]) -> Vec<Installed> {
    tools.iter().map(|tool| Installed { program: tool.program, state: tool.install() }).collect()
}

impl Tool {
    fn install(&self) -> State {
        if self.is_there() {
            return State::Ready;
        }
        let is_refused = |said: &str| self.may_be_refused && is_refusal(said);
        let finished = self
            .prepare()
            .map(|directory| process::install(&self.log(), &self.build(&directory), LIMIT, is_refused));
        match finished {
            Err(error) => State::Failed(error.to_string()),
            Ok(finished) if finished.succeeded => self.stamp().write(self.version),
            Ok(finished) if is_refused(&finished.text) => {
                State::NotServed(format!("{}@{}: {}", self.module, self.version, last_line(&finished.text)))
            }
            Ok(finished) => State::Failed(last_line(&finished.text)),
        }
    }

    /// Writes the module it is built in. Its own `go.sum` is filled by Go, checked against the sum database.
    fn prepare(&self) -> std::io::Result<PathBuf> {
        let directory = self.home();
        fs::create_dir_all(&directory)?;
        fs::create_dir_all(workspace::tools().join("bin"))?;
        let module = format!("module tool\n\ngo 1.24\n\nrequire {} {}\n", self.module, self.version);
        fs::write(directory.join("go.mod"), module)?;
        Ok(directory)
    }

    fn build(&self, directory: &Path) -> Command {
        let mut command = Command::new("go");
        command.args(["build", "-mod=mod", "-buildvcs=false", "-ldflags=-s -w", "-tags", self.tags, "-o"]);
        command.arg(self.path()).arg(self.package).current_dir(directory);
        command
    }

    fn log(&self) -> String {
        format!("go-{}", self.program)
    }

    fn path(&self) -> PathBuf {
        workspace::tools().join("bin").join(self.program)
    }

    /// The module it is built in.
    fn home(&self) -> PathBuf {
        workspace::tools().join("go").join(self.program)
    }

    fn stamp(&self) -> Stamp {
        Stamp::of(&self.home())
    }

    fn is_there(&self) -> bool {
        self.stamp().tells(&self.path(), self.version)
    }
}

fn is_refusal(text: &str) -> bool {
    REFUSALS.iter().any(|refusal| text.contains(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_refuses_is_told_from_one_that_cannot_be_reached() {
        assert!(is_refusal("reading https://proxy.example/@v/v1.info: 403 Forbidden"));
        assert!(!is_refusal("dial tcp: lookup proxy.example: no such host"));
    }

    #[test]
    fn every_package_lies_in_its_module() {
        assert!(
            CLIENTS
                .iter()
                .chain(STORES)
                .chain(FURTHER_STORES)
                .all(|tool| tool.package.starts_with(tool.module))
        );
    }
}
