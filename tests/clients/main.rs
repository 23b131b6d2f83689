//! Other people's clients against the real binary: each pushes, pulls, mounts, copies an index, and deletes
//! where it can.
//!
//! What a client prints is not trusted alone: after each push the registry is read by [`closure::verify`],
//! which hashes every byte. A client that is not installed is skipped with a line that says so, or fails
//! where programs are required.
//!
//! The same scenes run over an object store, with redirected pulls, where `ENTREPOT_TEST_CLIENTS_STORE` names
//! one (`s3`, `azure` or `gcs`).

mod buildah;
mod containerd;
mod crane;
mod crash;
mod docker;
mod helm;
mod oras;
mod podman;
mod redirected;
mod regctl;
mod skopeo;

use std::path::{Path, PathBuf};

use entrepot_tests::images::TAG;
use entrepot_tests::programs::Program;
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};
use entrepot_tests::{closure, environment};
use tempfile::TempDir;

/// A server with an empty store, one program, and room for files. Dropped in that order.
struct Scene {
    server: Server,
    program: Program,
    home: TempDir,
}

impl Scene {
    /// `None` if the program is missing, or the store: the test is over.
    fn with(program: &str) -> Option<Self> {
        match environment::variable("ENTREPOT_TEST_CLIENTS_STORE").as_deref() {
            None => Self::on(program, |home| Some(Storage::Directory(home.join("content")))),
            Some("s3") => Self::on_object_store(program, Kind::S3),
            Some("azure") => Self::on_object_store(program, Kind::Azure),
            Some("gcs") => Self::on_object_store(program, Kind::Gcs),
            Some(other) => panic!("ENTREPOT_TEST_CLIENTS_STORE is s3, azure or gcs, not {other}"),
        }
    }

    /// Over an object store, to which pulls are redirected.
    fn on_object_store(program: &str, kind: Kind) -> Option<Self> {
        Self::on(program, |_| ObjectStore::find(kind).map(Storage::Object))
    }

    fn on(program: &str, storage: impl FnOnce(&Path) -> Option<Storage>) -> Option<Self> {
        let home = tempfile::Builder::new().prefix("entrepot-").tempdir().expect("there is room for files");
        let program = Program::find(program, home.path())?;
        let storage = storage(home.path())?;
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
