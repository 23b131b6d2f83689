//! A storage driver over one directory: the default on one machine.
//!
//! A key is a path below the root, an object a file. What the driver needs for itself lies in
//! `.entrepot`, where no key can point because no segment begins with a dot. Several processes on one
//! host may share the directory.
//!
//! - **Atomic**: bytes go to a temporary file, are synced, and get their name by one rename.
//! - **Durable**: the file before its name, the name before the answer. A name that nobody can know yet
//!   ([`PutMode::Fresh`](entrepot_storage::PutMode)) may come before the file; both come before the answer.
//!   A directory newly made is synced into its parent first. (Two processes that make one directory at
//!   once rely on the order of the filesystem's journal, as ext4 and XFS keep it.)
//! - **Confined**: paths are resolved by the kernel beneath the root, through no symbolic link.
//! - **Honest**: a full disk, a lost mount or a broken one is never "not found", and no object that is
//!   not whole ever has a name.
//! - **Listed from memory**: what a directory holds is kept between two listings of it and follows every
//!   change that any process of the host makes, where the filesystem is local.
//!
//! After `kill -9` only temporary files are left; the next start removes those whose owner is gone.
//! Directories stay when their last object is deleted.

mod buffers;
mod client;
mod config;
mod delete;
mod directories;
mod drafts;
mod driver;
mod entries;
mod error;
mod file;
mod hot;
mod index;
mod inspect;
mod instance;
mod list;
mod lock;
mod place;
mod probe;
mod read;
mod resolve;
mod staging;
mod threads;
mod upload;
mod window;
mod write;

pub use config::Config;
pub use driver::FilesystemDriver;
pub use error::OpenError;

/// The driver's name in configuration, errors and logs.
pub(crate) const NAME: &str = "filesystem";
