//! A run for people, to be kept beside an issue.

use super::{Header, demands, number, times};
use crate::bench::outcome::{Entry, Outcome};
use crate::bench::product::Product;

/// All of it: where it was, and a table.
pub(crate) fn document(header: &Header, outcomes: &[Outcome]) -> String {
    let peers = peers(outcomes);
    let mut text: String = header.lines().iter().map(|line| format!("    {line}\n")).collect();
    let columns =
        ["work", "unit", "Entrepot", "CPU s", "docker-registry", "CPU s", "ratio", "CPU", "target", ""];
    let columns = columns.iter().map(|column| (*column).to_owned()).chain(peers.iter().cloned());
    let columns: Vec<_> = columns.collect();
    text.push_str(&format!("\n{}{}", line(&columns), line(&vec!["---".to_owned(); columns.len()])));
    for outcome in outcomes {
        text.push_str(&line(&cells(outcome, &peers)));
    }
    text.push_str(&remarks(outcomes));
    text
}

/// Everybody else, in the order they came.
fn peers(outcomes: &[Outcome]) -> Vec<String> {
    let ours = [Product::Entrepot.name(), Product::DockerRegistry.name()];
    let mut peers: Vec<String> = Vec::new();
    for entry in outcomes.iter().flat_map(|outcome| &outcome.entries) {
        if !ours.contains(&entry.name.as_str()) && !peers.contains(&entry.name) {
            peers.push(entry.name.clone());
        }
    }
    peers
}

fn cells(outcome: &Outcome, peers: &[String]) -> Vec<String> {
    let find = |name: &str| outcome.entries.iter().find(|entry| entry.name == name);
    let mut cells = vec![outcome.row.title.to_owned(), unit(outcome)];
    let entrepot = find(Product::Entrepot.name());
    cells.extend(figures(entrepot));
    cells.extend(figures(find(Product::DockerRegistry.name())));
    let ratios = entrepot.and_then(|entry| outcome.ratios(entry));
    cells.push(ratios.map(|ratios| times(ratios.value)).unwrap_or_default());
    cells.push(ratios.and_then(|ratios| ratios.cpu).map(times).unwrap_or_default());
    cells.push(demands(&outcome.verdicts));
    let words: Vec<_> = outcome.verdicts.iter().map(super::Verdict::word).collect();
    cells.push(words.join(", "));
    cells.extend(peers.iter().map(|name| find(name).map(|entry| peer(outcome, entry)).unwrap_or_default()));
    cells
}

fn unit(outcome: &Outcome) -> String {
    let unit = outcome.row.unit;
    unit.cpu_label()
        .map_or_else(|| unit.label().to_owned(), |per| format!("{}, CPU s per {per}", unit.label()))
}

fn figures(entry: Option<&Entry>) -> [String; 2] {
    match entry.map(|entry| (entry.medians(), &entry.failure)) {
        Some((Some(medians), _)) => [number(medians.value), medians.cpu.map(number).unwrap_or_default()],
        Some((None, Some(_))) => ["FAILED".to_owned(), String::new()],
        _ => Default::default(),
    }
}

fn peer(outcome: &Outcome, entry: &Entry) -> String {
    let [value, _] = figures(Some(entry));
    let ratio = outcome.ratios(entry).map(|ratios| format!(" ({})", times(ratios.value)));
    format!("{value}{}", ratio.unwrap_or_default())
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn remarks(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        for entry in &outcome.entries {
            let failure = entry.failure.iter().map(|failure| failure.replace('\n', " "));
            for said in entry.remarks().iter().map(ToString::to_string).chain(failure) {
                text.push_str(&format!("- {}, {}: {said}\n", outcome.row.title, entry.name));
            }
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outcome::tests::outcome;

    #[test]
    fn a_line_has_figures_ratios_target_and_every_peer() {
        let outcomes = [outcome("manifest-tag")];

        let cells = cells(&outcomes[0], &peers(&outcomes));

        assert_eq!(
            cells[2..],
            ["40.0", "0.025", "2.00", "0.500", "20x", "0.05x", ">= 35x", "missed", "10.0 (5.00x)"]
        );
    }

    #[test]
    fn remarks_stand_below_the_table() {
        assert!(remarks(&[outcome("manifest-tag")]).contains("- manifest by tag, angos: noisy\n"));
    }
}
