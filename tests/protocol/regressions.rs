//! Schedules that broke a promise once, each written down.

use crate::machine::Op;
use crate::run::Scenario;
use crate::schedule::{Action, Line, Scheduler, Script};
use crate::step::{Ask, Ticket, Verdict};
use crate::words::Blob::A;
use crate::words::Label::T0;
use crate::words::Man::{A0, Rf};
use crate::words::Repo::{R0, R1};
use Line::{Kill, One, ToEnd, Until};
use Op::*;

fn survives(scenario: &Scenario, lines: Vec<Line>) {
    if let Err(failure) = scenario.prepare().run(&mut Script::new(lines)) {
        panic!("{failure}");
    }
}

/// Closing a session under the wrong digest freed its bytes before the session was dead: a second PUT,
/// under the right digest, published bytes that were gone.
#[test]
fn a_put_under_the_wrong_digest_frees_nothing_another_put_may_publish() {
    let scenario = Scenario::named("wrong digest")
        .before([Open(0, R0), Append(0, A, 0..11)])
        .process([FinishWrong(0, A)])
        .process([Finish(0, A, 0..0)]);

    survives(&scenario, vec![Until(0, Ask::Delete, "data/"), ToEnd(1), ToEnd(0)]);
    survives(&scenario, vec![Until(0, Ask::Put, "uploads/"), ToEnd(1), ToEnd(0)]);
}

/// A reaper stopped between the death of a session that was publishing and the fence. The orphan sweep
/// took a dead session for one that had published nothing, and freed the bytes without a fence under the
/// publisher's feet.
#[test]
fn bytes_of_a_session_that_died_publishing_are_fenced_by_whoever_frees_them() {
    let scenario = Scenario::named("unfenced sweep")
        .before([Open(0, R0), Append(0, A, 0..11)])
        .process([Finish(0, A, 0..0)])
        .process([Expire])
        .process([Expire]);

    survives(
        &scenario,
        vec![
            Until(0, Ask::Put, "blobs/"),
            Until(1, Ask::Put, "uploads/"),
            One(1, Ask::Put, "uploads/"),
            Kill(1),
            ToEnd(2),
            ToEnd(0),
        ],
    );
}

/// A first PATCH whose record was written, but whose every answer was lost, freed its bytes: the session
/// stood on bytes that were gone, and closing it published them.
#[test]
fn an_append_of_uncertain_outcome_keeps_its_bytes() {
    let scenario = Scenario::named("uncertain append")
        .before([Open(0, R0)])
        .process([Append(0, A, 0..11)])
        .process([Finish(0, A, 0..0)]);

    let answers = [Verdict::ApplyThenFail { retryable: true }, Verdict::Fail { retryable: false }];
    if let Err(failure) = scenario.prepare().run(&mut Blind { answers: answers.into(), key: "uploads/" }) {
        panic!("{failure}");
    }
}

/// Gives the first requests of process 0 on a key these verdicts.
struct Blind {
    answers: std::collections::VecDeque<Verdict>,
    key: &'static str,
}

impl Scheduler for Blind {
    fn next(&mut self, waiting: &[Ticket]) -> Action {
        let is_meant = waiting[0].process == 0 && waiting[0].key.starts_with(self.key);
        let verdict = if is_meant { self.answers.pop_front() } else { None };
        Action::Grant(0, verdict.unwrap_or(Verdict::Apply))
    }
}

/// A DELETE that lost its kill to a collector, which had condemned the link once more, answered 202; the
/// collector died, and the blob stayed readable.
#[test]
fn a_delete_overtaken_by_a_collector_is_not_done() {
    let blob = Scenario::named("overtaken DELETE of a blob")
        .before([Put(R0, A)])
        .process([DeleteBlob(R0, A)])
        .process([GcLink(R0, A)]);
    let overtake = |key: &'static str| {
        vec![
            Until(0, Ask::List, "manifests/"),
            Until(1, Ask::Put, key),
            One(1, Ask::Put, key),
            Kill(1),
            ToEnd(0),
        ]
    };
    survives(&blob, overtake("links/"));

    let manifest = Scenario::named("overtaken DELETE of a manifest")
        .before([Put(R0, A), Push(R0, A0, vec![])])
        .process([DeleteManifest(R0, A0)])
        .process([GcManifest(R0, A0)]);
    let mut lines = overtake("manifests/");
    lines[0] = Until(0, Ask::List, "tags/");
    survives(&manifest, lines);
}

/// A DELETE that lost its kill to a collector that had seen the tag before it was taken away answered 202:
/// the manifest stayed.
#[test]
fn a_delete_undone_by_a_collector_is_not_done() {
    let scenario = Scenario::named("healed DELETE of a manifest")
        .before([Put(R0, A), Push(R0, A0, vec![T0])])
        .process([DeleteManifest(R0, A0)])
        .process([GcManifest(R0, A0)]);

    survives(
        &scenario,
        vec![
            Until(0, Ask::Put, "tags/"),
            Until(1, Ask::Put, "manifests/"),
            One(1, Ask::Put, "manifests/"),
            ToEnd(1),
            ToEnd(0),
        ],
    );
}

/// A PUT repeated after its session had died answered 201 for a link that was the claim of a crashed
/// attempt: the bytes it named were freed, and only the blob record knew better.
#[test]
fn a_repeated_put_answers_for_no_claim_of_a_crash() {
    let scenario = Scenario::named("claim of a crash")
        .before([Open(0, R0), Append(0, A, 0..6), Put(R1, A)])
        .process([Finish(0, A, 6..11)])
        .process([Expire])
        .process([Finish(0, A, 6..11)]);

    survives(
        &scenario,
        vec![Until(0, Ask::Put, "links/"), One(0, Ask::Put, "links/"), Kill(0), ToEnd(1), ToEnd(2)],
    );
}

/// A push stopped after it had moved its tag and before it listed its manifest as a referrer. Repeated, it
/// found everything in place, answered 201 and listed nothing.
#[test]
fn a_push_repeated_after_a_crash_lists_its_referrer() {
    let scenario = Scenario::named("unlisted referrer")
        .before([Put(R0, A)])
        .process([Push(R0, Rf, vec![T0])])
        .process([Push(R0, Rf, vec![T0])]);

    survives(&scenario, vec![Until(0, Ask::Put, "referrers/"), Kill(0), ToEnd(1)]);
}

/// A manifest was pushed again while its DELETE was removing it from its subject's referrers: the push
/// found the old entry in place, the DELETE removed it.
#[test]
fn a_referrer_revived_during_its_delete_stays_listed() {
    let scenario = Scenario::named("revived referrer")
        .before([Put(R0, A), Push(R0, Rf, vec![T0])])
        .process([Push(R0, Rf, vec![T0])])
        .process([DeleteManifest(R0, Rf)]);

    survives(&scenario, vec![Until(1, Ask::Delete, "referrers/"), ToEnd(0), ToEnd(1)]);
}
