//! A cache that says that everything is there: S-08, invariant 8. Pulls may be wrong for as long as an entry
//! lives; a push asks the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entrepot_api::Failure;
use entrepot_domain::ports::{Cache, CacheKey, CacheValue, CachedLink, CachedManifest};
use entrepot_oci::{Descriptor, Digest};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::{Image, Setup};

/// Knows everything, truly or not, and never learns.
#[derive(Debug)]
struct Liar;

#[async_trait]
impl Cache for Liar {
    async fn get(&self, key: &CacheKey) -> Option<CacheValue> {
        let descriptor = |digest: Digest| {
            let media_type = "application/vnd.oci.image.manifest.v1+json".parse().unwrap();
            Arc::new(Descriptor::new(media_type, digest, 2))
        };
        Some(match key {
            CacheKey::Link(..) => {
                CacheValue::Link(CachedLink { instance: "data/00/nowhere".parse().unwrap(), size: 7 })
            }
            CacheKey::Manifest(_, digest) => CacheValue::Manifest(CachedManifest {
                descriptor: descriptor(*digest),
                bytes: bytes::Bytes::from_static(b"{}"),
            }),
            CacheKey::Tag(..) => CacheValue::Tag(descriptor(Digest::sha256(b"{}"))),
        })
    }

    async fn put(&self, _: CacheKey, _: CacheValue, _: Duration) {}

    async fn invalidate(&self, _: &CacheKey) {}
}

fn a_push_does_not_believe_a_cache(setup: Setup) {
    let honest = setup.clone().start();
    let lied_to = setup.cache(Arc::new(Liar)).start();
    let image = Image::called("pushed past a liar");
    let layer = format!("/v2/a/blobs/{}", Digest::sha256(&image.layer));

    lied_to.head(&layer).send().expect(404);
    lied_to.put_manifest("a", "v1", &image.manifest).refused(Failure::ManifestBlobUnknown);
    let mount = format!("/v2/a/blobs/uploads/?mount={}&from=b", Digest::sha256(&image.layer));
    lied_to.post(mount).empty().send().expect(202);
    lied_to.push_image("a", "v1", &image);

    assert_eq!(honest.get("/v2/a/manifests/v1").send().expect(200).body, image.manifest.bytes);
    assert_eq!(honest.get(&layer).send().expect(200).body, image.layer);
}

/// A cached link whose bytes are gone is looked up again before anybody is told that the blob is.
fn a_stale_link_is_looked_up_again(setup: Setup) {
    let digest = setup.start().push_blob("a", b"content");
    let lied_to = setup.cache(Arc::new(Liar)).start();

    let answer = lied_to.get(format!("/v2/a/blobs/{digest}")).send();

    assert!(answer.status == 200 && answer.body == b"content" || answer.status >= 500, "{answer}");
}

on_every_store![a_push_does_not_believe_a_cache, a_stale_link_is_looked_up_again];
