//! The configuration: distribution's `config.yml` and `REGISTRY_*` variables, read, checked and typed.
//!
//! A file written for CNCF distribution starts Entrepot unchanged, or the start fails naming the key
//! and what to write instead. The way of a configuration:
//!
//! 1. `document` reads YAML into a tree that remembers lines;
//! 2. `overlay` lays `REGISTRY_*` variables over it, `reference` replaces `${env:..}` and `*_file`;
//! 3. `check` holds it against the one table of [`keys`]: unknown keys, kinds, bounds, what does not
//!    work yet; old names are moved and defaults filled in;
//! 4. the sections' own modules turn what was written into what is used ([`Config`]) and judge what
//!    no single key can tell.
//!
//! Refused here: reading the environment anywhere else in the workspace, and opening the files that
//! a configuration names, except those that hold a secret. No value of a secret is ever printed.

mod auth;
mod check;
mod content;
mod document;
mod duration;
mod explain;
mod health;
mod http;
pub mod keys;
mod listen;
mod listing;
mod log;
mod network;
mod overlay;
mod problem;
mod reference;
mod schema;
mod secret;
mod settle;
mod shape;
mod show;
mod size;
mod storage;
mod surroundings;
#[cfg(test)]
mod tests;
mod tls;
mod uploads;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use auth::Auth;
pub use content::{
    Catalog, Compat, IndexRules, ManifestValidation, Manifests, Platform, Platforms, References, Sizes, Tags,
    UnknownTypes, UrlRules, Validation,
};
pub use explain::explain;
pub use health::{FileCheck, Health, HttpCheck, StorageCheck, TcpCheck};
pub use http::{Cors, Debug, ForwardedHeaders, H2c, Http, Http2, Prometheus, Timeouts};
pub use listen::{Endpoint, Listen};
pub use listing::markdown as distribution_keys;
pub use log::{AccessLog, Formatter, Level, Log};
pub use network::Network;
pub use problem::{ConfigError, Origin, Problem};
pub use schema::document as json_schema;
pub use secret::Secret;
pub use show::yaml as show;
pub use storage::{
    Azure, AzureAccess, AzureCredentials, Backend, Cache, CacheKind, Cloudfront, ConditionalWrites, Delete,
    Filesystem, FilterBy, Gcs, GcsAccess, GcsHmac, GcsKey, GoogleCdn, Inmemory, Maintenance, Middleware,
    NetworkFilter, Readonly, Redirect, RedirectAction, RedirectRule, S3, S3Keys, Storage, StorageMiddleware,
    Tag, UploadPurging,
};
pub use surroundings::{Imagined, Process, Surroundings};
pub use tls::{CipherSuite, ClientAuth, Tls, TlsVersion};
pub use uploads::{Limits, Uploads};

use check::Findings;
use document::Node;
use settle::Settling;

/// Names the file to read when the command line names none.
const PATH_VARIABLE: &str = "REGISTRY_CONFIGURATION_PATH";

/// The configuration as it is used: complete, consistent, typed.
///
/// It serialises to the shape of the file that would bring it about, with secrets hidden. It is plain
/// data: cloning is cheap enough for start-up code and shares nothing.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// What is logged, and how.
    pub log: Log,
    /// Where data lies and how it is treated.
    pub storage: Storage,
    /// Upload sessions.
    pub uploads: Uploads,
    /// How much a client may send.
    pub limits: Limits,
    /// Who may use the registry.
    #[serde(skip_serializing_if = "Auth::is_unwritten")]
    pub auth: Auth,
    /// What is put around the store.
    #[serde(skip_serializing_if = "Middleware::is_empty")]
    pub middleware: Middleware,
    /// The server.
    pub http: Http,
    /// The list of repositories.
    pub catalog: Catalog,
    /// The list of tags.
    pub tags: Tags,
    /// What pushed manifests must fulfil.
    pub validation: Validation,
    /// How manifests are treated.
    pub manifests: Manifests,
    /// Concessions to old clients.
    pub compat: Compat,
    /// Periodic checks.
    pub health: Health,
}

/// What happens to keys nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leniency {
    /// They are errors.
    Strict,
    /// They are warnings.
    Lenient,
}

/// A configuration with what its owner should know about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is accepted and yet worth saying; to be shown at start.
    pub warnings: Vec<Problem>,
    /// The file it was read from; `None` means defaults and environment only.
    pub path: Option<PathBuf>,
}

