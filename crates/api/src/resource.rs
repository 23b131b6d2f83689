//! What paths name, and which methods each accepts.

use std::sync::LazyLock;

use crate::parameter::{self, Parameter};
use crate::{ENDPOINTS, Method};

macro_rules! resources {
    ($($(#[$doc:meta])+ $name:ident = $template:literal [$($parameter:ident),*];)+) => {
        /// What a path names. Several endpoints share one resource and differ in the method.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Resource {
            $($(#[$doc])+ $name,)+
        }

        impl Resource {
            /// Every resource, in the order of the reference.
            pub const ALL: &'static [Resource] = &[$(Resource::$name,)+];

            /// The path with its parameters in braces. `{name}` may contain slashes.
            pub const fn template(self) -> &'static str {
                match self {
                    $(Resource::$name => $template,)+
                }
            }

            /// The parameters of the template, in their order.
            pub const fn parameters(self) -> &'static [&'static Parameter] {
                match self {
                    $(Resource::$name => &[$(&parameter::$parameter,)*],)+
                }
            }
        }
    };
}

resources! {
    /// The base without its slash; leads to the base.
    BareBase = "/v2" [];
    /// The base: is this a registry, and am I let in?
    Base = "/v2/" [];
    /// A manifest, by tag or digest.
    Manifest = "/v2/{name}/manifests/{reference}" [NAME, REFERENCE];
    /// A blob.
    Blob = "/v2/{name}/blobs/{digest}" [NAME, DIGEST];
    /// The place where uploads begin.
    Uploads = "/v2/{name}/blobs/uploads/" [NAME];
    /// One upload session.
    Upload = "/v2/{name}/blobs/uploads/{session}" [NAME, SESSION];
    /// The tags of a repository.
    Tags = "/v2/{name}/tags/list" [NAME];
    /// The repositories of the registry.
    Catalog = "/v2/_catalog" [];
    /// The manifests that name a subject.
    Referrers = "/v2/{name}/referrers/{digest}" [NAME, DIGEST];
    /// The tags that name a manifest; an extension of this registry.
    ManifestTags = "/v2/{name}/_ext/manifests/{digest}/tags" [NAME, DIGEST];
}

impl Resource {
    /// The methods this resource accepts, `OPTIONS` last.
    pub fn methods(self) -> impl Iterator<Item = Method> {
        let accepts = move |method: &Method| {
            *method == Method::Options
                || ENDPOINTS.iter().any(|row| row.resource == self && row.methods.contains(method))
        };
        Method::ALL.into_iter().filter(accepts)
    }

    /// The value of `Allow`, as 405 and `OPTIONS` answers carry it.
    pub fn allow(self) -> &'static str {
        &ALLOW[self as usize]
    }
}

static ALLOW: LazyLock<Vec<String>> = LazyLock::new(|| {
    let value = |resource: &Resource| resource.methods().map(Method::as_str).collect::<Vec<_>>().join(", ");
    Resource::ALL.iter().map(value).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_names_exactly_the_listed_parameters() {
        for resource in Resource::ALL {
            let braces: Vec<_> = resource
                .template()
                .split('/')
                .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            let names: Vec<_> = resource.parameters().iter().map(|parameter| parameter.name).collect();
            assert_eq!(braces, names, "{resource:?}");
        }
    }

    #[test]
    fn allow_lists_the_methods_of_every_row_of_the_resource() {
        let allow: String =
            Resource::ALL.iter().map(|resource| format!("{resource:?}: {}\n", resource.allow())).collect();

        assert_eq!(
            allow,
            "BareBase: GET, HEAD, OPTIONS\n\
             Base: GET, HEAD, OPTIONS\n\
             Manifest: GET, HEAD, PUT, DELETE, OPTIONS\n\
             Blob: GET, HEAD, DELETE, OPTIONS\n\
             Uploads: POST, OPTIONS\n\
             Upload: GET, HEAD, PATCH, PUT, DELETE, OPTIONS\n\
             Tags: GET, HEAD, OPTIONS\n\
             Catalog: GET, HEAD, OPTIONS\n\
             Referrers: GET, HEAD, OPTIONS\n\
             ManifestTags: GET, HEAD, OPTIONS\n"
        );
    }
}
