//! A run for programs: every sample, so that others may take other means than medians.

use serde_json::{Value, json};

use super::Header;
use crate::bench::machine::Machine;
use crate::bench::outcome::{Entry, Outcome};
use crate::bench::row::Sample;

/// All of it.
pub(crate) fn document(header: &Header, outcomes: &[Outcome]) -> String {
    let Machine { cpu, cores, kernel, load, date, filesystem } = &header.machine;
    let machine = json!({
        "cpu": cpu, "cores": cores, "kernel": kernel, "load": load, "date": date, "filesystem": filesystem,
    });
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    let document = json!({
        "machine": machine, "versions": header.versions, "manner": header.manner, "rows": rows,
    });
    format!("{document:#}\n")
}

fn row(outcome: &Outcome) -> Value {
    let verdict = |verdict: &super::Verdict| json!({"target": verdict.demand, "reached": verdict.reached});
    json!({
        "id": outcome.row.id,
        "title": outcome.row.title,
        "unit": outcome.row.unit.label(),
        "cpu_per": outcome.row.unit.cpu_label(),
        "registries": outcome.entries.iter().map(|one| entry(outcome, one)).collect::<Vec<_>>(),
        "targets": outcome.verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}

fn entry(outcome: &Outcome, entry: &Entry) -> Value {
    let (medians, ratios) = (entry.medians(), outcome.ratios(entry));
    let sample = |sample: &Sample| json!({"value": sample.value, "cpu_seconds": sample.cpu});
    json!({
        "name": entry.name,
        "median": medians.map(|medians| medians.value),
        "cpu_seconds": medians.and_then(|medians| medians.cpu),
        "ratio": ratios.map(|ratios| ratios.value),
        "cpu_ratio": ratios.and_then(|ratios| ratios.cpu),
        "samples": entry.samples.iter().map(sample).collect::<Vec<_>>(),
        "remarks": entry.remarks().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failure": entry.failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outcome::tests::outcome;

    #[test]
    fn a_row_holds_samples_medians_ratios_and_verdicts() {
        let row = row(&outcome("manifest-tag"));

        assert_eq!(row["registries"][0]["samples"][1]["value"], 50.0);
        assert_eq!(row["registries"][0]["median"], 40.0);
        assert_eq!(row["registries"][0]["ratio"], 20.0);
        assert_eq!(row["registries"][1]["ratio"], Value::Null);
        assert_eq!(row["targets"][0], json!({"target": ">= 35x", "reached": false}));
    }
}
