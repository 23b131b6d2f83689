//! containerd, and with it docker since 29, nerdctl, BuildKit and Kubernetes: one PUT of known length,
//! parallel ranges, mirrors.

use entrepot_oci::Digest;
use entrepot_oci::manifest::build;
use entrepot_oci::media_type::OCI_LAYER_GZIP;
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{descriptor, noise};
use entrepot_tests::registry::{Image, Setup};

const ENCODINGS: &str = "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5";

/// Go's `url.Values.Encode`: sorted by key, everything but letters, digits and `-_.~` escaped.
fn encoded(location: &str, key: &str, value: &str) -> String {
    let (path, query) = location.split_once('?').unwrap();
    let mut pairs: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    pairs.push((key, value));
    pairs.sort_unstable();
    let escape = |text: &str| text.replace(':', "%3A").replace('+', "%2B").replace('/', "%2F");
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

fn containerd_pushes_an_image(setup: Setup) {
    let registry = setup.start();
    let image = Image::called("containerd");
    for content in [&image.layer, &image.config] {
        let digest = Digest::sha256(content).to_string();
        registry.head(format!("/v2/app/blobs/{digest}")).header("Accept", "*/*").send().expect(404);
        let opened = registry.post("/v2/app/blobs/uploads/").empty().send().expect(202);

        // An address of another host would lose it its credentials.
        let location = opened.expect_header("Location");
        assert!(location.starts_with('/'), "{location}");
        let put = registry.put(encoded(location, "digest", &digest));
        let stored = put.header("Content-Type", "application/octet-stream").body(content.clone()).send();

        // Without it: "invalid content digest in response".
        assert_eq!(stored.expect(201).expect_header("Docker-Content-Digest"), digest);
    }
    let digest = image.digest().to_string();
    let head = registry.head("/v2/app/manifests/v1").header("Accept", "*/*").send();
    head.expect(404);
    let pushed = registry.put_manifest("app", "v1", &image.manifest).expect(201);
    assert_eq!(pushed.expect_header("Docker-Content-Digest"), digest);
    let head = registry.head("/v2/app/manifests/v1").send().expect(200);
    assert_eq!(head.expect_header("Docker-Content-Digest"), digest);
}

/// Each piece is asked for to the end of the blob, read as far as it is wanted, and given up.
fn containerd_fetches_a_layer_in_parallel(setup: Setup) {
    let registry = setup.start();
    let content = noise(1, 4_000_000);
    let digest = registry.push_blob("app", &content);
    let piece = 1_000_000;

    let pieces = std::thread::scope(|scope| {
        let fetch = |start: usize| {
            let registry = &registry;
            scope.spawn(move || {
                let get = registry.get(format!("/v2/app/blobs/{digest}?ns=docker.io"));
                let get = get.header("Accept", format!("{OCI_LAYER_GZIP}, */*"));
                let get = get.header("Accept-Encoding", ENCODINGS).header("Range", format!("bytes={start}-"));
                let mut connection = registry.connect();
                connection.write(&get.into_bytes("registry"));
                let (head, mut body) = read_head(&mut connection);
                assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
                let lower = head.to_lowercase();
                assert!(lower.contains(&format!("content-range: bytes {start}-")), "{head}");
                assert!(!lower.contains("content-encoding"), "{head}");
                body.extend(connection.read_exact(piece - body.len()));
                body
            })
        };
        let threads: Vec<_> = (0..content.len()).step_by(piece).map(fetch).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<u8>>()
    });

    assert!(pieces == content);
}

/// Reads a head byte by byte, so that nothing of the body is taken along.
fn read_head(connection: &mut entrepot_tests::http::Connection) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(connection.read_exact(1));
    }
    (String::from_utf8(head).unwrap(), Vec::new())
}

/// A mirror is asked with `ns`, for content of which only the digest is known: blobs first, then manifests.
fn containerd_asks_a_mirror(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("library/app", "v1");
    let absent = Digest::sha256(b"absent");

    for kind in ["blobs", "manifests"] {
        let target = format!("/v2/library/app/{kind}/{}?ns=docker.io", image.digest());
        registry.head(target).send().expect(200);
        registry.head(format!("/v2/library/app/{kind}/{absent}?ns=docker.io")).send().expect(404);
    }
}

/// A second PUT to the same session, from the beginning, after the first met an expired token.
fn containerd_sends_a_body_again_after_a_challenge(setup: Setup) {
    let open = setup.start();
    let guarded = setup.guarded().start();
    let content = noise(2, 500_000);
    let digest = Digest::sha256(&content).to_string();
    let target = encoded(&open.open_upload("app"), "digest", &digest);

    guarded.put(&target).header("Authorization", "Bearer old").body(content.clone()).send().expect(401);

    guarded.put(&target).header("Authorization", "Bearer ann").body(content).send().expect(201);
}

/// BuildKit's cache export as an image whose config is its own, layers in zstd.
fn buildkit_exports_its_cache(setup: Setup) {
    let registry = setup.start();
    registry.push_blob("app/cache", b"layer");
    registry.push_blob("app/cache", b"{\"layers\":[],\"records\":[]}");
    let config = descriptor("application/vnd.buildkit.cacheconfig.v0", b"{\"layers\":[],\"records\":[]}");
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+zstd", b"layer");

    registry.push_manifest("app/cache", "buildcache", &build::Image::oci(config).layer(layer).build());
}

on_every_store![
    containerd_pushes_an_image,
    containerd_fetches_a_layer_in_parallel,
    containerd_asks_a_mirror,
    containerd_sends_a_body_again_after_a_challenge,
    buildkit_exports_its_cache,
];
