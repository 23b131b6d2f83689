//! Repository names, as they come in paths.

use std::hint::black_box;

use criterion::Criterion;
use entrepot_oci::RepositoryName;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let longest = ["component"; 25].join("/");
    let names =
        [("usual", "library/some-image"), ("25 components", &longest), ("refused", "library/Some_Image")];

    for (name, text) in names {
        criterion.bench_function(&format!("name/parse/{name}"), |bencher| {
            bencher.iter(|| black_box(text).parse::<RepositoryName>());
        });
    }
    criterion.final_summary();
}
