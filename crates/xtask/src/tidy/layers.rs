//! Who may depend on whom: the table of the crates, against `cargo metadata`.

use serde_json::Value;

use super::Finding;
use crate::workspace::{self, Source};

/// What a crate may use.
struct Layer {
    /// The package, without `entrepot-`; `driver-*` stands for every driver.
    name: &'static str,
    /// Crates of the workspace it may use. `*` is everything but `tests` and `xtask`.
    may_use: &'static [&'static str],
    /// Beginnings of other people's crates that have no business in it.
    never: &'static [&'static str],
}

const HTTP: &[&str] = &["actix", "axum", "http", "hyper", "reqwest", "ureq"];
const ASYNC: &[&str] = &["actix", "tokio", "async", "futures", "hyper"];
const DOMAIN_NEVER: &[&str] =
    &["actix", "axum", "http", "hyper", "reqwest", "ureq", "redis", "aws", "azure", "google"];

/// The table. A new line, or a longer one, is the largest kind of change there is.
const LAYERS: &[Layer] = &[
    Layer { name: "oci", may_use: &[], never: ASYNC },
    Layer { name: "storage", may_use: &[], never: HTTP },
    Layer { name: "driver-*", may_use: &["storage"], never: &["actix"] },
    Layer { name: "api", may_use: &["oci"], never: ASYNC },
    Layer { name: "auth", may_use: &["oci"], never: &["actix"] },
    Layer { name: "domain", may_use: &["oci", "storage"], never: DOMAIN_NEVER },
    Layer { name: "cache", may_use: &["oci", "domain"], never: HTTP },
    Layer {
        name: "frontend",
        may_use: &["oci", "api", "auth", "domain"],
        never: &["redis", "aws", "azure", "google"],
    },
    Layer { name: "telemetry", may_use: &[], never: &["actix"] },
    Layer { name: "registry", may_use: &["*"], never: &[] },
    Layer { name: "tests", may_use: &["*"], never: &[] },
    Layer { name: "xtask", may_use: &["*"], never: &[] },
];

/// Nobody may use these.
const LEAVES: &[&str] = &["tests", "xtask", "registry"];

/// Besides what a crate may use, its tests may use these: a store that forgets, and the contract it keeps.
/// The rest of the table holds for tests as well, so that no test hides a wrong direction.
const TESTS_MAY_USE: &[&str] = &["driver-memory", "storage"];

/// The layers without tests that need a store.
const WITHOUT_STORE: &[&str] = &["oci", "api", "telemetry", "auth"];

/// Breaches of the table, and packages whose name does not follow from their folder.
pub(super) fn findings(metadata: &Value, sources: &[Source]) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages.iter().flat_map(|package| judge(&Package::read(package), sources)).collect()
}

/// A package as far as the table is concerned.
struct Package {
    name: String,
    /// Its folder, from the top of the repository.
    folder: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    for_tests: bool,
}

impl Package {
    fn read(package: &Value) -> Self {
        let manifest = text(&package["manifest_path"]);
        let top = format!("{}/", workspace::root().display());
        let folder = manifest.strip_prefix(&top).unwrap_or(manifest).trim_end_matches("/Cargo.toml");
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let read = |dependency: &Value| Dependency {
            name: text(&dependency["name"]).to_owned(),
            for_tests: dependency["kind"] == "dev",
        };
        Self {
            name: text(&package["name"]).to_owned(),
            folder: folder.to_owned(),
            dependencies: dependencies.iter().map(read).collect(),
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn judge(package: &Package, sources: &[Source]) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", package.folder);
    let at = |word: &str| line_of(sources, &manifest, word);
    let expected = expected_name(&package.folder);
    if package.name != expected {
        let reason = format!("a package in {} is named {expected}", package.folder);
        return vec![Finding::new(&manifest, at("name"), reason)];
    }
    let short = package.name.trim_start_matches("entrepot-");
    let Some(layer) = layer(short) else {
        let reason = format!("{short} is not in the table of layers (crates/xtask/src/tidy/layers.rs)");
        return vec![Finding::new(&manifest, at("name"), reason)];
    };
    let breaches = package.dependencies.iter().filter_map(|dependency| {
        let reason = breach(layer, short, dependency)?;
        Some(Finding::new(&manifest, at(&dependency.name), reason))
    });
    breaches.collect()
}

fn expected_name(folder: &str) -> String {
    match folder.split_once('/') {
        Some(("drivers", driver)) => format!("entrepot-driver-{driver}"),
        Some((_, name)) => format!("entrepot-{name}"),
        None => format!("entrepot-{folder}"),
    }
}

fn layer(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| match layer.name.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => layer.name == name,
    })
}

