//! Numbers that follow from a seed, so that a run that failed can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::environment;

/// A source of numbers, good enough for choosing what to do next.
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// Numbers that follow from `seed`.
    pub const fn of(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// From the seed of `ENTREPOT_TEST_SEED`, or a new one, which is printed.
    #[expect(clippy::print_stdout, reason = "who sees the run fail wants to repeat it")]
    pub fn announced() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs();
        let seed = environment::variable("ENTREPOT_TEST_SEED");
        let seed = seed.map_or_else(now, |text| text.parse().expect("a seed is a number"));
        println!("ENTREPOT_TEST_SEED={seed} repeats this run");
        Self::of(seed)
    }

    /// What it began with.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `bound`.
    pub fn roll(&mut self, bound: u64) -> u64 {
        // A linear congruence with Knuth's constants; the high bits are the good ones.
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % bound
    }
}
