//! Servers, clients, images and stores the suites share.

pub mod closure;
pub mod environment;
pub mod http;
pub mod images;
pub mod programs;
pub mod registry;
pub mod server;
