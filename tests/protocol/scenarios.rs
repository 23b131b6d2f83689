//! The scenarios the protocol was checked with, run on the code that implements it.

use crate::exhaustive::exhaust;
use crate::machine::{Op, Settings};
use crate::run::{Failure, Prepared, Report, Scenario};
use crate::schedule::{Faulty, Pct, Random, Scheduler};
use crate::words::Blob::{A, B};
use crate::words::Dice;
use crate::words::Label::{T0, T1};
use crate::words::Man::{A0, A1, Ab, B0, Ix, Iy, Rf};
use crate::words::Repo::{R0, R1};
use Op::*;

/// Seeds per scenario in an ordinary run; `ENTREPOT_PROTOCOL_SEEDS` multiplies them.
const SEEDS: u64 = 24;

/// `count`, or as many times that as the environment asks for.
pub(crate) fn seeds(count: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
    let factor =
        std::env::var("ENTREPOT_PROTOCOL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    count * factor
}

/// Runs one schedule of a scenario: a third random, the rest by priorities; faults where asked for.
pub(crate) fn attempt(prepared: &Prepared, seed: u64, faults: bool) -> Result<Report, Box<Failure>> {
    let mut dice = Dice::new(seed);
    let processes = prepared.processes();
    let length = 12 * processes;
    let mut scheduler: Box<dyn Scheduler> = match seed % 3 {
        0 => Box::new(Random(Dice::new(dice.next()))),
        _ => {
            let depth = 2 + dice.below(5);
            Box::new(Pct::new(Dice::new(dice.next()), processes, depth, length))
        }
    };
    let count = if faults { 1 + dice.below(3) } else { 0 };
    let mut faulty = Faulty::new(Boxed(&mut *scheduler), &mut dice, count, length);
    prepared.run(&mut faulty).map_err(|mut failure| {
        failure.scenario = format!("{} (seed {seed}, faults {faults})", failure.scenario);
        Box::new(failure)
    })
}

struct Boxed<'a>(&'a mut dyn Scheduler);

impl Scheduler for Boxed<'_> {
    fn next(&mut self, waiting: &[crate::step::Ticket]) -> crate::schedule::Action {
        self.0.next(waiting)
    }
}

fn live(name: &str) -> Scenario {
    Scenario::named(name).before([Put(R0, A)])
}

fn other(name: &str) -> Scenario {
    Scenario::named(name).before([Put(R1, A), GcLink(R1, A)])
}

fn dead(name: &str) -> Scenario {
    live(name).before([GcLink(R0, A), GcBlob(A)])
}

fn open(name: &str) -> Scenario {
    Scenario::named(name).before([Open(0, R0), Append(0, A, 0..6)])
}

fn tree(name: &str) -> Scenario {
    live(name).before([Push(R0, A0, vec![])])
}

fn full(name: &str) -> Scenario {
    tree(name).before([Push(R0, Ix, vec![T0])])
}

fn tagged_old(name: &str) -> Scenario {
    tree(name).before([Push(R0, A1, vec![T0])])
}

fn up() -> Vec<Op> {
    vec![Put(R0, A), Push(R0, A0, vec![])]
}

fn up_tagged() -> Vec<Op> {
    vec![Put(R0, A), Push(R0, A0, vec![T0])]
}

fn up_elsewhere() -> Vec<Op> {
    vec![Put(R1, A), Push(R1, A0, vec![])]
}

fn skip(man: crate::words::Man, labels: &[crate::words::Label]) -> Vec<Op> {
    vec![Head(R0, A), Push(R0, man, labels.to_vec())]
}

fn close() -> Vec<Op> {
    vec![Finish(0, A, 6..11), Push(R0, A0, vec![])]
}

fn gc_link() -> Vec<Op> {
    vec![GcLink(R0, A)]
}

fn gc_blob() -> Vec<Op> {
    vec![GcBlob(A)]
}

fn gc_man(man: crate::words::Man) -> Vec<Op> {
    vec![GcManifest(R0, man)]
}

fn mount() -> Vec<Op> {
    vec![Mount(R1, R0, A), Push(R1, A0, vec![])]
}

fn expire() -> Vec<Op> {
    vec![Expire]
}

fn scenario(base: Scenario, programs: Vec<Vec<Op>>) -> Scenario {
    programs.into_iter().fold(base, Scenario::process)
}

