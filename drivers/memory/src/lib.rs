//! A storage driver that keeps everything in memory: for tests.
//!
//! It honours the whole contract, and its [`Capabilities`](entrepot_storage::Capabilities) can be set
//! so that it resembles a particular store: parts of a minimum size like S3, all of one size like R2,
//! no conditional delete. It holds a lock for the length of a call and never awaits, so it runs under
//! any executor and its calls happen in the order in which they are polled. Clones share one store: a
//! clone is a second process on the same bucket.
//!
//! [`Flawed`] is a store that does not honour it, for whoever has to notice.
//!
//! Nothing survives the process, and nothing is evicted: this is no place for real images.

mod config;
mod driver;
mod flawed;
mod store;
mod upload;

pub use config::Config;
pub use driver::MemoryDriver;
pub use flawed::{Flaw, Flawed};
