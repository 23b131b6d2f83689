//! Digests: of bytes, from text, as text.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use entrepot_oci::{Algorithm, Digest};

fn hashing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest/sha256");
    for (name, length) in [("64 KiB", 64 * 1024), ("1 MiB", 1024 * 1024)] {
        let content = vec![0xa5; length];
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Digest::of(Algorithm::Sha256, black_box(&content)));
        });
    }
    group.finish();
}

fn text(criterion: &mut Criterion) {
    let digest = Digest::sha256(b"entrepot");
    let text = digest.to_string();

    criterion.bench_function("digest/parse", |bencher| bencher.iter(|| black_box(&text).parse::<Digest>()));
    criterion.bench_function("digest/format", |bencher| bencher.iter(|| black_box(&digest).to_string()));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hashing(&mut criterion);
    text(&mut criterion);
    criterion.final_summary();
}