fn publishing() -> Vec<Scenario> {
    let none = Scenario::named;
    vec![
        scenario(
            none("a new blob, its reaper, both collectors"),
            vec![up(), expire(), gc_link(), gc_blob(), gc_man(A0)],
        ),
        scenario(dead("the same over tombstones"), vec![up(), expire(), gc_link(), gc_blob(), gc_man(A0)]),
        scenario(
            other("a blob that exists elsewhere"),
            vec![up(), expire(), gc_link(), gc_blob(), gc_blob()],
        ),
        scenario(live("a blob over a living link"), vec![up(), expire(), gc_link(), gc_link(), gc_blob()]),
        scenario(none("two uploads of one digest"), vec![up(), up(), expire(), gc_blob()]),
        scenario(dead("two uploads over tombstones"), vec![up(), up(), expire(), gc_link(), gc_blob()]),
        scenario(live("two uploads over a dying blob"), vec![up(), up(), gc_link(), gc_blob(), gc_blob()]),
        scenario(none("two uploads in two repositories"), vec![up(), up_elsewhere(), expire(), gc_blob()]),
        scenario(
            none("an upload, mounted elsewhere"),
            vec![up(), vec![Mount(R1, R0, A), Push(R1, A0, vec![])], expire(), gc_link(), gc_blob()],
        ),
        scenario(
            none("an upload and one who skips it"),
            vec![up(), skip(A1, &[]), expire(), gc_link(), gc_blob()],
        ),
        scenario(
            none("three writers of one digest"),
            vec![vec![Put(R0, A)], vec![Put(R0, A)], vec![Put(R1, A), Mount(R0, R1, A)], gc_blob(), expire()],
        ),
    ]
}

fn sessions() -> Vec<Scenario> {
    let none = Scenario::named;
    let whole = |slot| vec![Open(slot, R0), Append(slot, A, 0..11), Finish(slot, A, 0..0)];
    vec![
        scenario(open("a session and its reaper"), vec![close(), expire(), gc_link(), gc_blob()]),
        scenario(open("a PUT on two replicas"), vec![close(), close(), expire(), gc_link(), gc_blob()]),
        scenario(
            open("a PUT on two replicas, nothing appended").before([Append(0, A, 6..11)]),
            vec![vec![Finish(0, A, 0..0)], vec![Finish(0, A, 0..0)], expire(), gc_link(), gc_blob()],
        ),
        scenario(
            open("the same, the blob lives elsewhere and dies").before([Put(R1, A), GcLink(R1, A)]),
            vec![close(), close(), expire(), gc_link(), gc_blob()],
        ),
        scenario(
            open("a session forgotten after its success"),
            vec![vec![Finish(0, A, 6..11), Forget(0)], close(), expire(), gc_link(), gc_blob()],
        ),
        scenario(
            open("the same, and everything is looked at"),
            vec![vec![Finish(0, A, 6..11), Forget(0)], close(), vec![ExpireEverything], gc_link(), gc_blob()],
        ),
        scenario(none("a whole session and two reapers"), vec![whole(0), expire(), expire()]),
        scenario(
            none("a session and a one-request upload"),
            vec![whole(0), up(), expire(), gc_link(), gc_blob()],
        ),
        scenario(
            open("two appends at once and a PUT"),
            vec![vec![Append(0, A, 6..11), Finish(0, A, 0..0)], vec![Append(0, A, 6..8)], close(), expire()],
        ),
        scenario(
            open("a PUT under the wrong digest beside the right one"),
            vec![vec![FinishWrong(0, A)], close(), expire()],
        ),
        scenario(
            open("a wrong PUT beside the right one, all bytes there").before([Append(0, A, 6..11)]),
            vec![vec![FinishWrong(0, A)], vec![Finish(0, A, 0..0)], expire()],
        ),
        scenario(open("a session cancelled and closed at once"), vec![vec![Cancel(0)], close(), expire()]),
        scenario(
            none("a fresh session used twice").before([Open(0, R0)]),
            vec![
                vec![Append(0, A, 0..6), Finish(0, A, 6..11)],
                vec![Finish(0, A, 0..11)],
                expire(),
                gc_blob(),
            ],
        ),
    ]
}

fn heads_and_mounts() -> Vec<Scenario> {
    let blind = |man| vec![Push(R0, man, vec![])];
    vec![
        scenario(
            Scenario::named("a blind client beside upload and mount"),
            vec![
                up_elsewhere(),
                blind(A1),
                vec![Mount(R0, R1, A), Push(R0, A0, vec![])],
                gc_link(),
                gc_blob(),
            ],
        ),
        scenario(
            live("mount and HEAD in two repositories"),
            vec![skip(A0, &[]), mount(), gc_link(), vec![GcLink(R1, A)], gc_blob()],
        ),
        scenario(
            live("a mount whose source dies"),
            vec![mount(), gc_link(), vec![GcLink(R1, A)], gc_blob(), gc_blob()],
        ),
        scenario(
            live("a skip over whole cycles"),
            vec![skip(A0, &[]), vec![GcLink(R0, A), GcBlob(A)], vec![GcLink(R0, A), GcBlob(A)]],
        ),
        scenario(
            live("a skip and a resurrection"),
            vec![skip(A0, &[]), vec![Put(R0, A), Push(R0, A1, vec![])], gc_link(), gc_blob(), expire()],
        ),
        scenario(
            live("DELETE blob beside a push and an upload"),
            vec![skip(A0, &[]), up(), vec![DeleteBlob(R0, A)], gc_blob(), expire()],
        ),
        scenario(
            live("two DELETE blob beside a push"),
            vec![skip(A0, &[]), vec![DeleteBlob(R0, A)], vec![DeleteBlob(R0, A)], gc_blob(), gc_blob()],
        ),
        Scenario {
            settings: Settings { touch: true, ..Settings::default() },
            ..scenario(
                live("HEAD touches what is old"),
                vec![skip(A0, &[]), vec![Head(R0, A)], gc_link(), gc_blob(), up()],
            )
        },
        scenario(
            live("link tombstones removed under uploads"),
            vec![up(), vec![GcLink(R0, A), Bury(R0)], gc_blob(), expire()],
        ),
    ]
}

