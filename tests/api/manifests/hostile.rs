//! Documents nobody should send: row D16, reliability rows 18, 19 and 25, S-03 and S-42.

use entrepot_api::Failure;
use entrepot_oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use entrepot_tests::http::Client;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::Setup;
use entrepot_tests::registry::content::descriptor;

/// A whole, harmless descriptor of the config in `a`.
fn config(client: &Client) -> String {
    client.push_blob("a", b"{}");
    serde_json::to_string(&descriptor(OCI_CONFIG, b"{}")).unwrap()
}

#[track_caller]
fn refuse(client: &Client, content_type: &str, bytes: &[u8]) {
    let request = client.put("/v2/a/manifests/v1").header("Content-Type", content_type);
    request.body(bytes).send().refused(Failure::ManifestInvalid);
}

fn the_harmless_document_is_accepted(setup: Setup) {
    let registry = setup.start();
    let document = format!(r#"{{"schemaVersion":2,"config":{},"layers":[]}}"#, config(&registry));

    let request = registry.put("/v2/a/manifests/v1").header("Content-Type", OCI_MANIFEST);

    request.body(document).send().expect(201);
}

fn what_is_not_one_json_object_is_refused(setup: Setup) {
    let registry = setup.start();
    let config = config(&registry);
    let good = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);

    for text in ["", " ", "null", "[]", "\"text\"", "{", "{}}", "{\"a\":NaN}", "{'a':1}", "{\"a\":1,}"] {
        refuse(&registry, OCI_MANIFEST, text.as_bytes());
    }
    refuse(&registry, OCI_MANIFEST, format!("{good} trailing").as_bytes());
    refuse(&registry, OCI_MANIFEST, format!("{good}{good}").as_bytes());
    refuse(&registry, OCI_MANIFEST, format!("\u{feff}{good}").as_bytes());
    let mut not_utf8 = good.replace("\"layers\"", "\"x\":\"?\",\"layers\"").into_bytes();
    let place = not_utf8.iter().position(|byte| *byte == b'?').unwrap();
    not_utf8[place] = 0xff;
    refuse(&registry, OCI_MANIFEST, &not_utf8);
    registry.get("/v2/a/manifests/v1").send().expect(404);
}

fn fields_that_two_readers_could_take_differently_are_refused(setup: Setup) {
    let registry = setup.start();
    let config = config(&registry);

    for text in [
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"Layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"schemaVersion":1,"config":{config},"layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"a":{{"b":1,"b":2}}}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"mediaType":"{OCI_INDEX}"}}"#),
    ] {
        refuse(&registry, OCI_MANIFEST, text.as_bytes());
    }
}

/// CVE-2021-41190: an image to one reader, an index to another.
fn a_document_that_is_image_and_index_is_refused(setup: Setup) {
    let registry = setup.start();
    let config = config(&registry);
    let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#);

    for content_type in [OCI_MANIFEST, OCI_INDEX] {
        refuse(&registry, content_type, both.as_bytes());
    }
    registry.put("/v2/a/manifests/v1").body(both).send().refused(Failure::ManifestInvalid);
}

fn depth_and_size_are_bounded(setup: Setup) {
    let registry = setup.start();
    let config = config(&registry);
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"x":{open}{close}}}"#)
    };

    for depth in [65, 10_000, 1_000_000] {
        refuse(&registry, OCI_MANIFEST, nested(depth).as_bytes());
    }
    let layer = r#"{"mediaType":"a/b","digest":"sha256:00","size":1},"#;
    let many = layer.repeat(4 * 1024 * 1024 / layer.len());
    let many =
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, many.trim_end_matches(','));
    refuse(&registry, OCI_MANIFEST, many.as_bytes());
    let values = "1,".repeat(2_000_000);
    let values = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"x":[{values}1]}}"#);
    refuse(&registry, OCI_MANIFEST, values.as_bytes());
}

fn descriptors_that_cannot_be_are_refused(setup: Setup) {
    let registry = setup.start();
    let config = config(&registry);
    let hex = entrepot_oci::Digest::sha256(b"x").hex();

    for layer in [
        format!(r#"{{"mediaType":"a/b","digest":"sha256:{hex}","size":-1}}"#),
        format!(r#"{{"mediaType":"a/b","digest":"sha256:{hex}","size":1e400}}"#),
        format!(r#"{{"mediaType":"a/b","digest":"sha256:{hex}","size":18446744073709551616}}"#),
        format!(r#"{{"mediaType":"a/b","digest":"sha256:{hex}","size":"1"}}"#),
        format!(r#"{{"mediaType":"a/b","digest":"sha256:{hex}"}}"#),
        format!(r#"{{"mediaType":"a/b","digest":"sha256:{}","size":1}}"#, hex.to_uppercase()),
        r#"{"mediaType":"a/b","digest":"sha256:../../etc/passwd","size":1}"#.to_owned(),
        r#"{"mediaType":"a/b","size":1}"#.to_owned(),
        format!(r#"{{"digest":"sha256:{hex}","size":1}}"#),
        "null".to_owned(),
        "7".to_owned(),
    ] {
        let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#);
        refuse(&registry, OCI_MANIFEST, text.as_bytes());
    }
}

on_every_store![
    the_harmless_document_is_accepted,
    what_is_not_one_json_object_is_refused,
    fields_that_two_readers_could_take_differently_are_refused,
    a_document_that_is_image_and_index_is_refused,
    depth_and_size_are_bounded,
    descriptors_that_cannot_be_are_refused,
];