/// The configuration as it was written: every key known and of the right kind, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "version")]
    _version: Option<String>,
    log: log::Written,
    storage: storage::Written,
    uploads: uploads::Written,
    limits: uploads::WrittenLimits,
    auth: auth::Written,
    middleware: storage::WrittenMiddleware,
    // Nothing in this works yet, so what is left of it is empty.
    #[serde(rename = "policy")]
    _policy: Json,
    http: http::Written,
    catalog: Catalog,
    tags: Tags,
    validation: content::WrittenValidation,
    manifests: Manifests,
    compat: Compat,
    health: health::Written,
}

/// Loads the configuration from `path`, else from the file that `REGISTRY_CONFIGURATION_PATH` names,
/// else from defaults; `REGISTRY_*` variables are laid over each of them.
///
/// Fails with every problem there is, not only the first. Reads the environment, the file and the
/// files that hold secrets, and touches nothing else.
pub fn load(
    path: Option<&Path>,
    leniency: Leniency,
    surroundings: &dyn Surroundings,
) -> Result<Loaded, ConfigError> {
    let path = path.map(Path::to_owned).or_else(|| path_from_environment(surroundings));
    let text = path.as_deref().map(|path| {
        surroundings.read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
    });
    let text = text.transpose()?;
    let source_name =
        path.as_deref().map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
    match read(text.as_deref(), leniency, surroundings) {
        Ok((config, warnings)) => Ok(Loaded { config, warnings, path }),
        Err(problems) => Err(ConfigError::Invalid { source_name, problems }),
    }
}

fn path_from_environment(surroundings: &dyn Surroundings) -> Option<PathBuf> {
    let variables = surroundings.variables();
    let found = variables.into_iter().find(|(name, value)| name == PATH_VARIABLE && !value.is_empty());
    found.map(|(_, value)| value.into())
}

type Readable = (Config, Vec<Problem>);

fn read(
    text: Option<&str>,
    leniency: Leniency,
    surroundings: &dyn Surroundings,
) -> Result<Readable, Vec<Problem>> {
    let mut findings = Findings::new(leniency);
    let mut tree = match text {
        Some(text) => document::parse(text).map_err(|problem| vec![problem])?,
        None => Node::empty_map(Origin::Unwritten),
    };
    if text.is_some() && tree.child("version").is_none_or(Node::is_blank) {
        let message = "the version of the format is missing; write `version: 0.1` at the top";
        findings.problems.push(Problem::new("version", Origin::Unwritten, message));
    }
    check::spell_out_choices(&mut tree);
    overlay::apply(&mut tree, surroundings.variables(), &mut findings);
    reference::expand(&mut tree, surroundings, &mut findings);
    check::follow_aliases(&mut tree, &mut findings);
    let values = check::check(&tree, &mut findings);
    if !findings.problems.is_empty() {
        return Err(findings.problems);
    }
    settle(Json::Object(values), &tree, findings.warnings)
}

fn settle(values: Json, tree: &Node, mut warnings: Vec<Problem>) -> Result<Readable, Vec<Problem>> {
    let written: Written = serde_json::from_value(values).map_err(|error| {
        vec![Problem::new(
            "",
            Origin::Unwritten,
            format!("the table of keys and the types disagree, which is a bug: {error}"),
        )]
    })?;
    let mut settling = Settling::new(tree);
    let config = written.settle(&mut settling);
    if !settling.problems.is_empty() {
        return Err(settling.problems);
    }
    warnings.append(&mut settling.warnings);
    Ok((config, warnings))
}

impl Written {
    fn settle(self, settling: &mut Settling<'_>) -> Config {
        let storage = self.storage.settle(settling);
        let http = self.http.settle(settling);
        let middleware = self.middleware.settle(settling);
        storage::check_rules(&storage.redirect, &middleware, &storage.backend, settling);
        Config {
            log: self.log.settle(),
            uploads: self.uploads.settle(&storage, settling),
            limits: self.limits.settle(),
            auth: self.auth.settle(&http, settling),
            middleware,
            catalog: self.catalog.settle(),
            tags: self.tags.settle(),
            validation: self.validation.settle(settling),
            manifests: self.manifests,
            compat: self.compat,
            health: self.health.settle(settling),
            storage,
            http,
        }
    }
}
