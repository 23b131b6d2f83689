//! The router: from a path and a method to the row of the table that serves them.

use std::hint::black_box;

use criterion::Criterion;
use entrepot_api::{Route, match_path, route};

/// From the first line of a request to its row.
fn find(method: &str, path: &str) -> Option<Route> {
    let found = match_path(path)?;
    Some(route(found.resource, method))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let requests = [
        ("base", "GET", "/v2/".to_owned()),
        ("manifest by tag", "GET", "/v2/library/some-image/manifests/v1".to_owned()),
        ("blob", "HEAD", format!("/v2/library/some-image/blobs/{digest}")),
        (
            "upload",
            "PATCH",
            "/v2/library/some-image/blobs/uploads/0190a1b2-0000-7000-8000-000000000000".to_owned(),
        ),
        ("referrers", "GET", format!("/v2/library/some-image/referrers/{digest}")),
        ("nothing", "GET", "/favicon.ico".to_owned()),
    ];

    for (name, method, path) in &requests {
        criterion.bench_function(&format!("router/{name}"), |bencher| {
            bencher.iter(|| find(black_box(method), black_box(path)));
        });
    }
    criterion.final_summary();
}
