//! The decorators over the memory driver: each keeps the whole contract, and does its own one thing.

mod conformance;
mod fault;
mod limit;
mod metrics;
mod retry;
mod timeout;

use entrepot_storage::{Body, Key, Object};

fn key(name: &str) -> Key {
    name.parse().expect("tests use valid names")
}

/// Runs a test on a runtime whose clock stands still and jumps to the next timer when nothing else can
/// be done: pauses cost nothing and their order is exact.
fn with_still_clock(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a test can have a runtime")
        .block_on(test);
}

async fn content(object: Object) -> Vec<u8> {
    object.body.into_bytes().await.expect("the body arrives").to_vec()
}

fn is_stream(object: &Object) -> bool {
    matches!(object.body, Body::Stream(_))
}