fn tags_and_trees() -> Vec<Scenario> {
    let index = || vec![HeadManifest(R0, A0), Push(R0, Ix, vec![T0])];
    let delete = |man| vec![DeleteManifest(R0, man)];
    let untag = || vec![DeleteTag(R0, T0)];
    vec![
        scenario(
            live("a tagged push, DELETE, the untagged collector"),
            vec![skip(A0, &[T0]), delete(A0), gc_man(A0), gc_link()],
        ),
        scenario(
            tagged_old("a tag moved by two pushers"),
            vec![skip(A0, &[T0]), skip(A1, &[T0]), delete(A0), gc_man(A0), gc_man(A1)],
        ),
        scenario(
            live("a re-push, a move away, deletes").before([Push(R0, A0, vec![T0])]),
            vec![skip(A0, &[T0]), skip(A1, &[T0]), delete(A0), gc_man(A0), untag()],
        ),
        scenario(
            Scenario::named("an upload and its tag, all collectors"),
            vec![up_tagged(), gc_man(A0), gc_link(), gc_blob(), expire()],
        ),
        scenario(tree("an index over a tree"), vec![index(), gc_man(A0), gc_link(), gc_blob(), gc_man(Ix)]),
        scenario(
            tree("an index, its child collected twice"),
            vec![index(), gc_man(A0), gc_man(A0), gc_link(), untag()],
        ),
        scenario(
            Scenario::named("upload, child, index from nothing"),
            vec![up(), index(), gc_man(A0), gc_link(), gc_blob()],
        ),
        scenario(
            full("a full tree taken apart"),
            vec![delete(Ix), gc_man(Ix), gc_man(A0), gc_link(), gc_blob()],
        ),
        scenario(
            full("a full tree pushed again while its tag goes"),
            vec![index(), untag(), gc_man(Ix), gc_man(A0), gc_link()],
        ),
        scenario(tree("DELETE of a child beside its index"), vec![index(), delete(A0), gc_link(), gc_blob()]),
        scenario(
            tagged_old("stale announcements dropped under a move"),
            vec![
                skip(A0, &[T0]),
                vec![Push(R0, A1, vec![T0])],
                vec![DropAnnouncements(R0, T0)],
                gc_man(A0),
                gc_man(A1),
            ],
        ),
        scenario(
            live("two tags in one push").before([Put(R0, B)]),
            vec![
                vec![Push(R0, A0, vec![T0, T1])],
                vec![Push(R0, Ab, vec![T1])],
                delete(A0),
                gc_man(Ab),
                untag(),
            ],
        ),
        scenario(
            live("two children, one deleted").before([Put(R0, B)]),
            vec![
                vec![Push(R0, A0, vec![]), Push(R0, B0, vec![]), Push(R0, Iy, vec![T0])],
                delete(B0),
                gc_man(A0),
                vec![DeleteBlob(R0, B)],
            ],
        ),
        scenario(
            tagged_old("tombstones of tags and manifests removed"),
            vec![
                skip(A0, &[T0]),
                vec![DeleteTag(R0, T0), Bury(R0)],
                vec![GcManifest(R0, A1), Bury(R0)],
                gc_man(A0),
            ],
        ),
        scenario(
            Scenario::named("a whole image, then DELETE and all collectors"),
            vec![up_tagged(), delete(A0), gc_link(), gc_blob(), gc_man(A0)],
        ),
        scenario(
            tree("a referrer pushed, deleted and pushed again"),
            vec![vec![Push(R0, Rf, vec![T1])], vec![Push(R0, Rf, vec![T1])], delete(Rf), gc_man(Rf)],
        ),
        scenario(
            live("the first and the last manifest of a repository"),
            vec![skip(A0, &[]), vec![Push(R0, A1, vec![T0])], delete(A0), delete(A1)],
        ),
        scenario(
            tagged_old("readers beside everything"),
            vec![vec![Pull(R0, T0), Pull(R0, T0)], skip(A0, &[T0]), delete(A1), gc_link(), gc_blob()],
        ),
    ]
}

