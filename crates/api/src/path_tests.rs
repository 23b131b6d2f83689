//! Tests of the path matcher, against examples and against a slow reference that reads the templates.

use proptest::prelude::*;

use super::*;

fn found(path: &str) -> Option<(Resource, String, String)> {
    match_path(path).map(|found| (found.resource, found.name.to_owned(), found.argument.into_owned()))
}

fn expect(path: &str, resource: Resource, name: &str, argument: &str) {
    assert_eq!(found(path), Some((resource, name.to_owned(), argument.to_owned())), "{path}");
}

#[test]
fn every_resource_is_found_by_its_path() {
    expect("/v2", Resource::BareBase, "", "");
    expect("/v2/", Resource::Base, "", "");
    expect("/v2/_catalog", Resource::Catalog, "", "");
    expect("/v2/a/b/manifests/latest", Resource::Manifest, "a/b", "latest");
    expect("/v2/a/b/blobs/sha256:00", Resource::Blob, "a/b", "sha256:00");
    expect("/v2/a/b/blobs/uploads/", Resource::Uploads, "a/b", "");
    expect("/v2/a/b/blobs/uploads/0191", Resource::Upload, "a/b", "0191");
    expect("/v2/a/b/tags/list", Resource::Tags, "a/b", "");
    expect("/v2/a/b/referrers/sha256:00", Resource::Referrers, "a/b", "sha256:00");
    expect("/v2/a/b/_ext/manifests/sha256:00/tags", Resource::ManifestTags, "a/b", "sha256:00");
}

#[test]
fn uploads_open_without_their_last_slash_too() {
    expect("/v2/a/blobs/uploads", Resource::Uploads, "a", "");
}

#[test]
fn the_last_marker_decides_when_components_are_called_like_markers() {
    expect("/v2/a/manifests/b/manifests/latest", Resource::Manifest, "a/manifests/b", "latest");
    expect("/v2/manifests/manifests/manifests", Resource::Manifest, "manifests", "manifests");
    expect("/v2/a/blobs/uploads/blobs/uploads/", Resource::Uploads, "a/blobs/uploads", "");
    expect("/v2/a/blobs/uploads/blobs/uploads", Resource::Uploads, "a/blobs/uploads", "");
    expect("/v2/a/blobs/blobs/uploads", Resource::Uploads, "a/blobs", "");
    expect("/v2/a/blobs/uploads/uploads", Resource::Upload, "a", "uploads");
    expect("/v2/a/blobs/uploads/list", Resource::Upload, "a", "list");
    expect("/v2/a/blobs/uploads/blobs/sha256:00", Resource::Blob, "a/blobs/uploads", "sha256:00");
    expect("/v2/tags/tags/list", Resource::Tags, "tags", "");
    expect("/v2/tags/list/tags/list", Resource::Tags, "tags/list", "");
    expect("/v2/a/tags/list/manifests/list", Resource::Manifest, "a/tags/list", "list");
    expect("/v2/a/manifests/tags", Resource::Manifest, "a", "tags");
    expect("/v2/a/referrers/b/referrers/c", Resource::Referrers, "a/referrers/b", "c");
    expect("/v2/v2/manifests/latest", Resource::Manifest, "v2", "latest");
    for (marker, resource) in
        [("manifests", Resource::Manifest), ("blobs", Resource::Blob), ("referrers", Resource::Referrers)]
    {
        expect(&format!("/v2/a/_ext/manifests/{marker}/tags"), resource, "a/_ext/manifests", "tags");
    }
}

#[test]
fn a_malformed_name_is_found_so_that_it_can_be_refused_as_a_name() {
    expect("/v2/UPPER/x/manifests/a", Resource::Manifest, "UPPER/x", "a");
    expect("/v2/a..b/manifests/a", Resource::Manifest, "a..b", "a");
    expect("/v2/a//b/manifests/a", Resource::Manifest, "a//b", "a");
    expect("/v2/a//manifests/a", Resource::Manifest, "a/", "a");
    expect("/v2//manifests/a", Resource::Manifest, "", "a");
    expect("/v2/_catalog/tags/list", Resource::Tags, "_catalog", "");
}

#[test]
fn escapes_in_a_name_stay_escapes_and_no_name_has_them() {
    for name in ["a%2fb", "a%2Fb", "%2e%2e%2fetc", "..%5c..", "a%00", "a%252fb", "../../etc", "a\\b", "a\0"] {
        let path = format!("/v2/{name}/manifests/latest");
        expect(&path, Resource::Manifest, name, "latest");
        assert!(name.parse::<entrepot_oci::RepositoryName>().is_err(), "{name:?}");
    }
}

