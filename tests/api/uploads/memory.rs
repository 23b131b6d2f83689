//! Memory of uploads: row B13. Past the budget a client is told to come back; nobody is killed.

use std::time::Duration;

use entrepot_api::Failure;
use entrepot_oci::Digest;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::{noise, with_digest};

const KIB: usize = 1024;

/// Room for one part of one upload.
fn narrow(setup: Setup) -> Setup {
    setup.domain(|config| {
        config.part_bytes = Some(256 * KIB as u64);
        config.parts_in_flight = 1;
        config.upload_memory_bytes = 256 * KIB as u64;
        config.upload_patience = Duration::from_millis(100);
    })
}

fn an_upload_beyond_the_budget_is_asked_to_come_back(setup: Setup) {
    let registry = narrow(setup).start();
    let content = noise(1, 200 * KIB);
    let held = registry.open_upload("a");
    let mut holding = registry.connect();
    let patch =
        registry.patch(&held).header("Content-Length", content.len()).raw(&content[..content.len() - 1]);
    holding.write(&patch.into_bytes("registry"));
    let second = registry.open_upload("a");
    let push = || registry.patch(&second).header("Content-Range", "0-204799").body(content.clone()).send();

    // The first holds all there is as soon as its bytes have arrived; until then the second may win.
    let refused = (0..200).find_map(|_| {
        let other = registry.open_upload("a");
        let answer = registry.patch(other).body(content.clone()).send();
        (answer.status == 503).then_some(answer)
    });
    refused.expect("the budget is used up at some time").refused(Failure::Unavailable);

    holding.write(&content[content.len() - 1..]);
    holding.response_to("PATCH").expect(202);
    let patched = push().expect(202);
    let closing = with_digest(patched.expect_header("Location"), Digest::sha256(&content));
    registry.put(closing).empty().send().expect(201);
}

/// What a client held that left is free again, once the server noticed.
fn a_client_that_left_holds_nothing(setup: Setup) {
    let registry = narrow(setup).start();
    let content = noise(2, 200 * KIB);
    for _ in 0..10 {
        let patch = registry.patch(registry.open_upload("a")).header("Content-Length", 1_000_000);
        patch.raw(content.clone()).abandon();
    }

    let digest = Digest::sha256(&content);
    let push = || registry.put(with_digest(&registry.open_upload("a"), digest)).body(content.clone()).send();
    let stored = (0..200).map(|_| push()).find(|answer| answer.status != 503);
    stored.expect("the memory is free again at some time").expect(201);
}

on_every_store![an_upload_beyond_the_budget_is_asked_to_come_back, a_client_that_left_holds_nothing];
