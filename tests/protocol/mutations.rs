//! The test of the tests: each rule of the protocol, switched off, must be missed.
//!
//! For every [`Mutation`] there is a scenario in which some schedule breaks a promise, found within a
//! bounded number of seeds or by a schedule written down from the trace in `protocol.md` section 5. The
//! very same schedules are clean where the rule is kept.

use entrepot_domain::mutation::Mutation;

use crate::collector::Careless;
use crate::machine::{Op, Settings};
use crate::run::{Failure, Report, Scenario};
use crate::scenarios::{attempt, seeds};
use crate::schedule::{Line, Script};
use crate::step::Ask;
use crate::words::Blob::A;
use crate::words::Label::T0;
use crate::words::Man::{A0, A1, Ix};
use crate::words::Repo::{R0, R1};
use Line::{One, ToEnd, Until};
use Op::*;

/// Seeds in which a broken rule must be noticed.
const LIMIT: u64 = 3000;
/// Seeds in which the kept rule must not be.
const CLEAN: u64 = 60;

/// A scenario in which the rule matters, and the schedule that shows it where one is written down.
fn scenario(mutation: Mutation) -> (Scenario, Option<Vec<Line>>) {
    let name = format!("{mutation:?}");
    let none = || Scenario::named(&name);
    let live = || none().before([Put(R0, A)]);
    let tree = || live().before([Push(R0, A0, vec![])]);
    let open = || none().before([Open(0, R0), Append(0, A, 0..11)]);
    let other = || none().before([Put(R1, A), GcLink(R1, A)]);
    match mutation {
        Mutation::RepeatedPutStartsNewAttempt => (
            open().process([Finish(0, A, 0..0)]).process([GcLink(R0, A), GcBlob(A)]).process([Finish(
                0,
                A,
                0..0,
            )]),
            // r3: published; link and record die; before the bytes do, the repeat publishes them again.
            Some(vec![ToEnd(0), Until(1, Ask::Delete, "data/"), ToEnd(2), ToEnd(1)]),
        ),
        Mutation::SessionRecreated => (
            open().process([Finish(0, A, 0..0)]).process([Finish(0, A, 0..0), Forget(0)]).process([Expire]),
            // r12: a PUT saw the session open; another published and deleted it; the first makes it anew.
            Some(vec![
                Until(0, Ask::Put, "uploads/"),
                ToEnd(1),
                One(0, Ask::Put, "uploads/"),
                ToEnd(0),
                ToEnd(2),
            ]),
        ),
        Mutation::OrphanSweepScansFirst => (
            none()
                .process([Open(0, R0), Append(0, A, 0..11), Finish(0, A, 0..0), Forget(0)])
                .process([Expire]),
            None,
        ),
        Mutation::PublishOverwritesLivingLink => (
            none()
                .before([Put(R0, A), GcLink(R0, A), GcBlob(A)])
                .process([Put(R0, A)])
                .process([Put(R0, A)])
                .process([Push(R0, A1, vec![])])
                .process([Expire]),
            // r8, r13: one claims the link and stops; two reads that living link beside the dead record;
            // one publishes and a manifest commits; two writes its own instance over the link.
            Some(vec![
                Until(0, Ask::Put, "blobs/"),
                One(0, Ask::Put, "links/"),
                Until(1, Ask::Put, "blobs/"),
                ToEnd(0),
                ToEnd(2),
                ToEnd(1),
                ToEnd(3),
            ]),
        ),
        Mutation::CommitAgainstRereadVersion => (
            live()
                .process([Push(R0, A0, vec![])])
                .process([Push(R0, A0, vec![])])
                .process([DeleteManifest(R0, A0)])
                .process([GcLink(R0, A)]),
            // r10: announced and verified; another commits the same manifest, it is deleted and its link
            // collected; the commit against what is read now revives it without its link.
            Some(vec![Until(0, Ask::Put, "repositories/"), ToEnd(1), ToEnd(2), ToEnd(3), ToEnd(0)]),
        ),
        Mutation::RepeatedPutAnnouncesAgain => (
            open().process([Finish(0, A, 0..0)]).process([GcLink(R0, A), GcBlob(A)]).process([Finish(
                0,
                A,
                0..0,
            )]),
            None,
        ),
        Mutation::VerifyLinkOnly => {
            (none().process([Put(R0, A)]).process([Push(R0, A1, vec![])]).process([GcBlob(A)]), None)
        }
        Mutation::VerifyBlobBeforeLink => (
            other()
                .before([Put(R1, A)])
                .process([Mount(R0, R1, A)])
                .process([Push(R0, A1, vec![])])
                .process([GcLink(R1, A), GcBlob(A)]),
            None,
        ),
        Mutation::IgnoreLinkInstance => (
            none()
                .process([Put(R0, A)])
                .process([Put(R1, A)])
                .process([Push(R0, A0, vec![])])
                .process([Expire]),
            None,
        ),
        Mutation::VersionReadAfterData => (none().process([Put(R0, A)]).process([Expire]), None),
        Mutation::VersionReadAfterSessionMoved => {
            (open().process([Finish(0, A, 0..0)]).process([Expire]), None)
        }
        Mutation::SecondAttemptSameInstance => (none().process([Put(R0, A)]).process([Expire]), None),
        Mutation::ReaperWithoutFence => (none().process([Put(R0, A)]).process([Expire]), None),
        Mutation::ManifestNotAnnounced | Mutation::CondemnedLinkNotRescued => {
            (live().process([Push(R0, A0, vec![])]).process([GcLink(R0, A)]), None)
        }
        Mutation::TagWithoutAnnouncement | Mutation::TagMovedAfterEarlierManifestRead => (
            tree()
                .before([Push(R0, A1, vec![T0])])
                .process([Push(R0, A0, vec![T0])])
                .process([GcManifest(R0, A0)]),
            None,
        ),
        Mutation::DataKeyReused => {
            (none().process([Put(R0, A)]).process([GcLink(R0, A), GcBlob(A)]).process([Put(R0, A)]), None)
        }
    }
}

