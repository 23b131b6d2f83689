//! All schedules of a small scenario with at most so many preemptions.

use crate::run::{Failure, Scenario};
use crate::schedule::{Action, Scheduler, processes};
use crate::step::{Ticket, Verdict};

/// Follows a prefix of choices, then runs each process as long as it can.
struct Bounded {
    prefix: Vec<usize>,
    taken: Vec<Choice>,
    last: Option<usize>,
}

/// One step: which option was taken, and what each would have cost.
struct Choice {
    option: usize,
    costs: Vec<usize>,
}

impl Scheduler for Bounded {
    fn next(&mut self, waiting: &[Ticket]) -> Action {
        let options = self.options(waiting);
        let option = self.prefix.get(self.taken.len()).copied().unwrap_or(0);
        let (at, _) = options[option];
        self.taken.push(Choice { option, costs: options.iter().map(|(_, cost)| *cost).collect() });
        self.last = Some(waiting[at].process);
        Action::Grant(at, Verdict::Apply)
    }
}

impl Bounded {
    /// The waiting requests with their costs: going on is free, so is a change where the last process has
    /// nothing to ask; everything else is a preemption.
    fn options(&self, waiting: &[Ticket]) -> Vec<(usize, usize)> {
        let running = self.last.filter(|last| processes(waiting).contains(last));
        let mut options: Vec<(usize, usize)> = Vec::new();
        for (at, ticket) in waiting.iter().enumerate() {
            let is_first = at == 0 || waiting[at - 1].process != ticket.process;
            let is_free = is_first && running.is_none_or(|running| running == ticket.process);
            options.push((at, usize::from(!is_free)));
        }
        options.sort_by_key(|(at, cost)| (*cost, *at));
        options
    }

    /// The next prefix in depth-first order.
    fn successor(&self, budget: usize) -> Option<Vec<usize>> {
        let spent: Vec<usize> = self
            .taken
            .iter()
            .scan(0, |spent, choice| {
                let before = *spent;
                *spent += choice.costs[choice.option];
                Some(before)
            })
            .collect();
        for (at, choice) in self.taken.iter().enumerate().rev() {
            let next = choice.option + 1;
            if next < choice.costs.len() && spent[at] + choice.costs[next] <= budget {
                let mut prefix: Vec<usize> = self.taken[..at].iter().map(|choice| choice.option).collect();
                prefix.push(next);
                return Some(prefix);
            }
        }
        None
    }
}

/// Runs every schedule with at most `preemptions`; answers how many there were.
pub(crate) fn exhaust(scenario: &Scenario, preemptions: usize) -> Result<usize, Box<Failure>> {
    let prepared = scenario.prepare();
    let (mut prefix, mut runs) = (Vec::new(), 0);
    loop {
        let mut scheduler = Bounded { prefix, taken: Vec::new(), last: None };
        prepared.run(&mut scheduler)?;
        runs += 1;
        match scheduler.successor(preemptions) {
            Some(next) => prefix = next,
            None => return Ok(runs),
        }
    }
}