/// Why a crate of this layer may not have this dependency, if it may not.
fn breach(layer: &Layer, name: &str, dependency: &Dependency) -> Option<String> {
    let Some(used) = dependency.name.strip_prefix("entrepot-") else {
        let forbidden =
            !dependency.for_tests && layer.never.iter().any(|word| dependency.name.starts_with(word));
        return forbidden.then(|| format!("{name} must not know {}", dependency.name));
    };
    // A crate's tests may ask for a feature of the crate itself.
    if dependency.for_tests && used == name {
        return None;
    }
    if LEAVES.contains(&used) {
        return Some(format!("{used} is not to be depended on"));
    }
    let for_tests =
        dependency.for_tests && !WITHOUT_STORE.contains(&layer.name) && TESTS_MAY_USE.contains(&used);
    let allowed = layer.may_use.contains(&"*") || layer.may_use.contains(&used) || for_tests;
    (!allowed).then(|| match layer.may_use {
        [] => format!("{name} uses {used}, and may use no other crate of the workspace"),
        some => format!("{name} uses {used}, and may use only {}", some.join(", ")),
    })
}

/// The line of `path` that begins with `word`, or 1.
fn line_of(sources: &[Source], path: &str, word: &str) -> usize {
    let source = sources.iter().find(|source| source.path == path);
    let found = source.and_then(|source| source.text.lines().position(|line| line.starts_with(word)));
    found.map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The findings about one package in `folder` with these dependencies.
    fn judged(folder: &str, name: &str, dependencies: Value) -> Vec<String> {
        let manifest = workspace::root().join(folder).join("Cargo.toml");
        let metadata = json!({"packages": [
            {"name": name, "manifest_path": manifest, "dependencies": dependencies}
        ]});
        findings(&metadata, &[]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_driver_may_use_the_storage_contract_and_nothing_else() {
        let allowed =
            judged("drivers/s3", "entrepot-driver-s3", json!([{"name": "entrepot-storage", "kind": null}]));
        let refused =
            judged("drivers/s3", "entrepot-driver-s3", json!([{"name": "entrepot-oci", "kind": null}]));

        assert!(allowed.is_empty(), "{allowed:?}");
        assert_eq!(refused, ["drivers/s3/Cargo.toml:1: driver-s3 uses oci, and may use only storage"]);
    }

    #[test]
    fn no_driver_may_use_another_even_in_its_tests_unless_it_is_memory() {
        let dependencies = json!([
            {"name": "entrepot-driver-memory", "kind": "dev"}, {"name": "entrepot-driver-filesystem", "kind": "dev"}
        ]);

        let found = judged("drivers/s3", "entrepot-driver-s3", dependencies);

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("driver-filesystem"), "{found:?}");
    }

    #[test]
    fn the_tests_of_a_crate_may_ask_for_a_feature_of_it() {
        let itself = json!([{"name": "entrepot-driver-gcs", "kind": "dev"}]);

        assert!(judged("drivers/gcs", "entrepot-driver-gcs", itself).is_empty());
    }

    #[test]
    fn the_domain_may_not_know_the_web_framework() {
        let found = judged("crates/domain", "entrepot-domain", json!([{"name": "actix-web", "kind": null}]));

        assert_eq!(found, ["crates/domain/Cargo.toml:1: domain must not know actix-web"]);
    }

    #[test]
    fn nobody_may_depend_on_the_tests() {
        let found = judged(
            "crates/registry",
            "entrepot-registry",
            json!([{"name": "entrepot-tests", "kind": "dev"}]),
        );

        assert_eq!(found, ["crates/registry/Cargo.toml:1: tests is not to be depended on"]);
    }

    #[test]
    fn a_package_is_named_for_its_folder() {
        let found = judged("drivers/s3", "entrepot-s3", json!([]));

        assert_eq!(found, ["drivers/s3/Cargo.toml:1: a package in drivers/s3 is named entrepot-driver-s3"]);
    }

    #[test]
    fn a_crate_nobody_put_into_the_table_is_reported() {
        let found = judged("crates/extra", "entrepot-extra", json!([]));

        assert!(found[0].contains("not in the table"), "{found:?}");
    }
}
