//! What the probe found out, with what follows from it.

use std::time::{Duration, SystemTime};

use entrepot_domain::layout;
use entrepot_storage::probe::{self, Check, ClockOffset, Outcome, Promise, Report};
use entrepot_storage::{Finding, Key, ObjectMeta, Severity, SharedDriver};

use crate::config::ConditionalWrites;
use crate::trial;

/// A probe that began so long ago has ended, well or by being killed.
const OLD: Duration = Duration::from_secs(3600);
/// The most leftovers removed at a time; the next examination removes more.
const MOST_LEFTOVERS: usize = 1000;

/// `second` is another handle on the same store, or the same where the store lives in this process.
pub(super) async fn examine(
    policy: ConditionalWrites,
    store: &SharedDriver,
    second: &SharedDriver,
) -> Vec<Finding> {
    let report = probe::across([store, second], &trial::probe_prefix(), SystemTime::now).await;
    let mut findings: Vec<Finding> =
        report.checks.iter().map(|check| finding(policy, &report, check)).collect();
    if report.is_cut_short {
        let state = "the store is slow: what is rarely wrong was tried less often than was meant";
        findings.push(Finding::note("rounds", state));
    }
    findings.extend(remove_leftovers(store, SystemTime::now()).await);
    findings
}

/// Removes what probes left that were killed. Says nothing where there is nothing; a failure to list or
/// to delete was told by the probe itself.
async fn remove_leftovers(store: &SharedDriver, now: SystemTime) -> Option<Finding> {
    let page = store.list(layout::PROBES, None, MOST_LEFTOVERS).await.ok()?;
    let is_old = |meta: &ObjectMeta| meta.modified.is_some_and(|modified| modified + OLD < now);
    let old: Vec<Key> = page.objects.into_iter().filter(is_old).map(|meta| meta.key).collect();
    if old.is_empty() {
        return None;
    }
    let mut removed = 0;
    for keys in old.chunks(store.capabilities().delete_batch.max(1)) {
        removed += keys.len() - store.delete_many(keys).await.map_or(keys.len(), |failed| failed.len());
    }
    Some(Finding::note("leftovers", format!("{removed} objects of probes that were killed are removed")))
}

fn finding(policy: ConditionalWrites, report: &Report, check: &Check) -> Finding {
    let Check { promise, outcome } = check;
    let subject = promise.name();
    let severity = match outcome {
        Outcome::Holds => return Finding::note(subject, promise.sentence()),
        Outcome::Undeclared => return Finding::note(subject, outcome.to_string()),
        Outcome::Broken(what) if what == probe::DIRECTORIES_LISTED => Severity::Fault,
        Outcome::Broken(_) => severity(policy, *promise, report.clock),
        Outcome::Unknown(_) if trial::SHARED.contains(promise) => Severity::Fault,
        Outcome::Unknown(_) => Severity::Warning,
    };
    let remedy = match outcome {
        Outcome::Unknown(_) => "look at the failure; it may be a missing permission",
        Outcome::Broken(what) if what == probe::PRESENT_REFUSED => {
            "on Ceph and DigitalOcean Spaces write `storage.s3.bareetags: true`; else use a release of the store \
             that honours conditional writes"
        }
        Outcome::Broken(what) if what == probe::DIRECTORIES_LISTED => {
            "on Azure use a storage account without a hierarchical namespace; it cannot be switched off, so take a new \
             account"
        }
        _ => remedy(*promise),
    };
    Finding { severity, subject: subject.into(), state: outcome.to_string(), remedy: remedy.into() }
}

fn severity(policy: ConditionalWrites, promise: Promise, clock: Option<ClockOffset>) -> Severity {
    match promise {
        Promise::CreateOnce
        | Promise::ReplaceUnchanged
        | Promise::OneWinner
        | Promise::ReadAfterWrite
        | Promise::ListAfterWrite
        | Promise::PartsByTag => match policy {
            ConditionalWrites::Required => Severity::Fault,
            ConditionalWrites::AssumeSingleReplica => Severity::Warning,
        },
        Promise::Clock => match clock {
            Some(offset) if offset.size() > trial::GRAVE_OFFSET => Severity::Fault,
            _ => Severity::Warning,
        },
        Promise::ListOrder | Promise::Ranges | Promise::PartsJoin | Promise::CompleteTwice => Severity::Fault,
        Promise::AbortFrees | Promise::ConditionalDelete | Promise::Presign | Promise::Deletes => {
            Severity::Warning
        }
    }
}

