//! The parts of the binary `entrepot`: command line, configuration, and the server assembled from them.
//!
//! A library beside the binary exists so that tests can reach what a process boundary would hide. No
//! other crate of the workspace may depend on it, except tests and xtask.

pub mod assemble;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod health;
pub mod observe;
mod outbound;
pub mod redirects;
pub mod serve;
pub mod stores;
pub mod trial;
