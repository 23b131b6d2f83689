//! The parts of the binary `entrepot`: command line and configuration; the server is assembled on top.
//!
//! A library beside the binary exists so that tests can reach what a process boundary would hide. No
//! other crate of the workspace may depend on it, except tests and xtask.

pub mod cli;
pub mod config;
