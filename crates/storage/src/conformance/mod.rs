//! One named case per sentence of the driver contract, for drivers and decorators alike.
//!
//! A driver's `tests/conformance.rs` is two lines: a function that makes a [`Subject`], and
//! [`conformance_tests!`](crate::conformance_tests) with its name, which writes one `#[test]` per case
//! so that the first failure does not hide the rest. Cases are chosen by declared capability, never by
//! a driver's name; one that does not apply says so on its output.
//!
//! Every case works below a prefix of its own, so a shared bucket is a fine place to run them. They
//! leave their objects behind.

mod cases;
mod conditions;
mod deletes;
mod failing;
mod listing;
mod objects;
mod preparing;
mod presigning;
mod ranges;
mod trial;
mod uploads;

pub use cases::CASES;
pub use failing::{asking_again, unreliable};
pub use trial::{Subject, Trial, run};

use std::pin::Pin;

use crate::Capabilities;

/// What a case does when it runs. It panics where the driver breaks its word.
pub type Run = fn(Trial) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One sentence of the contract and how it is tried.
#[derive(Clone, Copy)]
pub struct Case {
    /// The name of the case: what should be seen.
    pub name: &'static str,
    /// The sentence of the contract it stands for.
    pub sentence: &'static str,
    /// Whether a store with these abilities owes it.
    pub requires: fn(&Capabilities) -> bool,
    /// Tries it.
    pub run: Run,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::CASES;

    #[test]
    fn no_two_cases_share_a_name() {
        let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();

        assert_eq!(names.len(), CASES.len());
    }
}
