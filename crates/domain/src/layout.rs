//! Every stored key is made here, and taken apart here.
//!
//! | key | content |
//! |---|---|
//! | `layout.json` | layout version |
//! | `data/<2 hex>/<id>[.<alg>.<hex>]` | blob bytes |
//! | `blobs/<alg>/<hex>` | blob record |
//! | `links/<alg>/<hex>/<repo>` | a repository's right to a blob |
//! | `manifests/<repo>/<alg>/<hex>` | header line and exact bytes |
//! | `tags/<repo>/<tag>` | tag record |
//! | `referrers/<repo>/<subject>/<digest>` | a referrer's descriptor |
//! | `repositories/<repo>` | catalog entry |
//! | `uploads/<id>` | upload session |
//! | `probe/<random>/<name>` | what a probe of the store writes and removes again |
//! | `purge.json` | when old uploads were purged last |
//! | `secret.json` | keys that sign upload tokens, where none are configured |
//!
//! `<repo>` is the name with `/` written `!`, which occurs in no name and sorts below every character
//! that does: one level per repository, no key a directory of another, and the catalog's order.

use entrepot_oci::{Algorithm, Digest, RepositoryName, Tag};
use entrepot_storage::Key;

/// The layout's version record.
pub fn layout() -> Key {
    key("layout.json")
}

/// The generated token secret.
pub fn secret() -> Key {
    key("secret.json")
}

/// When old uploads were purged last.
pub fn purge() -> Key {
    key("purge.json")
}

/// Prefix of one probe of the store. `random` is never used twice.
pub fn probe(random: &str) -> String {
    format!("{PROBES}{random}/")
}

/// An object of a probe.
pub fn probe_object(random: &str) -> Key {
    key(&format!("{}object", probe(random)))
}

/// Prefix of all probes of the store.
pub const PROBES: &str = "probe/";

/// The record of a blob.
pub fn blob(digest: &Digest) -> Key {
    key(&format!("{BLOBS}{}/{}", digest.algorithm(), digest.hex()))
}

/// Prefix of all blob records.
pub const BLOBS: &str = "blobs/";

/// The link of `name` to a blob.
pub fn link(digest: &Digest, name: &RepositoryName) -> Key {
    key(&format!("{}{}", links_of(digest), segment(name)))
}

/// Prefix of all links to a blob.
pub fn links_of(digest: &Digest) -> String {
    format!("links/{}/{}/", digest.algorithm(), digest.hex())
}

/// A manifest's record.
pub fn manifest(name: &RepositoryName, digest: &Digest) -> Key {
    key(&format!("{}{}/{}", manifests_of(name), digest.algorithm(), digest.hex()))
}

/// Prefix of all manifests of a repository.
pub fn manifests_of(name: &RepositoryName) -> String {
    format!("manifests/{}/", segment(name))
}

/// A tag's record.
pub fn tag(name: &RepositoryName, tag: &Tag) -> Key {
    key(&format!("{}{tag}", tags_of(name)))
}

/// Prefix of all tags of a repository.
pub fn tags_of(name: &RepositoryName) -> String {
    format!("tags/{}/", segment(name))
}

/// A referrer's entry.
pub fn referrer(name: &RepositoryName, subject: &Digest, referrer: &Digest) -> Key {
    key(&format!("{}{}", referrers_of(name, subject), dotted(referrer)))
}

/// Prefix of all referrers of a subject.
pub fn referrers_of(name: &RepositoryName, subject: &Digest) -> String {
    format!("referrers/{}/{}/", segment(name), dotted(subject))
}

/// A catalog entry.
pub fn repository(name: &RepositoryName) -> Key {
    key(&format!("{REPOSITORIES}{}", segment(name)))
}

/// Prefix of the catalog.
pub const REPOSITORIES: &str = "repositories/";

/// An upload session's record. `None` where `id` could not be one.
pub fn upload(id: &str) -> Option<Key> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if plain { format!("{UPLOADS}{id}").parse().ok() } else { None }
}

/// Prefix of all upload sessions.
pub const UPLOADS: &str = "uploads/";

/// Prefix of all blob bytes.
pub const DATA: &str = "data/";

