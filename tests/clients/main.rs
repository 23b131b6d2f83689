//! Other people's clients against the real binary: each pushes, pulls, mounts, copies an index, and deletes
//! where it can.
//!
//! What a client prints is not trusted alone: after each push the registry is read by [`closure::verify`],
//! which hashes every byte. A client that is not installed is skipped with a line that says so, or fails
//! where programs are required.

mod buildah;
mod containerd;
mod crane;
mod crash;
mod docker;
mod helm;
mod oras;
mod podman;
mod regctl;
mod skopeo;

use std::path::{Path, PathBuf};

use entrepot_tests::closure;
use entrepot_tests::images::TAG;
use entrepot_tests::programs::Program;
use entrepot_tests::server::{Server, Storage};
use tempfile::TempDir;

/// A server with an empty store, one program, and room for files. Dropped in that order.
struct Scene {
    server: Server,
    program: Program,
    home: TempDir,
}

impl Scene {
    /// `None` if the program is missing: the test is over.
    fn with(program: &str) -> Option<Self> {
        let home = tempfile::Builder::new().prefix("entrepot-").tempdir().expect("there is room for files");
        let program = Program::find(program, home.path())?;
        let storage = Storage::Directory(home.path().join("content"));
        let server = Server::start(&home.path().join("server"), &storage, "");
        Some(Self { server, program, home })
    }

    /// A path below the home.
    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `127.0.0.1:port/repository`
    fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.server.address())
    }

    /// `127.0.0.1:port/repository:v1`
    fn tagged(&self, name: &str) -> String {
        format!("{}:{TAG}", self.repository(name))
    }

    /// The digest of what the tag of a repository leads to, after all of it was read and hashed.
    #[track_caller]
    fn verified(&self, repository: &str) -> String {
        closure::verify(&self.server.client(), repository, TAG)
    }

    /// That the tag of a repository, or its whole manifest, is gone.
    #[track_caller]
    fn is_gone(&self, repository: &str, reference: &str) {
        closure::manifest(&self.server.client(), repository, reference).expect(404);
    }
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("our paths are text")
}
