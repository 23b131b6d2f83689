//! Manifests, as they are pushed: parsed, with all they refer to.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use entrepot_oci::{Digest, manifest};
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// How many layers an image has here, and how many images an index.
const ENTRIES: u8 = 10;

fn descriptor(media_type: &str, number: u8) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(&[number]).to_string(), "size": 1000})
}

fn image() -> Value {
    let layers: Vec<_> = (1..=ENTRIES).map(|number| descriptor(LAYER, number)).collect();
    json!({"schemaVersion": 2, "mediaType": IMAGE, "config": descriptor(CONFIG, 0), "layers": layers})
}

fn index() -> Value {
    let child = |number| {
        let mut child = descriptor(IMAGE, number);
        child["platform"] = json!({"architecture": "arm64", "os": "linux", "variant": "v8"});
        child
    };
    let manifests: Vec<_> = (1..=ENTRIES).map(child).collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("manifest/parse");
    for (name, media_type, document) in
        [("image of 10 layers", IMAGE, image()), ("index of 10 images", INDEX, index())]
    {
        let bytes = document.to_string().into_bytes();
        let media_type = media_type.parse().expect("ours is a media type");
        // What is refused would be parsed in no time.
        manifest::parse(Some(&media_type), &bytes).expect("it is well formed");

        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| manifest::parse(Some(&media_type), black_box(&bytes)));
        });
    }
    group.finish();
    criterion.final_summary();
}