/// Where fresh bytes go. `owner` is the upload session they belong to, if any; `random` is never used
/// twice, so neither is the key. The digest stands in the key where it is known before the bytes are,
/// so that an orphan names what it might be.
pub fn data(owner: Option<&str>, random: &str, digest: Option<&Digest>) -> Key {
    let shard = &random[..2];
    let owner = owner.map(|owner| format!("{owner}_")).unwrap_or_default();
    let known = digest.map(|digest| format!(".{}", dotted(digest))).unwrap_or_default();
    key(&format!("{DATA}{shard}/{owner}{random}{known}"))
}

/// What a data key says about its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    /// The upload session that wrote them, where one did.
    pub owner: Option<String>,
    /// The digest they were to have, where it was known.
    pub digest: Option<Digest>,
}

/// Takes a data key apart. `None` for a key this layout did not make.
pub fn parse_data(key: &Key) -> Option<DataKey> {
    let (_, name) = key.as_str().strip_prefix(DATA)?.split_once('/')?;
    let (id, digest) = match name.split_once('.') {
        Some((id, dotted)) => (id, Some(undotted(dotted)?)),
        None => (name, None),
    };
    let owner = id.split_once('_').map(|(owner, _)| owner.to_owned());
    Some(DataKey { owner, digest })
}

/// The repository a `<repo>` segment stands for.
pub fn repository_of(segment: &str) -> Option<RepositoryName> {
    segment.replace('!', "/").parse().ok()
}

/// The text that stands for `name` in a key.
pub fn segment(name: &RepositoryName) -> String {
    name.as_str().replace('/', "!")
}

/// The digest a manifest key ends in.
pub fn manifest_digest(key: &Key) -> Option<Digest> {
    let mut segments = key.as_str().rsplit('/');
    let (hex, algorithm) = (segments.next()?, segments.next()?);
    format!("{algorithm}:{hex}").parse().ok()
}

/// The last segment of a key.
pub fn last_segment(key: &Key) -> &str {
    key.as_str().rsplit('/').next().unwrap_or_default()
}

/// A digest as one segment.
pub fn dotted(digest: &Digest) -> String {
    format!("{}.{}", digest.algorithm(), digest.hex())
}

/// Reads a digest written as one segment.
pub fn undotted(text: &str) -> Option<Digest> {
    let (algorithm, hex) = text.split_once('.')?;
    algorithm.parse::<Algorithm>().ok()?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn key(text: &str) -> Key {
    text.parse().expect("names, tags and digests are made of characters keys allow")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_words_still_make_a_key() {
        let name: RepositoryName = "a".repeat(255).parse().unwrap();
        let digest = Digest::of(Algorithm::Sha512, b"");
        let longest_tag: Tag = "t".repeat(128).parse().unwrap();

        for made in [
            link(&digest, &name),
            manifest(&name, &digest),
            referrer(&name, &digest, &digest),
            tag(&name, &longest_tag),
            data(Some("0190a1b2-0000-7000-8000-000000000000"), &"0".repeat(32), Some(&digest)),
        ] {
            assert!(made.as_str().len() <= entrepot_storage::key::MAX_KEY_BYTES);
        }
    }

    #[test]
    fn a_data_key_tells_owner_and_digest() {
        let digest = Digest::sha256(b"x");
        let made = data(Some("0190-ab"), "ff00", Some(&digest));
        let expected = DataKey { owner: Some("0190-ab".into()), digest: Some(digest) };
        assert_eq!(parse_data(&made), Some(expected));

        let plain = data(None, "ff00", None);
        assert_eq!(parse_data(&plain), Some(DataKey { owner: None, digest: None }));
    }

    #[test]
    fn what_is_no_session_id_makes_no_key() {
        for id in ["", "..", "a/b", "../x", "x", "0190!", "a b"] {
            assert_eq!(upload(id), None, "{id:?}");
        }
        assert!(upload("0190a1b2-0000-7000-8000-000000000000").is_some());
    }

    #[test]
    fn a_repository_segment_is_reversible() {
        let name: RepositoryName = "a/b-c/d".parse().unwrap();
        assert_eq!(repository_of(&segment(&name)), Some(name));
    }
}
