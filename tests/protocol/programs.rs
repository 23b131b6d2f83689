//! Random programs: two to five processes of one to three operations, with whatever can go wrong.

use crate::machine::{Op, Settings};
use crate::run::Scenario;
use crate::scenarios::{attempt, seeds};
use crate::words::{Blob, Dice, Label, Man, Repo};

/// Programs per ordinary run.
const PROGRAMS: u64 = 700;

/// A program anybody could run: everything it opens it opened before.
fn program(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed ^ 0xABCD);
    let mut scenario = Scenario::named(&format!("program {seed}"));
    scenario.settings = Settings { touch: dice.chance(4), ..Settings::default() };
    scenario.part = dice.chance(6).then_some(4);
    scenario = scenario.before(beginning(&mut dice));
    for process in 0..2 + dice.below(4) {
        let program = match dice.chance(3) {
            true => (0..1 + dice.below(3)).map(|_| collection(&mut dice)).collect(),
            false => client(&mut dice, process),
        };
        scenario = scenario.process(program);
    }
    scenario
}

fn beginning(dice: &mut Dice) -> Vec<Op> {
    let (a, b, r0, r1) = (Blob::A, Blob::B, Repo::R0, Repo::R1);
    // Slot 9 is shared by all processes: replicas that serve one client's session.
    let open = vec![Op::Open(9, r0), Op::Append(9, a, 0..6)];
    let live = vec![Op::Put(r0, a), Op::Put(r0, b)];
    let more = match dice.below(8) {
        0 => vec![],
        1 => live,
        2 => [live, vec![Op::GcLink(r0, a), Op::GcBlob(a)]].concat(),
        3 => [live, vec![Op::Push(r0, Man::A0, vec![Label::T0])]].concat(),
        4 => [live, vec![Op::Push(r0, Man::A0, vec![]), Op::Push(r0, Man::A1, vec![Label::T0])]].concat(),
        5 => [live, vec![Op::Push(r0, Man::A0, vec![]), Op::Push(r0, Man::Ix, vec![Label::T0])]].concat(),
        6 => vec![Op::Put(r1, a), Op::GcLink(r1, a)],
        _ => vec![Op::Put(r1, a), Op::Put(r1, b)],
    };
    [open, more].concat()
}

fn client(dice: &mut Dice, process: usize) -> Vec<Op> {
    let repo = if dice.chance(3) { Repo::R1 } else { Repo::R0 };
    let blob = if dice.chance(3) { Blob::B } else { Blob::A };
    let end = blob.content().len();
    match dice.below(12) {
        0 => vec![Op::Put(repo, blob), push(dice, repo)],
        1 => vec![Op::HeadOrPut(repo, blob), push(dice, repo)],
        2 => vec![Op::Head(repo, blob), push(dice, repo)],
        3 => {
            let other = if repo == Repo::R0 { Repo::R1 } else { Repo::R0 };
            vec![Op::Mount(repo, other, blob), push(dice, repo)]
        }
        4 => {
            let cut = 1 + dice.below(end - 1);
            let closing = Op::Finish(process, blob, cut..end);
            vec![Op::Open(process, repo), Op::Append(process, blob, 0..cut), closing, push(dice, repo)]
        }
        5 => vec![
            Op::Open(process, repo),
            Op::Append(process, blob, 0..end),
            Op::Finish(process, blob, 0..0),
            Op::Finish(process, blob, 0..0),
        ],
        6 => vec![Op::Finish(9, Blob::A, 6..11), push(dice, Repo::R0)],
        7 => match dice.below(3) {
            0 => vec![Op::Append(9, Blob::A, 6..11), Op::Finish(9, Blob::A, 0..0)],
            1 => vec![Op::FinishWrong(9, Blob::A)],
            _ => vec![Op::Finish(9, Blob::A, 6..11), Op::Forget(9)],
        },
        8 => vec![push(dice, repo), push(dice, repo)],
        9 => vec![push(dice, repo), Op::Pull(repo, dice.pick(&Label::ALL)), push(dice, repo)],
        _ => deletes(dice, repo),
    }
}

fn push(dice: &mut Dice, repo: Repo) -> Op {
    let man = dice.pick(&[Man::A0, Man::A0, Man::A1, Man::B0, Man::Ab, Man::Ix, Man::Iy, Man::Rf]);
    let labels = match dice.below(4) {
        0 => vec![],
        1 => vec![Label::T0, Label::T1],
        2 => vec![Label::T1],
        _ => vec![Label::T0],
    };
    Op::Push(repo, man, labels)
}

fn deletes(dice: &mut Dice, repo: Repo) -> Vec<Op> {
    let one = |dice: &mut Dice| match dice.below(4) {
        0 => Op::DeleteTag(repo, dice.pick(&Label::ALL)),
        1 => Op::DeleteBlob(repo, dice.pick(&Blob::ALL)),
        2 => Op::Cancel(9),
        _ => Op::DeleteManifest(repo, dice.pick(&Man::ALL)),
    };
    (0..1 + dice.below(2)).map(|_| one(dice)).collect()
}

fn collection(dice: &mut Dice) -> Op {
    let repo = if dice.chance(3) { Repo::R1 } else { Repo::R0 };
    match dice.below(9) {
        0 => Op::Expire,
        1 => Op::ExpireEverything,
        2 | 3 => Op::GcLink(repo, dice.pick(&Blob::ALL)),
        4 | 5 => Op::GcBlob(dice.pick(&Blob::ALL)),
        6 => Op::GcManifest(repo, dice.pick(&Man::ALL)),
        7 => Op::DropAnnouncements(repo, dice.pick(&Label::ALL)),
        _ => Op::Bury(repo),
    }
}

fn run(seed: u64) {
    let scenario = program(seed);
    let prepared = scenario.prepare();
    for (schedule, faults) in [(seed, false), (seed + 1, true), (seed + 2, true)] {
        if let Err(failure) = attempt(&prepared, schedule, faults) {
            panic!("ENTREPOT_PROTOCOL_SEED={seed}: {scenario:#?}\n{failure}");
        }
    }
}

#[test]
fn random_programs_keep_every_promise() {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
    let only = std::env::var("ENTREPOT_PROTOCOL_SEED").ok().and_then(|text| text.parse().ok());
    match only {
        Some(seed) => run(seed),
        None => (0..seeds(PROGRAMS)).for_each(run),
    }
}
