//! The front end over real sockets: what can only be seen on the wire.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod bodies;
mod disconnect;
mod expect;
mod guarded;
mod http2;
mod limits;
mod listen;
mod log;
mod shutdown;
mod support;
mod tls;