const fn remedy(promise: Promise) -> &'static str {
    match promise {
        Promise::CreateOnce | Promise::ReplaceUnchanged | Promise::OneWinner => {
            "use a store or a release of it that honours conditional writes; or write \
             `storage.conditionalwrites: assume-single-replica` and never run two processes"
        }
        Promise::ReadAfterWrite | Promise::ListAfterWrite => {
            "switch the store to strong consistency, and take caches from between; or write \
             `storage.conditionalwrites: assume-single-replica` and never run two processes"
        }
        Promise::Clock => "set the clocks by a time service, of this machine first",
        Promise::ListOrder | Promise::Ranges | Promise::PartsJoin | Promise::PartsByTag => {
            "use another store, or another release of it: images would be shown or stored wrongly"
        }
        Promise::CompleteTwice => {
            "use another release of the store: a push with a lost answer cannot be repeated"
        }
        Promise::AbortFrees => {
            "give the store a rule that removes unfinished uploads, a week after they began or after \
             `storage.maintenance.uploadpurging.age` if that is longer"
        }
        Promise::ConditionalDelete => {
            "the records of ended uploads stay, a few hundred bytes for each that came by PATCH; use a newer \
             release of the store"
        }
        Promise::Presign => "write `storage.redirect.disable: true`, or use credentials that can sign",
        Promise::Deletes => "grant the permission to delete, and remove what lies below probe/",
    }
}

#[cfg(test)]
mod tests {
    use entrepot_driver_memory::{Flaw, Flawed, MemoryDriver};

    use super::*;

    fn examined(flaw: Flaw, policy: ConditionalWrites) -> Vec<Finding> {
        let store = Flawed::shared(MemoryDriver::new(), flaw);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(examine(policy, &store, &store))
    }

    fn faults(findings: &[Finding]) -> Vec<&str> {
        let faults = findings.iter().filter(|finding| finding.severity == Severity::Fault);
        faults.map(|finding| finding.subject.as_str()).collect()
    }

    #[test]
    fn every_fault_says_what_to_do() {
        let findings = examined(Flaw::IgnoresConditions, ConditionalWrites::Required);

        assert_eq!(faults(&findings), ["create once", "replace unchanged", "one winner of a race"]);
        assert!(
            findings
                .iter()
                .all(|finding| { finding.severity == Severity::Note || !finding.remedy.is_empty() })
        );
    }

    #[test]
    fn what_the_configuration_takes_on_itself_is_a_warning() {
        let findings = examined(Flaw::IgnoresConditions, ConditionalWrites::AssumeSingleReplica);

        assert_eq!(faults(&findings), [""; 0]);
    }

    #[test]
    fn directories_among_objects_are_a_fault_that_no_setting_mends() {
        let findings = examined(Flaw::ListsDirectories, ConditionalWrites::AssumeSingleReplica);

        assert_eq!(faults(&findings), ["order of listings"]);
        let order = findings.iter().find(|finding| finding.subject == "order of listings");
        assert!(order.is_some_and(|order| order.remedy.contains("hierarchical namespace")), "{order:?}");
    }

    #[test]
    fn a_condition_that_is_forgotten_once_in_a_while_is_a_fault() {
        let findings = examined(Flaw::ForgetsACondition(97), ConditionalWrites::Required);

        assert_eq!(faults(&findings), ["one winner of a race"]);
    }

    #[test]
    fn what_killed_probes_left_is_removed_and_running_ones_are_let_alone() {
        let memory = MemoryDriver::new();
        let keys = [layout::probe_object("1"), layout::layout()];
        keys.iter().for_each(|key| memory.plant(key, bytes::Bytes::from_static(b"x")));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let removed = |now| runtime.block_on(remove_leftovers(&memory.shared(), now));

        assert_eq!(removed(SystemTime::now()), None);
        assert_eq!(memory.keys().len(), 2);
        assert!(removed(SystemTime::now() + 2 * OLD).is_some());
        assert_eq!(memory.keys(), [layout::layout()]);
    }

    #[test]
    fn a_clock_is_warned_of_before_it_is_a_fault() {
        let ahead = |seconds| {
            let flaw = Flaw::ClockAhead(std::time::Duration::from_secs(seconds));
            examined(flaw, ConditionalWrites::Required)
        };

        assert_eq!(faults(&ahead(60)), [""; 0]);
        assert_eq!(faults(&ahead(3600)), ["clock"]);
    }
}
