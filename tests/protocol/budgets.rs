//! Row F29: what each operation costs at the store, cold and warm, with the cache a registry has.
//!
//! `operations` carries each of them out over whatever counts: `calls` counts calls of the driver contract,
//! `wire` the requests that go out to real stores. Both keep a table in `crates/README.md`: one request more
//! anywhere changes it, and fails. `requests.rs` holds the same operations against the protocol, round by
//! round.

mod calls;
mod map;
mod operations;
mod wire;
