//! Who goes next: schedulers over the requests that wait.

use crate::step::{Ask, Ticket, Verdict};
use crate::words::Dice;

/// What the scheduler does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Decides one waiting request, by its place.
    Grant(usize, Verdict),
    /// Stops a process for ever; its waiting requests were never made.
    Crash(usize),
}

/// Picks among the requests that wait. `waiting` is never empty, and sorted by process.
pub(crate) trait Scheduler {
    fn next(&mut self, waiting: &[Ticket]) -> Action;
}

/// Any request, with equal chances for every process.
pub(crate) struct Random(pub(crate) Dice);

impl Scheduler for Random {
    fn next(&mut self, waiting: &[Ticket]) -> Action {
        let process = self.0.pick(&processes(waiting));
        Action::Grant(any_of(&mut self.0, waiting, process), Verdict::Apply)
    }
}

/// Probabilistic concurrency testing: processes run by priority, and at a few random steps the running
/// one falls behind all others. Finds bugs of small depth with a known chance.
pub(crate) struct Pct {
    dice: Dice,
    priorities: Vec<i64>,
    changes: Vec<usize>,
    step: usize,
}

impl Pct {
    /// `depth` - 1 priority changes within about `length` steps.
    pub(crate) fn new(mut dice: Dice, processes: usize, depth: usize, length: usize) -> Self {
        let mut priorities: Vec<i64> = (1..).take(processes).collect();
        for at in (1..processes).rev() {
            priorities.swap(at, dice.below(at + 1));
        }
        let changes = (1..depth).map(|_| dice.below(length.max(1))).collect();
        Self { dice, priorities, changes, step: 0 }
    }

    fn first(&self, waiting: &[Ticket]) -> usize {
        *processes(waiting).iter().max_by_key(|process| self.priorities[**process]).expect("not empty")
    }
}

impl Scheduler for Pct {
    fn next(&mut self, waiting: &[Ticket]) -> Action {
        let mut process = self.first(waiting);
        let changes = self.changes.iter().filter(|at| **at == self.step).count();
        for _ in 0..changes {
            let lowest = self.priorities.iter().min().expect("not empty") - 1;
            self.priorities[process] = lowest;
            process = self.first(waiting);
        }
        self.step += 1;
        Action::Grant(any_of(&mut self.dice, waiting, process), Verdict::Apply)
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The process stops before its request is made.
    CrashBefore,
    /// The process stops after its request was applied: a lost reply.
    CrashAfter,
    /// The request gets this verdict.
    Answer(Verdict),
}

/// Another scheduler, with a few faults at given steps.
pub(crate) struct Faulty<S> {
    pub(crate) inner: S,
    pub(crate) faults: Vec<(usize, Fault)>,
    step: usize,
}

impl<S> Faulty<S> {
    pub(crate) fn new(inner: S, dice: &mut Dice, count: usize, length: usize) -> Self {
        let fault = |dice: &mut Dice| {
            let retryable = dice.chance(2);
            let fault = match dice.below(8) {
                0 | 1 => Fault::CrashBefore,
                2 | 3 => Fault::CrashAfter,
                4 => Fault::Answer(Verdict::Fail { retryable }),
                5 | 6 => Fault::Answer(Verdict::ApplyThenFail { retryable }),
                _ => Fault::Answer(Verdict::Late),
            };
            (dice.below(length.max(1)), fault)
        };
        let faults = (0..count).map(|_| fault(dice)).collect();
        Self { inner, faults, step: 0 }
    }
}

impl<S: Scheduler> Scheduler for Faulty<S> {
    fn next(&mut self, waiting: &[Ticket]) -> Action {
        let Action::Grant(at, verdict) = self.inner.next(waiting) else { panic!("one level of faults") };
        let now = self.step;
        self.step += 1;
        let ticket = &waiting[at];
        if ticket.ask == Ask::LatePut {
            return Action::Grant(at, verdict);
        }
        match self.faults.iter().find(|(step, _)| *step == now).map(|(_, fault)| *fault) {
            None => Action::Grant(at, verdict),
            Some(Fault::CrashBefore) => Action::Crash(ticket.process),
            Some(Fault::CrashAfter) => Action::Grant(at, Verdict::ApplyThenVanish),
            Some(Fault::Answer(verdict)) => Action::Grant(at, verdict),
        }
    }
}

/// One line of a directed schedule.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// Runs a process until a request of this kind, on a key that begins so, waits. The request is not made.
    Until(usize, Ask, &'static str),
    /// Runs a process until it has nothing left to ask, or stops.
    ToEnd(usize),
    /// Grants one request of this kind on a key that begins so.
    One(usize, Ask, &'static str),
    /// Stops a process for ever.
    Kill(usize),
}

/// A schedule written down. What is left after its last line runs in order of the processes.
pub(crate) struct Script {
    lines: std::collections::VecDeque<Line>,
}

impl Script {
    pub(crate) fn new(lines: Vec<Line>) -> Self {
        Self { lines: lines.into() }
    }
}

impl Scheduler for Script {
    fn next(&mut self, waiting: &[Ticket]) -> Action {
        loop {
            let Some(line) = self.lines.front().cloned() else {
                return Action::Grant(0, Verdict::Apply);
            };
            let of = |process: usize| waiting.iter().position(|ticket| ticket.process == process);
            let is = |ticket: &Ticket, process: usize, ask: Ask, prefix: &str| {
                ticket.process == process && ticket.ask == ask && ticket.key.starts_with(prefix)
            };
            match line {
                Line::Until(process, ask, prefix) => {
                    let reached = waiting.iter().any(|ticket| is(ticket, process, ask, prefix));
                    match of(process) {
                        Some(at) if !reached => return Action::Grant(at, Verdict::Apply),
                        _ => {}
                    }
                }
                Line::ToEnd(process) => {
                    if let Some(at) = of(process) {
                        return Action::Grant(at, Verdict::Apply);
                    }
                }
                Line::One(process, ask, prefix) => {
                    let at = waiting.iter().position(|ticket| is(ticket, process, ask, prefix));
                    self.lines.pop_front();
                    match at {
                        Some(at) => return Action::Grant(at, Verdict::Apply),
                        None => continue,
                    }
                }
                Line::Kill(process) => {
                    self.lines.pop_front();
                    return Action::Crash(process);
                }
            }
            self.lines.pop_front();
        }
    }
}

/// The processes that wait, each once, in order.
pub(crate) fn processes(waiting: &[Ticket]) -> Vec<usize> {
    let mut processes: Vec<usize> = waiting.iter().map(|ticket| ticket.process).collect();
    processes.dedup();
    processes
}

fn any_of(dice: &mut Dice, waiting: &[Ticket], process: usize) -> usize {
    let places: Vec<usize> = (0..waiting.len()).filter(|at| waiting[*at].process == process).collect();
    dice.pick(&places)
}
