//! Addresses of resources, made from the same templates that paths are matched against.
//!
//! By default an address is relative (`/v2/...`): it then works behind every balancer, and clients keep
//! their credentials, which some drop when scheme or host differ from what they asked.

use std::fmt::Write as _;

use entrepot_oci::{Digest, RepositoryName};

use crate::{PathMatch, Resource, match_path, parameter};

/// Makes addresses below one origin and prefix. Cheap to copy; made anew for a request whose forwarded
/// headers are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locations<'a> {
    origin: &'a str,
    prefix: &'a str,
}

impl<'a> Locations<'a> {
    /// `origin` is scheme and authority (`https://registry.example.com`), or empty for relative addresses.
    /// `prefix` is `http.prefix`: empty, or a path that begins with a slash. A last slash of either is
    /// ignored. The caller vouches for both; neither is escaped here.
    pub fn new(origin: &'a str, prefix: &'a str) -> Self {
        Self { origin: origin.trim_end_matches('/'), prefix: prefix.trim_end_matches('/') }
    }

    /// Matches the raw path of a request: the prefix taken off, the rest as [`match_path`] reads it.
    /// `None` below another prefix.
    pub fn match_path<'p>(&self, path: &'p str) -> Option<PathMatch<'p>> {
        match_path(path.strip_prefix(self.prefix)?)
    }

    /// `/v2/`
    pub fn base(&self) -> String {
        self.address(Resource::Base, &[])
    }

    /// A manifest by digest.
    pub fn manifest(&self, name: &RepositoryName, digest: &Digest) -> String {
        self.address(Resource::Manifest, &[name.as_str(), &digest.to_string()])
    }

    /// A blob.
    pub fn blob(&self, name: &RepositoryName, digest: &Digest) -> String {
        self.address(Resource::Blob, &[name.as_str(), &digest.to_string()])
    }

    /// An upload session; `state` is its signed token.
    pub fn upload(&self, name: &RepositoryName, session: &str, state: &str) -> String {
        let address = self.address(Resource::Upload, &[name.as_str(), session]);
        with_query(address, &[(parameter::STATE.name, state)])
    }

    /// The page of tags after `last`. `query` holds the other parameters of the request, which are
    /// repeated as they came; `n` and `last` among them are left out.
    pub fn tags_next(&self, name: &RepositoryName, n: u64, last: &str, query: &[(&str, &str)]) -> String {
        page(self.address(Resource::Tags, &[name.as_str()]), Some(n), last, query)
    }

    /// The page of repositories after `last`; `query` as in [`Self::tags_next`].
    pub fn catalog_next(&self, n: u64, last: &str, query: &[(&str, &str)]) -> String {
        page(self.address(Resource::Catalog, &[]), Some(n), last, query)
    }

    /// The page of referrers after `last`, under the same filters.
    pub fn referrers_next(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        artifact_types: &[&str],
        last: &Digest,
    ) -> String {
        let address = self.address(Resource::Referrers, &[name.as_str(), &subject.to_string()]);
        let filters: Vec<_> =
            artifact_types.iter().map(|value| (parameter::ARTIFACT_TYPE.name, *value)).collect();
        page(address, None, &last.to_string(), &filters)
    }

    /// The template of `resource` with `arguments` in place of its parameters, in their order.
    fn address(&self, resource: Resource, arguments: &[&str]) -> String {
        let mut address = String::with_capacity(self.origin.len() + self.prefix.len() + 160);
        address.push_str(self.origin);
        address.push_str(self.prefix);
        let mut arguments = arguments.iter();
        for (place, piece) in resource.template().split(['{', '}']).enumerate() {
            // Braces are balanced, so every odd piece is the name of a parameter.
            if place % 2 == 0 {
                address.push_str(piece);
            } else {
                let argument = arguments.next().expect("one argument for each parameter of the template");
                push_escaped(&mut address, argument, b":/");
            }
        }
        address
    }
}

/// The value of `Link` that leads to the next page.
pub fn next_link(address: &str) -> String {
    format!("<{address}>; rel=\"next\"")
}

fn page(address: String, n: Option<u64>, last: &str, query: &[(&str, &str)]) -> String {
    let n = n.map(|n| n.to_string());
    let mut pairs: Vec<(&str, &str)> = query
        .iter()
        .copied()
        .filter(|(key, _)| ![parameter::N.name, parameter::LAST.name].contains(key))
        .collect();
    if let Some(n) = &n {
        pairs.push((parameter::N.name, n));
    }
    pairs.push((parameter::LAST.name, last));
    with_query(address, &pairs)
}

