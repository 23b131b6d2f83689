//! Rules a manifest has to satisfy besides the specification.

use std::collections::BTreeMap;

use entrepot_oci::MediaType;
use entrepot_oci::manifest::{self, Kind, Manifest, Referenced};

use crate::config::{IndexPlatforms, ManifestRules};
use crate::error::{Error, Result};

/// Reads a manifest. One of an unknown type is taken as it is where the rules say so; formats the field
/// has given up are refused all the same.
pub(crate) fn read(
    rules: &ManifestRules,
    content_type: Option<&MediaType>,
    bytes: &[u8],
) -> Result<Manifest> {
    match content_type {
        Some(unknown)
            if rules.store_unknown_types
                && !manifest::is_manifest_type(unknown)
                && !manifest::is_retired(unknown) =>
        {
            Ok(Manifest {
                media_type: unknown.clone(),
                kind: Kind::Image,
                references: Vec::new(),
                subject: None,
                artifact_type: None,
                annotations: BTreeMap::new(),
            })
        }
        known => Ok(manifest::parse(known, bytes)?),
    }
}

/// Refuses urls the configuration does not allow. The registry itself never fetches one.
pub(crate) fn check_urls(rules: &ManifestRules, manifest: &Manifest) -> Result<()> {
    for url in manifest.references.iter().flat_map(|reference| &reference.urls) {
        let web = url.starts_with("https://") || url.starts_with("http://");
        let allowed = rules.urls_allow.iter().any(|pattern| (pattern.0)(url));
        let denied = rules.urls_deny.iter().any(|pattern| (pattern.0)(url));
        if !web || url.contains('#') || !allowed || denied {
            let shown: String = url.chars().take(128).collect();
            return Err(Error::ManifestRefused(format!(
                "url {shown:?} is not allowed (validation.manifests.urls)"
            )));
        }
    }
    Ok(())
}

/// Whether the repository must hold what `reference` names.
pub(crate) fn must_exist(rules: &ManifestRules, reference: &Referenced, in_index: bool) -> bool {
    if !reference.role.must_exist() {
        return false;
    }
    if !in_index {
        return !rules.allow_sparse_images;
    }
    match (&rules.index_platforms, &reference.platform) {
        (IndexPlatforms::All, _) => true,
        (IndexPlatforms::None, _) => false,
        // An entry for no platform in particular cannot be left out by naming platforms.
        (IndexPlatforms::List(_), None) => true,
        (IndexPlatforms::List(wanted), Some(platform)) => wanted
            .iter()
            .any(|(os, architecture)| *os == platform.os && *architecture == platform.architecture),
    }
}

/// The deepest nesting of indexes that is accepted.
pub(crate) const fn max_depth(rules: &ManifestRules) -> u32 {
    if rules.max_index_depth == 0 { 8 } else { rules.max_index_depth as u32 }
}
