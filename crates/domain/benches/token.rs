//! Upload tokens: one is signed for each answer about a session, and verified with each request to it.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::Criterion;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_oci::{Algorithm, RepositoryName};

const SESSION: &str = "0190a1b2-0000-7000-8000-000000000000";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let keys = TokenKeys::new(vec![vec![7; 32]]).expect("a key of 32 bytes is usable");
    let repository: RepositoryName = "library/some-image".parse().expect("it is a name");
    let now = SystemTime::now();
    let expires = now + Duration::from_secs(3600);
    let sign = || keys.sign(black_box(SESSION), &repository, expires, Algorithm::Sha256, true);
    let token = sign();
    // What is refused may be refused early.
    assert!(keys.verify(&token, SESSION, &repository, now).is_some());

    criterion.bench_function("token/sign", |bencher| bencher.iter(sign));
    criterion.bench_function("token/verify", |bencher| {
        bencher.iter(|| keys.verify(black_box(&token), SESSION, &repository, now));
    });
    criterion.final_summary();
}
