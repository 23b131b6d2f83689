//! What a pushed manifest names: rows B32, D9-D14.

use std::sync::Arc;

use entrepot_api::Failure;
use entrepot_domain::config::{IndexPlatforms, UrlPattern};
use entrepot_oci::manifest::{Platform, build};
use entrepot_oci::media_type::{
    DOCKER_FOREIGN_LAYER, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, OCI_NONDISTRIBUTABLE_LAYER,
};
use entrepot_oci::{Descriptor, Digest};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{descriptor, descriptor_of};
use entrepot_tests::registry::{Image, Setup};

const BUILDKIT_CACHE: &str = "application/vnd.buildkit.cacheconfig.v0";

fn platform(os: &str, architecture: &str) -> Option<Platform> {
    let (os, architecture) = (os.to_owned(), architecture.to_owned());
    Some(Platform { os, architecture, variant: None, os_version: None, os_features: Vec::new() })
}

/// The digests a refusal names, in order.
fn missing(refused: &Response) -> Vec<String> {
    let digest = |entry: &entrepot_api::ErrorEntry| {
        entry.detail.as_ref().unwrap()["digest"].as_str().unwrap().to_owned()
    };
    refused.errors().errors.iter().map(digest).collect()
}

fn config(client: &Client) -> Descriptor {
    client.push_blob("a", b"{}");
    descriptor(OCI_CONFIG, b"{}")
}

fn every_missing_blob_is_named(setup: Setup) {
    let registry = setup.start();
    let absent = [descriptor(OCI_LAYER_GZIP, b"one"), descriptor(OCI_LAYER_GZIP, b"two")];
    let image = build::Image::oci(config(&registry)).layer(absent[0].clone()).layer(absent[1].clone());
    let subject = descriptor(OCI_MANIFEST, b"a subject is exempt");

    let refused = registry.put_manifest("a", "v1", &image.subject(subject).build());

    let refused = refused.refused(Failure::ManifestBlobUnknown);
    assert_eq!(missing(&refused), absent.map(|layer| layer.digest.to_string()));
    registry.get("/v2/a/manifests/v1").send().expect(404);
}

fn a_missing_blob_is_named_once_and_a_hundred_at_most(setup: Setup) {
    let registry = setup.start();
    let mut image = build::Image::oci(config(&registry));
    for n in 0..150_u32 {
        let layer = descriptor(OCI_LAYER_GZIP, &n.to_be_bytes());
        image = image.layer(layer.clone()).layer(layer);
    }

    let refused = registry.put_manifest("a", "v1", &image.build()).refused(Failure::ManifestBlobUnknown);

    let mut named = missing(&refused);
    assert_eq!(named.len(), 100);
    named.dedup();
    assert_eq!(named.len(), 100);
}

fn what_other_repositories_hold_does_not_count(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("elsewhere", "v1");

    let refused = registry.put_manifest("a", "v1", &image.manifest).refused(Failure::ManifestBlobUnknown);

    assert_eq!(missing(&refused).len(), 2);
}

fn an_index_names_manifests_of_its_own_repository(setup: Setup) {
    let registry = setup.start();
    let here = registry.push_some_image("a", "v1");
    let elsewhere = registry.push_some_image("b", "v1");
    let index = build::Index::oci()
        .manifest(here.descriptor(), platform("linux", "amd64"))
        .manifest(elsewhere.descriptor(), platform("linux", "arm64"))
        .build();

    let refused = registry.put_manifest("a", "all", &index).refused(Failure::ManifestBlobUnknown);

    assert_eq!(missing(&refused), [elsewhere.digest().to_string()]);
    registry.push_image("a", "v2", &elsewhere);
    registry.push_manifest("a", "all", &index);
}

/// D10: BuildKit's cache as an index whose entries are layers.
fn an_index_may_name_blobs(setup: Setup) {
    let registry = setup.start();
    registry.push_blob("a", b"layer");
    registry.push_blob("a", b"cache config");
    let index = build::Index::oci()
        .manifest(descriptor(OCI_LAYER_GZIP, b"layer"), None)
        .manifest(descriptor(BUILDKIT_CACHE, b"cache config"), None)
        .build();
    let incomplete = build::Index::oci().manifest(descriptor(OCI_LAYER_GZIP, b"absent"), None).build();

    registry.push_manifest("a", "cache", &index);
    registry.put_manifest("a", "cache2", &incomplete).refused(Failure::ManifestBlobUnknown);
}

/// BuildKit's attestations are images for a platform that does not exist.
fn an_index_may_hold_attestations(setup: Setup) {
    let registry = setup.start();
    let image = registry.push_some_image("a", "v1");
    let attestation = registry.push_some_image("a", "attestation");
    let index = build::Index::oci()
        .manifest(image.descriptor(), platform("linux", "amd64"))
        .manifest(attestation.descriptor(), platform("unknown", "unknown"))
        .build();

    registry.push_manifest("a", "all", &index);
}

fn indexes_nest_eight_deep_and_no_deeper(setup: Setup) {
    let registry = setup.start();
    let mut inner = registry.push_some_image("a", "v1").descriptor();
    for depth in 1..=8 {
        let index = build::Index::oci().manifest(inner, None).annotation("depth", &depth.to_string()).build();
        registry.push_manifest("a", &format!("depth-{depth}"), &index);
        inner = descriptor_of(&index);
    }

    let bomb = build::Index::oci().manifest(inner, None).build();

    registry.put_manifest("a", "bomb", &bomb).refused(Failure::ManifestInvalid);
}

