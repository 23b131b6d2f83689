//! Servers, clients, images and stores the suites share.

pub mod balancer;
pub mod bill;
pub mod closure;
pub mod dice;
pub mod environment;
pub mod http;
pub mod identities;
pub mod images;
pub mod programs;
mod proxy;
pub mod registry;
pub mod server;
pub mod stores;
pub mod wire;
