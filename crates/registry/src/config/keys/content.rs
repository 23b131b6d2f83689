//! Rows of `catalog`, `tags`, `validation` and of how content is treated.

use super::{Key, Kind};

pub(super) const KEYS: &[Key] = &[
    Key::new("catalog", Kind::Section, "The list of repositories."),
    Key::new("catalog.maxentries", Kind::Count(0, 1_000_000), "The most repositories in one answer; clients that ask for more get 400. 0 means the default.")
        .default("1000")
        .example("500"),
    Key::new("tags", Kind::Section, "The list of tags."),
    Key::new("tags.maxtags", Kind::Count(0, 1_000_000), "The most tags in one answer; more are on the next page. 0 means the default.")
        .default("1000")
        .example("100"),
    Key::new("validation", Kind::Section, "What pushed manifests must fulfil, beyond being well-formed."),
    Key::new("validation.disabled", Kind::Flag, "Turns the other options of this section off: any URL is accepted, indexes may name manifests that are not there, sizes are not compared.")
        .default("false")
        .example("true"),
    Key::new("validation.enabled", Kind::Flag, "Old; true wins over `validation.disabled`.")
        .default("false")
        .example("true"),
    Key::new("validation.manifests", Kind::Section, "Options for manifests."),
    Key::new("validation.manifests.urls", Kind::Section, "URLs inside manifests, as foreign layers have them."),
    Key::new("validation.manifests.urls.allow", Kind::Texts, "Regular expressions of which a URL must match one. Without any, manifests with URLs are refused.")
        .example(r"['^https?://([^/]+\.)*example\.com/']"),
    Key::new("validation.manifests.urls.deny", Kind::Texts, "Regular expressions that no URL may match.")
        .example(r"['^https?://www\.example\.com/']"),
    Key::new("validation.manifests.indexes", Kind::Section, "What an index may leave out."),
    Key::new("validation.manifests.indexes.platforms", Kind::OneOf(&["all", "none", "list"]), "Which manifests of an index must be there when it is pushed: all, none, or those of the platforms listed.")
        .default("all")
        .example("none"),
    Key::new("validation.manifests.indexes.platformlist", Kind::Items, "The platforms whose manifests must be there, for `platforms: list`."),
    Key::new("validation.manifests.indexes.platformlist[].architecture", Kind::Text, "The architecture.")
        .required()
        .example("amd64"),
    Key::new("validation.manifests.indexes.platformlist[].os", Kind::Text, "The operating system.")
        .required()
        .example("linux"),
    Key::new("validation.manifests.references", Kind::OneOf(&["check", "ignore"]), "Whether the config and layers of an image must be in the repository before the image is. With `ignore` sparse images are accepted, and images can break by mistake.")
        .default("check")
        .example("ignore")
        .ours(),
    Key::new("validation.manifests.sizes", Kind::OneOf(&["check", "ignore"]), "Whether the sizes in a manifest are compared with what is stored.")
        .default("check")
        .example("ignore")
        .ours(),
    Key::new("manifests", Kind::Section, "How manifests are treated.").ours(),
    Key::new("manifests.unknown_types", Kind::OneOf(&["reject", "store"]), "What happens to manifests of unknown media types: refused, or stored as they are without looking into them.")
        .default("reject")
        .example("store")
        .ours(),
    Key::new("compat", Kind::Section, "Concessions to old clients.").ours(),
    Key::new("compat.manifest_list_downgrade", Kind::Flag, "Answers clients that do not accept Docker manifest lists with the linux/amd64 manifest, as distribution does.")
        .default("false")
        .example("true")
        .ours(),
];