fn urls_are_refused_unless_they_are_allowed(setup: Setup) {
    let allow = UrlPattern(Arc::new(|url| url.contains("example.com")));
    let deny = UrlPattern(Arc::new(|url| url.contains("/secret/")));
    let strict = setup.clone().start();
    let lenient = setup
        .domain(|config| {
            config.manifests.urls_allow = vec![allow];
            config.manifests.urls_deny = vec![deny];
        })
        .start();
    let config = config(&strict);
    let with_url = |url: &str| {
        let layer = descriptor(DOCKER_FOREIGN_LAYER, b"foreign");
        build::Image::oci(config.clone()).layer_at(layer, vec![url.to_owned()]).build()
    };

    for url in ["https://example.com/layer", "http://169.254.169.254/latest/meta-data"] {
        strict.put_manifest("a", "v1", &with_url(url)).refused(Failure::ManifestInvalid);
    }
    for url in [
        "http://169.254.169.254/",
        "https://example.com/secret/layer",
        "https://example.com/layer#part",
        "file:///example.com",
        "ftp://example.com/layer",
    ] {
        lenient.put_manifest("a", "v1", &with_url(url)).refused(Failure::ManifestInvalid);
    }
    lenient.push_manifest("a", "v1", &with_url("https://example.com/layer"));
}

/// A non-distributable layer without an address must be in the repository like any other.
fn a_foreign_layer_without_an_address_must_exist(setup: Setup) {
    let registry = setup.start();
    let media_type = format!("{OCI_NONDISTRIBUTABLE_LAYER}tar+gzip");
    let image =
        |content| build::Image::oci(config(&registry)).layer(descriptor(&media_type, content)).build();

    registry.put_manifest("a", "v1", &image(b"absent")).refused(Failure::ManifestBlobUnknown);
    registry.push_blob("a", b"present");
    registry.push_manifest("a", "v1", &image(b"present"));
}

fn a_sparse_index_is_accepted_where_the_configuration_says_so(setup: Setup) {
    let amd64 = Image::called("amd64");
    let arm64 = Image::called("arm64");
    let index = build::Index::oci()
        .manifest(amd64.descriptor(), platform("linux", "amd64"))
        .manifest(arm64.descriptor(), platform("linux", "arm64"))
        .build();
    let with = |platforms: IndexPlatforms| {
        setup.clone().domain(|config| config.manifests.index_platforms = platforms).start()
    };
    let listed = || IndexPlatforms::List(vec![("linux".to_owned(), "amd64".to_owned())]);

    with(IndexPlatforms::All).put_manifest("a", "v1", &index).refused(Failure::ManifestBlobUnknown);
    with(listed()).put_manifest("a", "v1", &index).refused(Failure::ManifestBlobUnknown);
    with(IndexPlatforms::None).push_manifest("a", "sparse", &index);
    let listing = with(listed());
    listing.push_image("a", "amd64", &amd64);
    listing.push_manifest("a", "v1", &index);
}

/// distribution reads the platform of an entry without looking whether there is one.
fn an_entry_without_platform_harms_nobody(setup: Setup) {
    let listed = IndexPlatforms::List(vec![("linux".to_owned(), "amd64".to_owned())]);
    let registry = setup.domain(|config| config.manifests.index_platforms = listed).start();
    let image = Image::called("plain");
    let index = build::Index::oci().manifest(image.descriptor(), None).build();

    registry.put_manifest("a", "v1", &index).refused(Failure::ManifestBlobUnknown);
    registry.push_image("a", "plain", &image);
    registry.push_manifest("a", "v1", &index);
}

fn a_wrong_size_is_refused_unless_sizes_are_ignored(setup: Setup) {
    let strict = setup.clone().start();
    let lenient = setup.domain(|config| config.manifests.ignore_sizes = true).start();
    let config = config(&strict);
    let layer = strict.push_blob("a", b"layer");
    let child = strict.push_some_image("a", "v1").digest();
    let wrong = |media_type: &str, digest: Digest| Descriptor::new(media_type.parse().unwrap(), digest, 4711);
    let image = build::Image::oci(config).layer(wrong(OCI_LAYER_GZIP, layer)).build();
    let index = build::Index::oci().manifest(wrong(OCI_MANIFEST, child), None).build();

    for manifest in [image, index] {
        strict.put_manifest("a", "wrong", &manifest).refused(Failure::ManifestInvalid);
        lenient.push_manifest("a", "wrong", &manifest);
    }
}

fn a_layer_may_be_named_twice(setup: Setup) {
    let registry = setup.start();
    let config = config(&registry);
    registry.push_blob("a", b"layer");
    let layer = descriptor(OCI_LAYER_GZIP, b"layer");

    registry.push_manifest("a", "v1", &build::Image::oci(config).layer(layer.clone()).layer(layer).build());
}

on_every_store![
    every_missing_blob_is_named,
    a_missing_blob_is_named_once_and_a_hundred_at_most,
    what_other_repositories_hold_does_not_count,
    an_index_names_manifests_of_its_own_repository,
    an_index_may_name_blobs,
    an_index_may_hold_attestations,
    indexes_nest_eight_deep_and_no_deeper,
    urls_are_refused_unless_they_are_allowed,
    a_foreign_layer_without_an_address_must_exist,
    a_sparse_index_is_accepted_where_the_configuration_says_so,
    an_entry_without_platform_harms_nobody,
    a_wrong_size_is_refused_unless_sizes_are_ignored,
    a_layer_may_be_named_twice,
];