fn broken(mutation: Mutation) -> Scenario {
    let (scenario, _) = scenario(mutation);
    Scenario { settings: Settings { mutation: Some(mutation), ..Settings::default() }, ..scenario }
}

/// Runs the written schedule.
fn follow(scenario: &Scenario, lines: Vec<Line>) -> Result<Report, Failure> {
    scenario.prepare().run(&mut Script::new(lines))
}

/// The first seed that notices, or nothing within the limit.
fn notice(scenario: &Scenario) -> Option<(u64, Failure)> {
    notice_within(scenario, LIMIT)
}

fn notice_within(scenario: &Scenario, limit: u64) -> Option<(u64, Failure)> {
    let prepared = scenario.prepare();
    (0..limit).find_map(|seed| attempt(&prepared, seed, false).err().map(|failure| (seed, *failure)))
}

/// A scenario in which a collector has to keep the rule.
fn beside(careless: Careless) -> Scenario {
    let live = Scenario::named(&format!("{careless:?}")).before([Put(R0, A)]);
    match careless {
        Careless::CondemnsNothing | Careless::KillsAnyway => {
            live.process([Push(R0, A0, vec![])]).process([GcLink(R0, A)])
        }
        Careless::ScansFirst => {
            live.before([GcLink(R0, A)]).process([Put(R0, A), Push(R0, A0, vec![])]).process([GcBlob(A)])
        }
        Careless::IgnoresIndexes => live
            .before([Push(R0, A0, vec![])])
            .process([Push(R0, Ix, vec![T0])])
            .process([GcManifest(R0, A0)]),
        Careless::BuriesAnyway => {
            live.process([Put(R0, A), Push(R0, A0, vec![])]).process([GcLink(R0, A), Bury(R0)])
        }
    }
}

#[test]
fn every_careless_collector_is_noticed_by_some_schedule() {
    for careless in Careless::ALL {
        let kept = beside(careless);
        let settings = Settings { careless: Some(careless), ..Settings::default() };
        let Some((seed, failure)) = notice(&Scenario { settings, ..kept.clone() }) else {
            panic!("{careless:?} is not noticed in {LIMIT} schedules");
        };
        println!("{careless:?}: seed {seed}: {}", failure.why);
        let clean = notice_within(&kept, seeds(CLEAN));
        assert!(clean.is_none(), "the rule is kept, but: {}", clean.expect("just seen").1);
    }
}

#[test]
fn every_broken_rule_is_noticed_by_some_schedule() {
    for mutation in Mutation::ALL {
        let Some((seed, failure)) = notice(&broken(mutation)) else {
            panic!("{mutation:?} is not noticed in {LIMIT} schedules");
        };
        println!("{mutation:?}: seed {seed}: {}", failure.why);
    }
}

#[test]
fn the_traces_of_the_protocol_break_what_they_are_said_to_break() {
    for mutation in Mutation::ALL {
        let (kept, Some(lines)) = scenario(mutation) else { continue };
        let clean = follow(&kept, lines.clone());
        assert!(clean.is_ok(), "the rule is kept, but: {}", clean.unwrap_err());
        let noticed = follow(&broken(mutation), lines);
        let failure = noticed.expect_err(&format!("{mutation:?} is not noticed by its own trace"));
        println!("{mutation:?}: {}", failure.why);
    }
}

#[test]
fn the_same_scenarios_are_clean_while_the_rules_are_kept() {
    for mutation in Mutation::ALL {
        let (kept, _) = scenario(mutation);
        let prepared = kept.prepare();
        for seed in 0..seeds(CLEAN) {
            if let Err(failure) = attempt(&prepared, seed, false) {
                panic!("{failure}");
            }
        }
    }
}