fn parts(scenario: Scenario) -> Scenario {
    Scenario { part: Some(4), ..scenario }
}

/// Bodies of several parts: uploads at the store instead of single objects.
fn in_parts() -> Vec<Scenario> {
    vec![
        parts(scenario(
            Scenario::named("parts: one request and its reaper"),
            vec![up(), expire(), gc_blob()],
        )),
        parts(scenario(
            Scenario::named("parts: a session on two replicas").before([Open(0, R0), Append(0, A, 0..6)]),
            vec![close(), close(), expire(), expire()],
        )),
        parts(scenario(
            Scenario::named("parts: a whole session and two reapers"),
            vec![
                vec![Open(0, R0), Append(0, A, 0..6), Append(0, A, 6..11), Finish(0, A, 0..0)],
                expire(),
                expire(),
            ],
        )),
        parts(scenario(
            Scenario::named("parts: a wrong PUT beside the right one")
                .before([Open(0, R0), Append(0, A, 0..11)]),
            vec![vec![FinishWrong(0, A)], vec![Finish(0, A, 0..0)], expire()],
        )),
    ]
}

fn search(scenarios: &[Scenario]) {
    for scenario in scenarios {
        let prepared = scenario.prepare();
        let mut acknowledged = 0;
        for seed in 0..seeds(SEEDS) {
            for faults in [false, true] {
                match attempt(&prepared, seed, faults) {
                    Ok(report) => acknowledged += report.acknowledged,
                    Err(failure) => panic!("{failure}"),
                }
            }
        }
        assert!(acknowledged > 0, "{}: nothing ever succeeds, so nothing is tested", scenario.name);
    }
}

#[test]
fn publishing_a_blob_survives_every_schedule_tried() {
    search(&publishing());
}

#[test]
fn sessions_survive_every_schedule_tried() {
    search(&sessions());
}

#[test]
fn heads_mounts_and_deletes_survive_every_schedule_tried() {
    search(&heads_and_mounts());
}

#[test]
fn tags_and_trees_survive_every_schedule_tried() {
    search(&tags_and_trees());
}

#[test]
fn uploads_in_parts_survive_every_schedule_tried() {
    search(&in_parts());
}

#[test]
fn small_scenarios_survive_every_schedule_with_few_preemptions() {
    let pair = [
        scenario(Scenario::named("exhaustive: a new blob and its reaper"), vec![vec![Put(R0, A)], expire()]),
        scenario(open("exhaustive: a session and its reaper"), vec![vec![Finish(0, A, 6..11)], expire()]),
        scenario(
            open("exhaustive: a session on two replicas"),
            vec![vec![Finish(0, A, 6..11)], vec![Finish(0, A, 6..11)]],
        ),
        parts(scenario(
            open("exhaustive: a session in parts and its reaper"),
            vec![vec![Finish(0, A, 6..11)], expire()],
        )),
        parts(scenario(
            open("exhaustive: a session in parts on two replicas"),
            vec![vec![Finish(0, A, 6..11)], vec![Finish(0, A, 6..11)]],
        )),
        parts(scenario(
            open("exhaustive: a session in parts, closed rightly and wrongly"),
            vec![vec![Finish(0, A, 6..11)], vec![FinishWrong(0, A)]],
        )),
        scenario(
            tree("exhaustive: a tag and the untagged collector"),
            vec![vec![Push(R0, A0, vec![T0])], gc_man(A0)],
        ),
        scenario(
            tree("exhaustive: a tag and DELETE"),
            vec![vec![Push(R0, A0, vec![T0])], vec![DeleteManifest(R0, A0)]],
        ),
        scenario(
            live("exhaustive: a push and the link's collector"),
            vec![vec![Push(R0, A0, vec![])], gc_link()],
        ),
        scenario(
            other("exhaustive: a mount and the blob's collector").before([Put(R1, A)]),
            vec![vec![Mount(R0, R1, A)], vec![GcLink(R1, A), GcBlob(A)]],
        ),
        scenario(
            live("exhaustive: two pushers of one tag"),
            vec![vec![Push(R0, A0, vec![T0])], vec![Push(R0, A1, vec![T0])]],
        ),
    ];
    // With three there are thousands of schedules: for a longer search.
    let preemptions = if seeds(1) == 1 { 2 } else { 3 };
    for scenario in &pair {
        match exhaust(scenario, preemptions) {
            Ok(runs) => println!("{}: {runs} schedules", scenario.name),
            Err(failure) => panic!("{failure}"),
        }
    }
}
