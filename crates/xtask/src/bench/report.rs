//! What is told of a run: while it goes on, and afterwards for people and for programs.

mod json;
mod markdown;

use super::machine::Machine;
use super::outcome::{Entry, Outcome};
use super::row::Row;
use super::target::Verdict;

pub(super) use json::document as json;
pub(super) use markdown::document as markdown;

/// What the figures are true of.
pub(super) struct Header {
    pub(super) machine: Machine,
    /// Of everything that took part.
    pub(super) versions: Vec<String>,
    /// How long and how often, and which cores.
    pub(super) manner: String,
}

impl Header {
    /// Line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let Machine { cpu, cores, kernel, load, date, filesystem } = &self.machine;
        vec![
            format!("machine  {cpu}, {cores} cores, Linux {kernel}"),
            format!("versions {}", self.versions.join(", ")),
            format!("begun    {date}, load average {load}"),
            format!("data     {filesystem}"),
            format!("manner   {}", self.manner),
        ]
    }
}

/// What is printed when a row begins.
pub(super) fn heading(row: &Row) -> String {
    let cpu = row.unit.cpu_label().map(|label| format!(", CPU s per {label}")).unwrap_or_default();
    format!("{}: {} ({}{cpu})", row.id, row.title, row.unit.label())
}

/// What is printed when it is done.
pub(super) fn block(outcome: &Outcome) -> String {
    let mut text = String::new();
    for entry in &outcome.entries {
        text.push_str(&line(outcome, entry));
    }
    for verdict in &outcome.verdicts {
        text.push_str(&format!("  target {}: {}\n", verdict.demand, verdict.word()));
    }
    text
}

fn line(outcome: &Outcome, entry: &Entry) -> String {
    let Some(medians) = entry.medians() else {
        let failure = entry.failure.as_deref().unwrap_or("not measured");
        return format!("  {:<16} FAILED: {failure}\n", entry.name);
    };
    let cpu = medians.cpu.map(number).unwrap_or_default();
    let mut text = format!("  {:<16} {:>10} {cpu:>9}", entry.name, number(medians.value));
    if let Some(ratios) = outcome.ratios(entry) {
        text.push_str(&format!("  {:>7}", times(ratios.value)));
        text.extend(ratios.cpu.map(|cpu| format!(", CPU {}", times(cpu))));
    }
    text.push('\n');
    text.extend(entry.remarks().iter().map(|remark| format!("  {:<16} ({remark})\n", "")));
    text
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => grouped(value),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn times(ratio: f64) -> String {
    if ratio >= 10.0 { format!("{ratio:.0}x") } else { format!("{ratio:.2}x") }
}

/// All demands of a row in one cell.
fn demands(verdicts: &[Verdict]) -> String {
    verdicts.iter().map(|verdict| verdict.demand.clone()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outcome::tests::outcome;

    #[test]
    fn a_row_is_told_with_ratios_and_whether_its_target_was_reached() {
        let outcome = outcome("manifest-tag");
        let text = block(&outcome);

        let words: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let heading = heading(outcome.row);
        assert_eq!(heading, "manifest-tag: manifest by tag (requests/s, CPU s per 1000 requests)");
        assert_eq!(words[0], ["entrepot", "40.0", "0.025", "20x,", "CPU", "0.05x"]);
        assert_eq!(words[2], ["docker-registry", "2.00", "0.500"]);
        assert!(text.ends_with("  target >= 35x: missed\n"), "{text}");
    }

    #[test]
    fn a_failure_is_told_loudly_and_instead_of_figures() {
        let mut failed = outcome("manifest-tag");
        failed.entries[0].failure = Some("404 instead of 200".to_owned());

        let text = block(&failed);

        assert!(text.contains("entrepot         FAILED: 404 instead of 200\n"), "{text}");
    }

    #[test]
    fn numbers_have_about_three_digits() {
        let said: Vec<_> = [1_234_567.8, 999.6, 12.34, 1.234, 0.01234].map(number).into();

        assert_eq!(said, ["1,234,568", "1,000", "12.3", "1.23", "0.012"]);
    }
}
