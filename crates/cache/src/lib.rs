//! The domain's cache port, in process.
//!
//! Bounded in bytes, not entries: a manifest weighs a thousand times what a link does. The second tier,
//! shared between replicas, stands behind the same port.

mod memory;

pub use memory::{Config, MemoryCache};
