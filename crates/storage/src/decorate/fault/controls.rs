//! What a test holds to break a handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stepper::{Point, Stepper};
use super::{Effect, Rule};
use crate::decorate::Operation;

/// Breaks one [`Fault`](super::Fault). Clones break the same one.
#[derive(Clone, Debug)]
pub struct Controls {
    actor: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    random: u64,
    crashed: bool,
    struck: u64,
    stepper: Option<Stepper>,
}

impl Controls {
    pub(super) fn new(actor: &str, seed: u64) -> Self {
        let state = State { rules: Vec::new(), random: seed, crashed: false, struck: 0, stepper: None };
        Self { actor: actor.into(), state: Arc::new(Mutex::new(state)) }
    }

    /// The name of the handle.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Adds a rule. Rules stand side by side: each decides for itself.
    pub fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Forgets all rules. A crashed handle stays crashed.
    pub fn clear(&self) {
        self.state().rules.clear();
    }

    /// How often a rule had an effect: a test that injects faults should see that they struck.
    pub fn struck(&self) -> u64 {
        self.state().struck
    }

    /// Kills the handle: every call fails from now on, also one that waits at a [`Stepper`], and so does
    /// every body that is being read. What was applied stays.
    pub fn crash(&self) {
        self.state().crashed = true;
    }

    /// Whether the handle is dead.
    pub fn is_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Makes every call wait for `stepper`, from now on.
    pub fn step_by(&self, stepper: &Stepper) {
        self.state().stepper = Some(stepper.clone());
    }

    /// Decides what happens to one call.
    pub(super) fn plan(&self, operation: Operation, subject: &str) -> Vec<Effect> {
        let mut state = self.state();
        let State { rules, random, struck, .. } = &mut *state;
        let effects: Vec<_> =
            rules.iter_mut().filter_map(|rule| rule.apply(operation, subject, || fraction(random))).collect();
        *struck += effects.len() as u64;
        effects
    }

    pub(super) async fn wait(&self, operation: Operation, subject: &str, point: Point) {
        let stepper = self.state().stepper.clone();
        if let Some(stepper) = stepper {
            stepper.wait(&self.actor, operation, subject, point).await;
        }
    }

    /// A test that panicked elsewhere has its own message; this one must not hide it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next number between 0 and 1 of a splitmix64 sequence.
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
