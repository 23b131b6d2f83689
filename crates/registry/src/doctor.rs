//! What `entrepot doctor` finds out: the store, what it keeps of its promises, what lies in it, and what
//! to do about each.
//!
//! It looks where `serve` would look, tells what `serve` would refuse, and more, because it has the time.
//! It writes below a prefix of its own and removes that again; with a read-only configuration it
//! writes nothing.

mod promises;
mod urls;

use std::sync::Arc;

use entrepot_domain::maintenance;
use entrepot_storage::{Capabilities, Finding, Inspection, Severity, SharedDriver};
use entrepot_telemetry::Metrics;

use crate::assemble::AssemblyError;
use crate::config::{self, Backend, ConditionalWrites, Config, Loaded};
use crate::{assemble, stores};

/// Findings that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// In the order in which they should be read.
    pub findings: Vec<Finding>,
}

/// Everything that was found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// In the order in which they should be read.
    pub groups: Vec<Group>,
}

impl Diagnosis {
    /// How many findings are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        let findings = self.groups.iter().flat_map(|group| &group.findings);
        findings.filter(|finding| finding.severity == severity).count()
    }

    fn add(&mut self, title: &'static str, findings: Vec<Finding>) {
        if !findings.is_empty() {
            self.groups.push(Group { title, findings });
        }
    }
}

/// As [`examine`], on a runtime of its own.
pub fn run(loaded: &Loaded) -> Diagnosis {
    actix_rt::System::new().block_on(examine(loaded))
}

/// Examines the configured store. Takes up to some minutes where the store is slow; what could not be
/// done is a finding.
pub async fn examine(loaded: &Loaded) -> Diagnosis {
    let config = &loaded.config;
    let mut diagnosis = Diagnosis::default();
    diagnosis.add("configuration", configuration(loaded));
    let opened = match stores::open(&config.storage.backend, &config::Process).await {
        Ok(opened) => opened,
        Err(error) => {
            let remedy = "correct what it names below `storage`";
            diagnosis.add("store", vec![Finding::fault("opening it", error.to_string(), remedy)]);
            return diagnosis;
        }
    };
    let store = handle(opened.driver);
    let mut inspected = vec![Finding::note("driver", store.name())];
    inspected.extend(abilities(store.capabilities(), &config.uploads));
    let writes = !config.storage.maintenance.readonly.enabled;
    let uploads_rest = config.storage.maintenance.upload_purging.age;
    let allowed = Inspection { writes, redirects: redirects(&config.storage), uploads_rest };
    if !writes {
        let state = "not tried, because the configuration is read-only";
        inspected.push(Finding::unknown(
            "permissions",
            state,
            "run this with a configuration that may write",
        ));
    }
    inspected.extend((opened.inspect)(allowed).await);
    diagnosis.add("store", inspected);
    let (content, is_reachable) = content(config, &store).await;
    diagnosis.add("content", content);
    if is_reachable {
        diagnosis.add("promises of the store", promises(config, &store).await);
        diagnosis.add("redirects", urls::examine(config, &store).await);
    }
    diagnosis
}

fn configuration(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let source = loaded
        .path
        .as_deref()
        .map_or_else(|| "defaults and environment".to_owned(), |path| path.display().to_string());
    let mut findings = vec![Finding::note("source", source)];
    findings.extend(
        loaded
            .warnings
            .iter()
            .map(|warning| Finding::warning("warning", warning.to_string(), "correct the configuration")),
    );
    if config.storage.maintenance.readonly.enabled {
        findings.push(Finding::note("read-only", "nothing is written, here neither"));
    }
    if config.storage.conditional_writes == ConditionalWrites::AssumeSingleReplica {
        findings.push(Finding::note(
            "storage.conditionalwrites",
            "assume-single-replica: exactly one process may run, at updates too",
        ));
    }
    findings
}