fn with_query(mut address: String, pairs: &[(&str, &str)]) -> String {
    for (place, (key, value)) in pairs.iter().enumerate() {
        address.push(if place == 0 { '?' } else { '&' });
        push_escaped(&mut address, key, b"");
        address.push('=');
        push_escaped(&mut address, value, b"");
    }
    address
}

/// Escapes everything but the unreserved characters of RFC 3986 and `allowed`. Space becomes `%20`, plus
/// `%2B`: no reader of queries takes either for the other.
fn push_escaped(text: &mut String, value: &str, allowed: &[u8]) {
    for byte in value.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || allowed.contains(&byte);
        if plain {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use entrepot_oci::Algorithm;
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_relative_unless_an_origin_is_given() {
        let digest = Digest::sha256(b"");
        let relative = Locations::default();
        let absolute = Locations::new("https://r.example.com/", "/registry/");

        assert_eq!(relative.base(), "/v2/");
        assert_eq!(relative.blob(&name("a/b"), &digest), format!("/v2/a/b/blobs/{digest}"));
        assert_eq!(absolute.base(), "https://r.example.com/registry/v2/");
        assert_eq!(
            absolute.manifest(&name("a"), &digest),
            format!("https://r.example.com/registry/v2/a/manifests/{digest}")
        );
    }

    #[test]
    fn an_upload_carries_its_token_escaped() {
        let address = Locations::default().upload(&name("a"), "0191-x", "a+b/c=& d");

        assert_eq!(address, "/v2/a/blobs/uploads/0191-x?_state=a%2Bb%2Fc%3D%26%20d");
    }

    #[test]
    fn a_session_never_breaks_out_of_its_segment() {
        let address = Locations::default().upload(&name("a"), "x?y#z%2f", "");

        assert_eq!(address, "/v2/a/blobs/uploads/x%3Fy%23z%252f?_state=");
    }

    #[test]
    fn the_next_page_keeps_other_parameters_and_replaces_its_own() {
        let query = [("ns", "docker.io"), ("n", "5"), ("last", "old")];

        let address = Locations::default().tags_next(&name("a/b"), 5, "v1.0", &query);

        assert_eq!(address, "/v2/a/b/tags/list?ns=docker.io&n=5&last=v1.0");
        assert_eq!(Locations::default().catalog_next(2, "a/b", &[]), "/v2/_catalog?n=2&last=a%2Fb");
        assert_eq!(next_link("/v2/_catalog?n=2"), "</v2/_catalog?n=2>; rel=\"next\"");
    }

    #[test]
    fn the_next_page_of_referrers_keeps_every_filter() {
        let subject = Digest::sha256(b"s");
        let last = Digest::sha256(b"l");

        let address = Locations::default().referrers_next(
            &name("a"),
            &subject,
            &["application/vnd.x+json", "text/y"],
            &last,
        );

        let hex = last.hex();
        assert_eq!(
            address,
            format!(
                "/v2/a/referrers/{subject}?artifactType=application%2Fvnd.x%2Bjson&artifactType=text%2Fy&last=sha256%3A{hex}"
            )
        );
    }

    #[test]
    fn a_request_below_another_prefix_matches_nothing() {
        let locations = Locations::new("", "/registry");

        assert_eq!(locations.match_path("/registry/v2/").unwrap().resource, Resource::Base);
        assert_eq!(locations.match_path("/v2/"), None);
        assert_eq!(locations.match_path("/registryv2/"), None);
    }

    proptest! {
        #[test]
        fn an_address_leads_back_to_what_it_was_made_for(
            text in "[a-z0-9]{1,9}(/(manifests|blobs|tags|referrers|list|uploads|[a-z0-9]{1,9})){0,4}",
            content in any::<[u8; 8]>(),
            prefix in prop_oneof![Just(""), Just("/p"), Just("/v2")],
        ) {
            let (name, digest) = (name(&text), Digest::of(Algorithm::Sha512, &content));
            let locations = Locations::new("", prefix);
            let made = [
                (Resource::Manifest, locations.manifest(&name, &digest), digest.to_string()),
                (Resource::Blob, locations.blob(&name, &digest), digest.to_string()),
                (Resource::Upload, locations.upload(&name, "0191-ab", "t"), "0191-ab".into()),
                (Resource::Tags, locations.tags_next(&name, 1, "x", &[]), String::new()),
                (Resource::Referrers, locations.referrers_next(&name, &digest, &[], &digest), digest.to_string()),
            ];
            for (resource, address, argument) in made {
                let path = address.split('?').next().unwrap();
                let found = locations.match_path(path).unwrap();
                prop_assert_eq!(found.resource, resource);
                prop_assert_eq!(found.name, name.as_str());
                prop_assert_eq!(found.argument, argument);
            }
        }
    }
}
