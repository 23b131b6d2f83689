//! Whole registries inside the test's process: a server on a loopback port over any store.
//!
//! A [`Setup`] says what they are made of, [`TestRegistry`] is one that runs. Several may be started over
//! one store: replicas. What a client does with them every day (push a blob, push an image) is told once,
//! in [`content`].

pub mod content;
mod golden;
mod server;
mod setup;
mod sources;

pub use content::Image;
pub use golden::assert_golden;
pub use server::TestRegistry;
pub use setup::{Setup, Store};
pub use sources::{CountingEntropy, Doorman, FixedClock, StoredCache};

/// Runs every listed function, `fn(Setup)`, once over memory and once over the filesystem. A function
/// that was forgotten in the list is found by the compiler: nobody calls it.
#[macro_export]
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod on_memory {
            $(#[test] fn $case() { super::$case($crate::registry::Store::Memory.setup()) })+
        }
        mod on_a_bucket {
            $(#[test] fn $case() { super::$case($crate::registry::Store::Bucket.setup()) })+
        }
        mod on_filesystem {
            $(#[test] fn $case() { super::$case($crate::registry::Store::Filesystem.setup()) })+
        }
    };
}