/// What the driver declares, in the words of whoever plans with it.
fn abilities(declared: &Capabilities, uploads: &config::Uploads) -> Vec<Finding> {
    const MIB: u64 = 1 << 20;
    let largest = declared.max_part.saturating_mul(u64::from(declared.max_parts)) >> 40;
    // More than a thousand times that is a number nobody reads.
    let largest = if largest > 1024 { "of any size".to_owned() } else { format!("up to {largest} TiB") };
    let size = uploads.part_size.unwrap_or(declared.preferred_part).div_ceil(MIB);
    let parallel = declared.parallel_parts.min(entrepot_domain::Config::default().parts_in_flight);
    let uploads = format!("parts of {size} MiB, {parallel} at once; blobs {largest}");
    vec![Finding::note("uploads", uploads)]
}

/// The layout, and the keys that sign uploads. Answers as well whether the store can be read at all.
async fn content(config: &Config, store: &SharedDriver) -> (Vec<Finding>, bool) {
    const LAYOUT: &str = "layout";
    let mut findings = Vec::new();
    match maintenance::find_layout(store).await {
        Ok(Some(layout)) => findings.push(Finding::note(LAYOUT, format!("version {}", layout.version))),
        Ok(None) => findings.push(without_layout(store).await),
        Err(entrepot_domain::Error::Store(error)) => {
            let remedy = "check address, credentials and permissions of the store";
            findings.push(Finding::fault("reading", error.to_string(), remedy));
            return (findings, false);
        }
        Err(error) => {
            let remedy = "nothing is served before this is settled";
            findings.push(Finding::fault(LAYOUT, error.to_string(), remedy));
        }
    }
    findings.push(signing_keys(config, store).await);
    (findings, true)
}

async fn without_layout(store: &SharedDriver) -> Finding {
    match store.list("", None, 1).await {
        Ok(page) if page.objects.is_empty() => {
            Finding::note("layout", "the store is empty; the first start writes layout.json")
        }
        Ok(_) => Finding::warning(
            "layout",
            "there is no layout.json, yet the store is not empty",
            "if this store held images of Entrepot, bring layout.json back from a backup; if it is somebody \
             else's, give the registry a place of its own",
        ),
        Err(error) => Finding::fault(
            "listing",
            error.to_string(),
            "grant the permission to list: tags, catalog and deletion need it",
        ),
    }
}

async fn signing_keys(config: &Config, store: &SharedDriver) -> Finding {
    const SUBJECT: &str = "http.secret";
    match config.http.secrets.len() {
        0 => match maintenance::keeps_token_key(store).await {
            Ok(true) => Finding::note(SUBJECT, "not set; all replicas share the key in secret.json"),
            Ok(false) => Finding::note(SUBJECT, "not set; the first start writes one to secret.json"),
            Err(error) => {
                Finding::fault(SUBJECT, error.to_string(), "grant the permission to read secret.json")
            }
        },
        1 => Finding::note(SUBJECT, "set; all replicas must have the same"),
        count => Finding::note(SUBJECT, format!("{count} are set, the first signs")),
    }
}

async fn promises(config: &Config, store: &SharedDriver) -> Vec<Finding> {
    if config.storage.maintenance.readonly.enabled {
        let state = "not run, because the configuration is read-only";
        return vec![Finding::unknown("probe", state, "run this with a configuration that may write")];
    }
    match second_handle(config, store).await {
        Ok(second) => promises::examine(config.storage.conditional_writes, store, &second).await,
        Err(error) => {
            let remedy = "it could be opened a moment ago: look at the failure and run this again";
            vec![Finding::fault("opening it again", error.to_string(), remedy)]
        }
    }
}

/// What another replica would have: connections and caches of its own. Memory is in one process only.
async fn second_handle(config: &Config, store: &SharedDriver) -> Result<SharedDriver, AssemblyError> {
    match &config.storage.backend {
        Backend::Inmemory(_) => Ok(Arc::clone(store)),
        backend => Ok(handle(stores::open(backend, &config::Process).await?.driver)),
    }
}

fn handle(driver: SharedDriver) -> SharedDriver {
    assemble::decorate(driver, &Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"))))
}

/// Whether clients are sent to the store at all.
const fn redirects(storage: &config::Storage) -> bool {
    !storage.redirect.disable
}
