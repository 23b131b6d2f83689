//! Before the first request: whether the store keeps what the registry rests on.
//!
//! Each record changes by compare-and-swap, so a store that ignores the condition of a write loses
//! pushes without a word: two replicas both believe to have won. It is found out at start and not
//! served. A directory and memory are not tried: the one tried itself when it was opened, and the other
//! is ours.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use entrepot_domain::layout;
use entrepot_domain::ports::{Entropy, System};
use entrepot_storage::decorate::Alone;
use entrepot_storage::probe::{self, Check, ClockOffset, Outcome, Promise, Report};
use entrepot_storage::{SharedDriver, StorageDriverExt};

use crate::config::{self, ConditionalWrites};

/// What helps with an S3 that takes a quoted ETag for another version.
const BARE_ETAGS: &str = ", or, on Ceph and DigitalOcean Spaces, write `storage.s3.bareetags: true`";

/// Drivers whose stores need no trial.
const KNOWN: [&str; 2] = ["filesystem", "memory"];

/// What several processes on one store rest on.
pub const SHARED: [Promise; 6] = [
    Promise::CreateOnce,
    Promise::ReplaceUnchanged,
    Promise::OneWinner,
    Promise::ReadAfterWrite,
    Promise::ListAfterWrite,
    Promise::PartsByTag,
];

/// How long to wait for a store that cannot be reached, from try to try. A store that starts together
/// with the registry gets half a minute; after that the process ends, and whoever runs it starts it again.
const PATIENCE: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// From here on stores refuse signed requests sooner or later (S3 at fifteen minutes).
pub const GRAVE_OFFSET: Duration = Duration::from_secs(5 * 60);

/// Why a store is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It breaks a promise.
    #[error(
        "storage: {store} does not keep what several replicas rest on: {broken}. Use a store or a release of it \
         that does{hint}; or write `storage.conditionalwrites: assume-single-replica` and never run more than one \
         process of this registry"
    )]
    Unfit {
        /// The store.
        store: String,
        /// The promises and what happened instead.
        broken: String,
        /// What may help with this store.
        hint: &'static str,
    },
    /// It has directories.
    #[error(
        "storage: {store} lists directories among objects, which no setting helps against: tags and catalog would be \
         wrong. On Azure use a storage account without a hierarchical namespace; it cannot be switched off, so take a \
         new account"
    )]
    Directories {
        /// The store.
        store: String,
    },
    /// It could not be tried.
    #[error(
        "storage.{driver}: the store cannot be used: {reason}. Check its address, credentials and permissions \
         below `storage.{driver}`; `entrepot doctor` tells more"
    )]
    Unreachable {
        /// The driver, which is its section's name as well.
        driver: &'static str,
        /// What went wrong at the last try.
        reason: String,
    },
}

/// Tries `store` unless it is known, and answers it as it is to be used.
///
/// A registry that is read-only writes no probes, so its store is believed. Takes as long as
/// [`probe::QUICK_DEADLINE`] and, where the store cannot be reached, half a minute of waiting.
pub async fn admit(config: &config::Storage, store: SharedDriver) -> Result<SharedDriver, Refusal> {
    if KNOWN.contains(&store.name()) {
        return Ok(store);
    }
    if config.maintenance.readonly.enabled {
        tracing::info!("the registry is read-only: what the store keeps of its promises is not tried");
        return Ok(store);
    }
    let report = report(&store).await?;
    tell_the_time(&report);
    judge(config.conditional_writes, &report, store)
}

/// A prefix of the store nobody else uses.
pub fn probe_prefix() -> String {
    layout::probe(&probe_random())
}

/// What makes the keys of a probe its own.
pub fn probe_random() -> String {
    let mut random = [0; 8];
    System.fill(&mut random);
    format!("{:016x}", u64::from_be_bytes(random))
}

/// Tries until everything that matters is known, as long as that is worth hoping for.
async fn report(store: &SharedDriver) -> Result<Report, Refusal> {
    let mut patience = PATIENCE.iter();
    loop {
        let doubt = match attempt(store).await {
            Ok(report) => return Ok(report),
            Err(doubt) => doubt,
        };
        match patience.next() {
            Some(pause) if doubt.may_pass => {
                tracing::warn!(
                    reason = doubt.reason,
                    seconds = pause.as_secs(),
                    "the store cannot be used yet; trying again"
                );
                tokio::time::sleep(*pause).await;
            }
            _ => return Err(Refusal::Unreachable { driver: store.name(), reason: doubt.reason }),
        }
    }
}

