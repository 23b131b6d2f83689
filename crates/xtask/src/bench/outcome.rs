//! What came of a row: the samples of each registry, their medians, and how they compare.

use super::note::{self, Remark};
use super::product::Product;
use super::row::{Row, Sample};
use super::target::{self, Medians, Verdict};

/// A row that was run.
pub(super) struct Outcome {
    pub(super) row: &'static Row,
    /// Entrepot first, then docker-registry, then others; those who could not be measured are left out.
    pub(super) entries: Vec<Entry>,
    pub(super) verdicts: Vec<Verdict>,
}

/// One registry in one row.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) samples: Vec<Sample>,
    /// Why there are no more samples.
    pub(super) failure: Option<String>,
}

/// How one registry stands to docker-registry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratios {
    pub(super) value: f64,
    pub(super) cpu: Option<f64>,
}

impl Entry {
    /// `None` where a measurement failed: half a row is none.
    pub(super) fn medians(&self) -> Option<Medians> {
        if self.failure.is_some() {
            return None;
        }
        let value = median(self.samples.iter().map(|sample| sample.value).collect())?;
        let cpu: Option<Vec<_>> = self.samples.iter().map(|sample| sample.cpu).collect();
        Some(Medians { value, cpu: cpu.and_then(median) })
    }

    /// What was noted on the samples.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        let notes: Vec<_> = self.samples.iter().map(|sample| sample.notes.as_slice()).collect();
        note::gather(&notes)
    }
}

impl Outcome {
    /// Compares; `earlier` are the rows that were run before.
    pub(super) fn new(row: &'static Row, entries: Vec<Entry>, earlier: &[Outcome]) -> Self {
        let mut outcome = Self { row, entries, verdicts: Vec::new() };
        let own = |id: &str| {
            let outcome = earlier.iter().find(|outcome| outcome.row.id == id)?;
            outcome.medians_of(Product::Entrepot.name())
        };
        if let Some(entrepot) = outcome.medians_of(Product::Entrepot.name()) {
            let judge = |target: &target::Target| target.judge(entrepot, outcome.baseline(), own);
            outcome.verdicts = target::of(row.id).iter().filter_map(judge).collect();
        }
        outcome
    }

    pub(super) fn medians_of(&self, name: &str) -> Option<Medians> {
        self.entries.iter().find(|entry| entry.name == name)?.medians()
    }

    fn baseline(&self) -> Option<Medians> {
        self.medians_of(Product::DockerRegistry.name())
    }

    /// How `entry` stands to docker-registry, unless it is it.
    pub(super) fn ratios(&self, entry: &Entry) -> Option<Ratios> {
        if entry.name == Product::DockerRegistry.name() {
            return None;
        }
        let (own, baseline) = (entry.medians()?, self.baseline()?);
        let cpu = own.cpu.zip(baseline.cpu).and_then(|(own, baseline)| ratio(own, baseline));
        Some(Ratios { value: ratio(own.value, baseline.value)?, cpu })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.entries.iter().any(|entry| entry.failure.is_some())
    }

    pub(super) fn is_missed(&self) -> bool {
        self.verdicts.iter().any(|verdict| !verdict.reached)
    }
}

/// None where the other is nothing: CPU time is counted in hundredths of a second.
fn ratio(own: f64, baseline: f64) -> Option<f64> {
    (baseline > 0.0).then(|| own / baseline)
}

/// The middle, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::note::Note;
    use crate::bench::row::find;

    fn entry(name: &str, values: &[f64]) -> Entry {
        let sample = |&value| Sample { value, cpu: Some(1.0 / value), notes: vec![Note::plain("noisy")] };
        Entry { name: name.to_owned(), samples: values.iter().map(sample).collect(), failure: None }
    }

    /// Entrepot at 40 and docker-registry at 2, with a peer at 10.
    pub(in crate::bench) fn outcome(row: &str) -> Outcome {
        let entries = vec![
            entry("entrepot", &[30.0, 50.0, 40.0]),
            entry("docker-registry", &[2.0, 1.0, 3.0]),
            entry("angos", &[10.0]),
        ];
        Outcome::new(find(row).unwrap(), entries, &[])
    }

    #[test]
    fn the_median_is_the_middle_of_any_order() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn everybody_is_compared_with_docker_registry_by_medians() {
        let outcome = outcome("manifest-tag");

        let ratios: Vec<_> = outcome.entries.iter().map(|entry| outcome.ratios(entry)).collect();

        assert_eq!(ratios[0], Some(Ratios { value: 20.0, cpu: Some(0.05) }));
        assert_eq!(ratios[1], None);
        assert_eq!(ratios[2].unwrap().value, 5.0);
        assert!(outcome.is_missed() && !outcome.has_failed());
    }

    #[test]
    fn a_failed_measurement_leaves_nothing_to_compare() {
        let mut baseline = entry("docker-registry", &[2.0]);
        baseline.failure = Some("404".to_owned());

        let outcome =
            Outcome::new(find("manifest-tag").unwrap(), vec![entry("entrepot", &[1.0]), baseline], &[]);

        assert!(outcome.has_failed() && outcome.verdicts.is_empty());
        assert_eq!(outcome.ratios(&outcome.entries[0]), None);
    }

    #[test]
    fn a_row_is_judged_by_an_earlier_one() {
        let earlier = [outcome("tags-1000")];

        let later = Outcome::new(find("tags-100000").unwrap(), outcome("tags-100000").entries, &earlier);

        assert_eq!(later.verdicts.len(), 2);
        assert!(later.verdicts[1].reached);
    }
}
