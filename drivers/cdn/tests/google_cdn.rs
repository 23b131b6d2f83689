//! URLs of Google Cloud CDN, and the key they are signed with while it changes.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use entrepot_driver_cdn::{GoogleCdn, GoogleCdnConfig};
use entrepot_storage::signer::UrlSigner;
use entrepot_storage::{Key, PresignOptions};

/// That of Google's samples; it guards nothing.
const KEY: &str = "nZtRohdNF9m3cKM24IcK4w==";
const OTHER: &str = "AAECAwQFBgcICQoLDA0ODw==";

fn config(key: &Path) -> GoogleCdnConfig {
    GoogleCdnConfig {
        base_url: "https://images.example.com/bucket/".into(),
        root_directory: "registry".into(),
        private_key: key.to_owned(),
        key_name: "registry-2026".into(),
    }
}

fn url(signer: &GoogleCdn, begin: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let key: Key = "data/ab/01!x".parse().expect("a key");
    let options = PresignOptions {
        signed_at: UNIX_EPOCH + Duration::from_secs(begin),
        expires_in: Duration::from_secs(1200),
        content_type: None,
    };
    let signed = runtime.block_on(signer.sign(&key, &options, None)).expect("it signs").expect("a URL");
    assert_eq!(signed.expires_at, UNIX_EPOCH + Duration::from_secs(begin + 1200));
    signed.url
}

#[test]
fn a_url_is_the_buckets_path_behind_the_address_with_its_end_and_its_keys_name() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key");
    std::fs::write(&path, KEY).unwrap();
    let (one, other) = (GoogleCdn::open(config(&path)).unwrap(), GoogleCdn::open(config(&path)).unwrap());

    let signed = url(&one, 600);

    let expected = "https://images.example.com/bucket/registry/data/ab/01%21x?Expires=1800&KeyName=registry-2026&Signature=";
    assert!(signed.starts_with(expected), "{signed}");
    assert_eq!(signed, url(&other, 600), "all processes make the same");
    assert_ne!(signed, url(&one, 1200));
}

#[test]
fn a_replaced_key_is_used_from_the_next_span_on() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key");
    std::fs::write(&path, KEY).unwrap();
    let signer = GoogleCdn::open(config(&path)).unwrap();
    let before = url(&signer, 600);

    std::fs::write(&path, OTHER).unwrap();
    assert_eq!(url(&signer, 600), before, "a span keeps its URLs");
    let with_other = url(&GoogleCdn::open(config(&path)).unwrap(), 1200);
    assert_eq!(url(&signer, 1200), with_other);

    std::fs::remove_file(&path).unwrap();
    assert!(url(&signer, 1800).contains("Signature="), "a missing file does not stop pulls");
}

#[test]
fn what_cannot_sign_is_refused_at_start() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key");
    let missing = GoogleCdn::open(config(&path)).unwrap_err().to_string();
    assert!(missing.contains("key: "), "{missing}");

    std::fs::write(&path, "nZtRohdNF9m3cKM2").unwrap();
    let short = GoogleCdn::open(config(&path)).unwrap_err().to_string();
    assert!(short.contains("it has 12 bytes") && short.contains("16 bytes in base64url"), "{short}");

    std::fs::write(&path, KEY).unwrap();
    assert!(GoogleCdn::open(GoogleCdnConfig { key_name: "a&b".into(), ..config(&path) }).is_err());
    let printed = format!("{:?}", GoogleCdn::open(config(&path)).unwrap());
    assert!(!printed.contains(KEY) && !printed.contains("9d9b51"), "{printed}");
}