struct Doubt {
    reason: String,
    may_pass: bool,
}

async fn attempt(store: &SharedDriver) -> Result<Report, Doubt> {
    // One read first: it tells a store that is away from one that refuses us, which waiting cures not.
    store
        .stat_if_present(&layout::layout())
        .await
        .map_err(|error| Doubt { reason: error.to_string(), may_pass: error.is_retryable() })?;
    let report = probe::at_start(store, &probe_prefix(), SystemTime::now).await;
    let unknown = report.unknown(&SHARED).next();
    let doubt = unknown.map(|check| format!("{}: {}", check.promise.name(), check.outcome));
    match doubt {
        None => Ok(report),
        Some(reason) => Err(Doubt { reason, may_pass: true }),
    }
}

fn tell_the_time(report: &Report) {
    match report.clock {
        Some(offset) if offset.size() > GRAVE_OFFSET => tracing::error!(
            "{offset}; the store may refuse signed requests, and expiry is off by as much: set the clock of \
             this machine by a time service"
        ),
        Some(offset) if offset.size() > ClockOffset::TOLERABLE => {
            tracing::warn!("{offset}: set the clock of this machine by a time service");
        }
        _ => {}
    }
}

fn judge(wanted: ConditionalWrites, report: &Report, store: SharedDriver) -> Result<SharedDriver, Refusal> {
    if lists_directories(report) {
        return Err(Refusal::Directories { store: store.to_string() });
    }
    let broken: Vec<String> =
        report.broken(&SHARED).map(|check| format!("{} {}", check.promise.name(), check.outcome)).collect();
    match (broken.is_empty(), wanted) {
        (true, ConditionalWrites::Required) => Ok(store),
        (true, ConditionalWrites::AssumeSingleReplica) => {
            tracing::info!(
                "the store honours conditional writes; `storage.conditionalwrites: assume-single-replica` is \
                 not needed and has no effect"
            );
            Ok(store)
        }
        (false, ConditionalWrites::Required) => {
            let hint = if refuses_quotes(store.name(), report) { BARE_ETAGS } else { "" };
            Err(Refusal::Unfit { store: store.to_string(), broken: broken.join("; "), hint })
        }
        (false, ConditionalWrites::AssumeSingleReplica) => {
            tracing::warn!(
                broken = broken.join("; "),
                "this store must have one process only, as `storage.conditionalwrites` says: a second one, \
                 even during an update, loses images"
            );
            Ok(Arc::new(Alone::new(store)))
        }
    }
}

/// Whether the store is no flat one. That one process is alone with it does not mend this.
fn lists_directories(report: &Report) -> bool {
    let listed = |check: &Check| check.outcome == Outcome::Broken(probe::DIRECTORIES_LISTED.to_owned());
    report.broken(&[Promise::ListAfterWrite]).any(listed)
}

