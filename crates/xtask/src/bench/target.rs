//! What is to be reached, in one place, and whether it was.

use super::row::{self, Unit};

/// A demand on Entrepot in one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// At least so many times the rate of docker-registry.
    Rate(f64),
    /// At most so many times its CPU time, for the same work.
    Cpu(f64),
    /// At most so many times its memory.
    Memory(f64),
    /// Less than so much, whatever others need.
    Below(f64),
    /// At least so much, whatever others do.
    AtLeast(f64),
    /// At least so much of Entrepot's own rate in another row, or at most the inverse of its time.
    Keeps(f64, &'static str),
}

use Target::{AtLeast, Below, Cpu, Keeps, Memory, Rate};

/// The table. Where it asks for independence of the amount, a figure within the noise of two rows.
const TARGETS: &[(&str, &[Target])] = &[
    ("manifest-tag", &[Rate(35.0)]),
    ("manifest-digest", &[Rate(40.0)]),
    ("blob-head", &[Rate(50.0)]),
    ("blob-4k", &[Rate(60.0)]),
    ("blob-1m", &[Rate(5.0)]),
    ("pull-1", &[Rate(1.5), Cpu(0.8)]),
    ("pull-4", &[Rate(1.5), Cpu(0.8)]),
    ("push-1", &[Rate(4.0), Cpu(0.3)]),
    ("push-4", &[Rate(4.0), Cpu(0.3)]),
    ("small-push-1", &[Rate(5.0)]),
    ("tags-1000", &[Rate(10.0)]),
    ("tags-100000", &[Rate(10.0), Keeps(0.8, "tags-1000")]),
    ("start-filled", &[Keeps(0.67, "start-empty")]),
    ("memory-peak", &[Memory(1.0)]),
    ("memory-connections", &[Below(20.0)]),
    ("redirects", &[AtLeast(20_000.0)]),
    ("stored-image-push", &[Rate(2.0)]),
    ("stored-image-patch", &[Rate(2.0)]),
    ("stored-push", &[Rate(2.0), Cpu(0.5)]),
    ("commit-1g", &[Keeps(0.5, "commit-10m")]),
    ("commit-20g", &[Keeps(0.5, "commit-10m"), Below(1000.0)]),
    ("upload-memory-1", &[Below(UPLOAD_MEBIBYTES)]),
    ("upload-memory-4", &[Below(UPLOAD_MEBIBYTES)]),
];

/// Two parts of 16 MiB in flight and one that is filled, as both are by default, and 2 MiB.
const UPLOAD_MEBIBYTES: f64 = 3.0 * 16.0 + 2.0;

/// What is demanded of a row.
pub(super) fn of(row: &str) -> &'static [Target] {
    TARGETS.iter().find(|(id, _)| *id == row).map_or(&[], |(_, targets)| targets)
}

/// Medians of one registry in one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Medians {
    pub(super) value: f64,
    pub(super) cpu: Option<f64>,
}

/// How a target was met.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) demand: String,
    pub(super) reached: bool,
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        if self.reached { "reached" } else { "missed" }
    }
}

impl Target {
    /// Whether Entrepot's medians meet it. `None` where there is nothing to compare with.
    pub(super) fn judge(
        self,
        entrepot: Medians,
        baseline: Option<Medians>,
        own: impl Fn(&str) -> Option<Medians>,
    ) -> Option<Verdict> {
        let (demand, reached) = match self {
            Rate(least) => (format!(">= {least}x"), entrepot.value >= least * baseline?.value),
            Cpu(most) => (format!("<= {most}x CPU"), entrepot.cpu? <= most * baseline?.cpu?),
            Memory(most) => (format!("<= {most}x"), entrepot.value <= most * baseline?.value),
            Below(bound) => (format!("< {bound}"), entrepot.value < bound),
            AtLeast(bound) => (format!(">= {bound}"), entrepot.value >= bound),
            Keeps(share, row) => {
                let other = own(row)?.value;
                let is_time = row::find(row).is_ok_and(|row| row.unit == Unit::Milliseconds);
                let kept = if is_time { other / entrepot.value } else { entrepot.value / other };
                (format!("{share} of {row}"), kept >= share)
            }
        };
        Some(Verdict { demand, reached })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::find;

    fn reached(target: Target, entrepot: (f64, f64), baseline: (f64, f64)) -> bool {
        let medians = |(value, cpu)| Medians { value, cpu: Some(cpu) };
        let own = |_: &str| Some(medians((10.0, 1.0)));
        target.judge(medians(entrepot), Some(medians(baseline)), own).unwrap().reached
    }

    #[test]
    fn every_target_is_of_a_row_that_there_is() {
        for (id, targets) in TARGETS {
            assert!(find(id).is_ok(), "{id}");
            for target in *targets {
                assert!(!matches!(target, Keeps(_, row) if find(row).is_err()), "{id}");
            }
        }
    }

    #[test]
    fn rates_are_to_be_higher_and_costs_lower() {
        assert!(reached(Rate(5.0), (50.0, 1.0), (10.0, 1.0)));
        assert!(!reached(Rate(5.0), (49.0, 1.0), (10.0, 1.0)));
        assert!(reached(Cpu(0.3), (1.0, 0.3), (1.0, 1.0)));
        assert!(!reached(Cpu(0.3), (1.0, 0.4), (1.0, 1.0)));
        assert!(reached(Memory(1.0), (9.0, 0.0), (9.0, 0.0)));
        assert!(!reached(Memory(1.0), (10.0, 0.0), (9.0, 0.0)));
        assert!(!reached(Below(20.0), (20.0, 0.0), (99.0, 0.0)));
        assert!(reached(AtLeast(20.0), (20.0, 0.0), (99.0, 0.0)));
        assert!(!reached(AtLeast(20.0), (19.0, 0.0), (1.0, 0.0)));
    }

    #[test]
    fn a_rate_keeps_up_with_another_row_from_below_and_a_time_from_above() {
        assert!(reached(Keeps(0.8, "tags-1000"), (8.0, 0.0), (1.0, 0.0)));
        assert!(!reached(Keeps(0.8, "tags-1000"), (7.0, 0.0), (1.0, 0.0)));
        assert!(reached(Keeps(0.8, "start-empty"), (12.0, 0.0), (1.0, 0.0)));
        assert!(!reached(Keeps(0.8, "start-empty"), (13.0, 0.0), (1.0, 0.0)));
    }

    #[test]
    fn without_the_other_there_is_no_verdict() {
        assert_eq!(Rate(1.0).judge(Medians::default(), None, |_| None), None);
        assert_eq!(Keeps(0.8, "tags-1000").judge(Medians::default(), None, |_| None), None);
    }
}