#[test]
fn the_colon_of_a_digest_is_decoded_once_and_nothing_else_is() {
    expect("/v2/a/blobs/sha256%3Aab", Resource::Blob, "a", "sha256:ab");
    expect("/v2/a/manifests/sha256%3aab", Resource::Manifest, "a", "sha256:ab");
    expect("/v2/a/blobs/sha256%253Aab", Resource::Blob, "a", "sha256%253Aab");
    expect("/v2/a/blobs/x%3A%253A", Resource::Blob, "a", "x:%253A");
    expect("/v2/a/manifests/..%2f..%2fetc", Resource::Manifest, "a", "..%2f..%2fetc");
    expect("/v2/a/blobs/sha256:ab%0a", Resource::Blob, "a", "sha256:ab%0a");
    expect("/v2/a%3Ab/tags/list", Resource::Tags, "a%3Ab", "");
    assert!(matches!(match_path("/v2/a/blobs/sha256:ab").unwrap().argument, Cow::Borrowed(_)));
}

#[test]
fn other_paths_name_nothing() {
    for path in [
        "",
        "/",
        "v2/",
        "/v2//",
        "/v1/",
        "/v22/",
        "/V2/",
        "//v2/",
        "/v2/../../etc/passwd",
        "/v2/_catalog/",
        "/v2/a",
        "/v2/a/",
        "/v2/manifests/latest",
        "/v2/blobs/sha256:00",
        "/v2/tags/list",
        "/v2/blobs/uploads/",
        "/v2/blobs/uploads/0191",
        "/v2/referrers/sha256:00",
        "/v2/_ext/manifests/sha256:00/tags",
        "/v2/a/tags/list/",
        "/v2/a/tags",
        "/v2/a/manifests/",
        "/v2/a/manifests/latest/",
        "/v2/a/blobs/",
        "/v2/a/blobs/uploads//",
        "/v2/a/referrers/",
        "/v2/a/uploads/0191",
        "/v2/a/_ext/manifests//tags",
        "/v2/a/_ext/manifests/sha256:00/tags/",
        "/v2/a/_ext/repository",
        "/v2/a%2fmanifests%2flatest",
        "/v2\\a\\manifests\\latest",
    ] {
        assert_eq!(found(path), None, "{path}");
    }
}

/// What the templates say, by trying every cut: a name is one or more segments, any other parameter one
/// non-empty segment, everything else is literal. Of several readings the one with the longest name
/// counts, because that is the one whose markers stand last.
fn reference(path: &str) -> Option<(Resource, String, String)> {
    // The tolerated form of the uploads path.
    let path = if path.ends_with("/blobs/uploads") { format!("{path}/") } else { path.to_owned() };
    let segments: Vec<&str> = path.split('/').collect();
    let readings = Resource::ALL.iter().filter_map(|resource| {
        let template: Vec<&str> = resource.template().split('/').collect();
        let (name, argument) = read(&template, &segments)?;
        Some((*resource, name, argument))
    });
    readings.max_by_key(|(_, name, _)| name.len())
}

fn read(template: &[&str], segments: &[&str]) -> Option<(String, String)> {
    let Some(place) = template.iter().position(|piece| *piece == "{name}") else {
        return (template == segments).then(Default::default);
    };
    let after = &template[place + 1..];
    let end = segments.len().checked_sub(after.len()).filter(|end| *end > place)?;
    if template[..place] != segments[..place] {
        return None;
    }
    let mut argument = String::new();
    for (piece, segment) in after.iter().zip(&segments[end..]) {
        match piece.starts_with('{') {
            true if segment.is_empty() => return None,
            true => argument = segment.replace("%3A", ":").replace("%3a", ":"),
            false if piece != segment => return None,
            false => {}
        }
    }
    Some((segments[place..end].join("/"), argument))
}

const WORDS: &[&str] = &[
    "v2",
    "a",
    "b",
    "manifests",
    "blobs",
    "uploads",
    "tags",
    "list",
    "referrers",
    "_ext",
    "_catalog",
    "",
    "..",
    "%2f",
    "sha256:00",
    "sha256%3A00",
    "latest",
    "UP",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_matcher_agrees_with_the_templates(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..9),
    ) {
        let path = format!("/v2/{}", words.join("/"));
        prop_assert_eq!(found(&path), reference(&path), "{}", path);
    }

    #[test]
    fn no_path_makes_the_matcher_fail_and_no_argument_holds_a_slash(path in "(/v2)?/[ -~é]{0,60}") {
        prop_assert_eq!(found(&path), reference(&path));
        if let Some(found) = match_path(&path) {
            prop_assert!(!found.argument.contains('/'));
        }
    }
}