/// Whether a store of this driver looks like one of those that compare an ETag with its quotes: it refuses a put
/// over the version that is there.
fn refuses_quotes(driver: &str, report: &Report) -> bool {
    let refused = |check: &Check| check.outcome == Outcome::Broken(probe::PRESENT_REFUSED.to_owned());
    driver == "s3" && report.broken(&[Promise::ReplaceUnchanged]).any(refused)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use entrepot_driver_memory::{Flaw, Flawed, MemoryDriver};
    use entrepot_storage::decorate::{Effect, Fault, Operation, Rule};
    use entrepot_storage::{ErrorKind, PutMode};

    use super::*;
    use crate::config::{Imagined, Leniency};

    fn storage(text: &str) -> config::Storage {
        let files = Imagined::nothing()
            .file("/a.yml", &format!("version: 0.1\nstorage: {{inmemory: {{}}, {text}}}\n"));
        config::load(Some("/a.yml".as_ref()), Leniency::Strict, &files).expect("valid").config.storage
    }

    /// With a clock that jumps ahead whenever everybody waits.
    fn admitted(text: &str, store: SharedDriver) -> Result<SharedDriver, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(admit(&storage(text), store))
    }

    fn careless() -> (MemoryDriver, SharedDriver) {
        let memory = MemoryDriver::new();
        (memory.clone(), Flawed::shared(memory, Flaw::IgnoresConditions))
    }

    #[test]
    fn a_store_that_ignores_conditions_is_refused_with_the_key_that_allows_it() {
        let (memory, store) = careless();

        let message = admitted("", store).expect_err("refused").to_string();

        assert!(message.contains("a put-if-absent over an object is answered with success"), "{message}");
        assert!(message.contains("storage.conditionalwrites: assume-single-replica"), "{message}");
        assert_eq!(memory.keys(), [], "nothing is left");
    }

    #[test]
    fn the_setting_for_bare_etags_is_named_where_it_may_help() {
        let report = |flaw| {
            let store = Flawed::shared(MemoryDriver::new(), flaw);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(probe::at_start(&store, "probe/1/", SystemTime::now))
        };

        let (refused, ignored) = (report(Flaw::RefusesIfMatch), report(Flaw::IgnoresIfMatch));

        assert!(refuses_quotes("s3", &refused));
        assert!(!refuses_quotes("azure", &refused));
        assert!(!refuses_quotes("s3", &ignored));
    }

    #[test]
    fn a_store_with_directories_is_refused_to_a_process_that_is_alone_too() {
        for text in ["", "conditionalwrites: assume-single-replica"] {
            let store = Flawed::shared(MemoryDriver::new(), Flaw::ListsDirectories);

            let message = admitted(text, store).expect_err("refused").to_string();

            assert!(message.contains("without a hierarchical namespace"), "{message}");
        }
    }

    #[test]
    fn a_process_that_is_alone_keeps_the_conditions_itself() {
        let (_, store) = careless();
        let admitted = admitted("conditionalwrites: assume-single-replica", store).expect("served");
        let key = layout::layout();
        let create = || admitted.put(&key, Bytes::from_static(b"x"), PutMode::IfAbsent);

        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (first, second) = runtime.block_on(async { (create().await, create().await) });

        assert!(first.is_ok());
        assert_eq!(second.expect_err("there is one").kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_read_only_registry_writes_no_probes() {
        let (memory, store) = careless();
        let fault = Fault::new(store, "registry", 1);
        let controls = fault.controls();
        controls.add(Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: false })));

        let served = admitted("maintenance: {readonly: {enabled: true}}", Arc::new(fault));

        assert!(served.is_ok());
        assert_eq!((controls.struck(), memory.keys()), (0, vec![]));
    }

    #[test]
    fn a_store_that_comes_up_late_is_waited_for() {
        let fault =
            Fault::new(Flawed::shared(MemoryDriver::new(), Flaw::ClockAhead(Duration::ZERO)), "registry", 1);
        let controls = fault.controls();
        let away = Effect::FailBefore(ErrorKind::Backend { retryable: true });
        controls.add(Rule::new(away).on(Operation::Stat).times(3));

        assert!(admitted("", Arc::new(fault)).is_ok());
        assert_eq!(controls.struck(), 3);
    }

    #[test]
    fn a_store_that_stays_away_ends_the_start_naming_its_section() {
        let fault = Fault::new(Flawed::shared(MemoryDriver::new(), Flaw::IgnoresConditions), "registry", 1);
        fault.controls().add(Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: true })));

        let message = admitted("", Arc::new(fault)).expect_err("refused").to_string();

        assert!(message.starts_with("storage.flawed: the store cannot be used: store failure"), "{message}");
        assert!(message.contains("entrepot doctor"), "{message}");
    }

    #[test]
    fn a_store_that_refuses_us_is_not_waited_for() {
        let fault = Fault::new(Flawed::shared(MemoryDriver::new(), Flaw::IgnoresConditions), "registry", 1);
        let controls = fault.controls();
        controls.add(Rule::new(Effect::FailBefore(ErrorKind::Backend { retryable: false })));

        assert!(matches!(admitted("", Arc::new(fault)), Err(Refusal::Unreachable { .. })));
        assert_eq!(controls.struck(), 1);
    }
}
