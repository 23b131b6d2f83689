//! URLs as CloudFront checks them: the signature over the policy it rebuilds, with the public key it was given.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrepot_driver_cdn::{CloudFront, CloudFrontConfig};
use entrepot_storage::signer::UrlSigner;
use entrepot_storage::{Key, PresignOptions};
use rcgen::{KeyPair, PublicKeyData as _};
use ring::signature::{self, RsaKeyPair, UnparsedPublicKey};

/// Generated for this test with `openssl genrsa -traditional 2048`; it guards nothing.
const RSA: &str = include_str!("keys/rsa-pkcs1.pem");

fn rsa_public() -> Vec<u8> {
    let body: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_der(&STANDARD.decode(body).expect("Base64")).expect("a key");
    pair.public().as_ref().to_vec()
}

fn config(key: &Path) -> CloudFrontConfig {
    CloudFrontConfig {
        base_url: "https://cdn.example.com/".into(),
        root_directory: "/registry".into(),
        private_key: key.to_owned(),
        key_pair_id: "K2JCJMDEHXQW5F".into(),
        source_ip: false,
    }
}

fn options(begin: u64) -> PresignOptions {
    PresignOptions {
        signed_at: UNIX_EPOCH + Duration::from_secs(begin),
        expires_in: Duration::from_secs(1200),
        content_type: None,
    }
}

fn url(signer: &CloudFront, begin: u64) -> String {
    url_for(signer, begin, None).expect("a URL")
}

fn url_for(signer: &CloudFront, begin: u64, client: Option<&str>) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let key: Key = "data/ab/0123".parse().expect("a key");
    let client: Option<IpAddr> = client.map(|address| address.parse().expect("an address"));
    let signed = runtime.block_on(signer.sign(&key, &options(begin), client)).expect("it signs")?;
    assert_eq!(signed.expires_at, UNIX_EPOCH + Duration::from_secs(begin + 1200));
    Some(signed.url)
}

/// The value of a parameter of the query.
fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let (_, query) = url.split_once('?').expect("a query");
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).expect("the parameter")
}

fn judge(url: &str, key: &UnparsedPublicKey<&[u8]>) -> bool {
    let resource = "https://cdn.example.com/registry/data/ab/0123";
    assert!(url.starts_with(&format!("{resource}?")), "{url}");
    assert_eq!(
        (parameter(url, "Key-Pair-Id"), parameter(url, "Hash-Algorithm")),
        ("K2JCJMDEHXQW5F", "SHA256")
    );
    let expires = parameter(url, "Expires");
    let policy = format!(
        "{{\"Statement\":[{{\"Resource\":\"{resource}\",\"Condition\":{{\"DateLessThan\":{{\"AWS:EpochTime\":{expires}}}}}}}]}}"
    );
    let text = parameter(url, "Signature").replace('-', "+").replace('~', "/").replace('_', "=");
    key.verify(policy.as_bytes(), &STANDARD.decode(text).expect("Base64")).is_ok()
}

#[test]
fn an_rsa_key_signs_the_same_url_on_every_process() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    std::fs::write(&path, RSA).unwrap();
    let (one, other) = (CloudFront::open(config(&path)).unwrap(), CloudFront::open(config(&path)).unwrap());
    let public = rsa_public();
    let public = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &*public);

    let first = url(&one, 1_767_290_400);

    assert!(judge(&first, &public));
    assert_eq!(parameter(&first, "Expires"), "1767291600");
    assert_eq!(first, url(&other, 1_767_290_400));
    assert_ne!(first, url(&one, 1_767_291_000));
}

/// Of `url` above at 1,767,290,400, by the signer of Amazon's own botocore 1.43 with the same key and SHA-256:
/// an RSA signature of this kind has one value.
const BY_BOTOCORE: &str = "MK-aXARMOakxD76Lym1i1dXUorr0dq6TX5bsu92zmvjaIiTu5lS6FxB3nfd5-QTz18N9h16yBJWdu69qswP-\
    S30FSEaYS1v4j6-4X6n9A8tJlsHI3V8tBKg5UDXDrU1SYKR-lLdKaU6AqPA7pt3c3Dq~tWe399hqRE2UN5CJsxvDpGu~MyM9xHP3LYCeYil\
    Ada5ZXJ-CRgNJyKyRHclMXKqCztGMH~mPElxmMvLZuk9uOMs2ZysHvEAKbo~Pz1CtktaVfrdTsPG0ueEa3XymxEHQ9HTow3DVXkNEn9yjU9\
    olz8rR0EA0XIMQkI5iMbd9GWoF4uSXi5x2r9M-gIq0gw__";

#[test]
fn the_signature_is_the_one_amazons_own_signer_makes() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    std::fs::write(&path, RSA).unwrap();

    let url = url(&CloudFront::open(config(&path)).unwrap(), 1_767_290_400);

    assert_eq!(parameter(&url, "Signature"), BY_BOTOCORE);
}

