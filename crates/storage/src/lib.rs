//! The storage driver contract: keys and bytes, never images.
//!
//! A driver knows objects by [`Key`], moves small ones whole and large ones in parts, and tells what
//! its store can do in [`Capabilities`]. What both sides may rely on stands on [`StorageDriver`];
//! [`conformance`] has one case per sentence of it. Everything a driver is asked to keep between two
//! calls is a serialisable value ([`Upload`], [`Part`], [`Version`]), so any process may make the next
//! call.
//!
//! Nothing here knows of repositories, digests or tags.

pub mod append;
pub mod capabilities;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod decorate;
pub mod driver;
pub mod error;
pub mod finding;
pub mod key;
pub mod local;
pub mod object;
pub mod probe;
pub mod signer;
pub mod upload;

pub use append::{AppendOptions, AppendState, Appender, Finished, PartBudget, Sealed, Suspended, Tail};
pub use capabilities::Capabilities;
pub use driver::{SharedDriver, StorageDriver, StorageDriverExt};
pub use error::{Error, ErrorKind, Result};
pub use finding::{Finding, Inspection, Severity};
pub use key::Key;
pub use local::{Around, Chunk, LocalFile, Piece, PieceStream, Window};
pub use object::{
    Body, ByteStream, ListPage, Object, ObjectMeta, PreparedPut, PresignOptions, PutMode, ReadRange,
    SignedUrl, Version,
};
pub use upload::{Part, Upload, UploadEntry};