/// The same for the client 203.0.113.9, by botocore 1.44: policy and signature.
const POLICY_BY_BOTOCORE: &str = "eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9jZG4uZXhhbXBsZS5jb20vcmVnaXN0cnkvZGF0\
    YS9hYi8wMTIzIiwiQ29uZGl0aW9uIjp7IkRhdGVMZXNzVGhhbiI6eyJBV1M6RXBvY2hUaW1lIjoxNzY3MjkxNjAwfSwiSXBBZGRyZXNzIjp7IkFX\
    UzpTb3VyY2VJcCI6IjIwMy4wLjExMy45LzMyIn19fV19";
const BOUND_BY_BOTOCORE: &str = "QHCUbkt4AQX0nDslFh9SCkCQWeiTuvUwaSw3bHIInCY7pMmGFNgR6ZjUDERu3hZXhEtMPFhyskHZUnF-dFRRb\
    pEYOn5e7JXpFTmuK4dOjntWCKVXedIfKAd3yAoA4pBOKU7NRTNXPNf~oa5CM~VW0OSHZILR7OCxbHE2QtxaooNC4WNANdo70n9lllPOW596BdWdra\
    3U9yD-9lBN6-msfcB4Mfu0~mzpypYwl2ftDOv9ykDCpPRrp~7zGG7ugL75w1mPS5GeyeRlROPMhXYfTPUmaAZH0SEFRiJpcm2am64hsGOnv4Y72y8\
    6MSeXbZODVqIu7ZYthOlL-zhYCd6qeA__";

#[test]
fn a_url_can_be_held_to_its_clients_address() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    std::fs::write(&path, RSA).unwrap();
    let bound = CloudFront::open(CloudFrontConfig { source_ip: true, ..config(&path) }).unwrap();
    let begin = 1_767_290_400;

    let url = url_for(&bound, begin, Some("203.0.113.9")).expect("a URL");

    assert!(url.starts_with("https://cdn.example.com/registry/data/ab/0123?Policy="), "{url}");
    assert_eq!(parameter(&url, "Policy"), POLICY_BY_BOTOCORE);
    assert_eq!(parameter(&url, "Signature"), BOUND_BY_BOTOCORE);
    assert!(url.ends_with("&Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256"), "{url}");
    let mapped = url_for(&bound, begin, Some("::ffff:203.0.113.9"));
    assert_eq!(mapped.as_ref(), Some(&url), "an address is the same however it is written");
    assert_ne!(url_for(&bound, begin, Some("203.0.113.10")), Some(url), "another client's is another");
    for nowhere in [None, Some("10.0.0.9"), Some("2001:db8::9")] {
        assert_eq!(url_for(&bound, begin, nowhere), None, "{nowhere:?}");
    }
}

#[test]
fn a_key_on_p256_signs_and_a_replaced_one_is_used_from_the_next_span_on() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    let (old, new) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    std::fs::write(&path, old.serialize_pem()).unwrap();
    let signer = CloudFront::open(config(&path)).unwrap();
    let public = |key: &KeyPair| key.der_bytes().to_vec();
    let (old_bytes, new_bytes) = (public(&old), public(&new));
    let old_key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, &*old_bytes);
    let new_key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, &*new_bytes);

    let before = url(&signer, 600);
    assert!(judge(&before, &old_key));
    std::fs::write(&path, new.serialize_pem()).unwrap();
    assert_eq!(url(&signer, 600), before, "a span keeps its URLs");
    assert!(judge(&url(&signer, 1200), &new_key));

    std::fs::write(&path, "no key").unwrap();
    assert!(judge(&url(&signer, 1800), &new_key), "an unfit file does not stop pulls");
}

#[test]
fn what_cannot_sign_is_refused_at_start_with_its_path() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    let missing = CloudFront::open(config(&path)).unwrap_err().to_string();
    assert!(missing.contains("key.pem"), "{missing}");

    let foreign = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for content in
        ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", &foreign.serialize_pem()]
    {
        std::fs::write(&path, content).unwrap();
        let refused = CloudFront::open(config(&path)).unwrap_err().to_string();
        assert!(refused.contains("RSA or ECDSA P-256"), "{refused}");
    }
    std::fs::write(&path, RSA).unwrap();
    let unnamed = CloudFrontConfig { key_pair_id: "a&b".into(), ..config(&path) };
    assert!(CloudFront::open(unnamed).is_err());
}

#[test]
fn the_key_is_in_no_debug_output() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    std::fs::write(&path, RSA).unwrap();
    let signer = CloudFront::open(config(&path)).unwrap();
    let signed = url(&signer, 600);

    let printed = format!("{signer:?}");

    assert!(!printed.contains(parameter(&signed, "Signature")), "{printed}");
    assert!(!printed.contains(RSA.lines().nth(3).unwrap()), "{printed}");
}
