//! `entrepot doctor`: what was found out about the store, for people or as JSON.

use std::fmt::Write as _;

use entrepot_storage::{Finding, Severity};
use serde_json::json;

use super::output::Output;
use super::{Doctor, Exit, refuse};
use crate::config::{Loaded, Surroundings};
use crate::doctor::{Diagnosis, Group};

/// Loads the configuration, has it examined and prints what was found. Fails when there was a fault.
pub(super) fn run(
    command: &Doctor,
    surroundings: &dyn Surroundings,
    examine: impl FnOnce(&Loaded) -> Diagnosis,
    output: &mut Output<'_>,
) -> Exit {
    let loaded = match command.source.load(surroundings) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error, output),
    };
    let diagnosis = examine(&loaded);
    let text = if command.json { as_json(&diagnosis) } else { as_text(&diagnosis) };
    match output.say(&text) {
        Exit::Success if diagnosis.count(Severity::Fault) > 0 => Exit::Failure,
        said => said,
    }
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "ok",
        Severity::Unknown => "unknown",
        Severity::Warning => "warning",
        Severity::Fault => "fault",
    }
}

fn as_text(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for group in &diagnosis.groups {
        write_group(&mut text, group);
    }
    let (faults, warnings) = (diagnosis.count(Severity::Fault), diagnosis.count(Severity::Warning));
    let verdict = match (faults, warnings) {
        (0, 0) => "All is well".to_owned(),
        _ => format!("{}, {}", amount(faults, "fault"), amount(warnings, "warning")),
    };
    text + &verdict
        + &match diagnosis.count(Severity::Unknown) {
            0 => ".\n".to_owned(),
            unknown => format!("; {} could not be looked at.\n", amount(unknown, "thing")),
        }
}

fn amount(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn write_group(text: &mut String, group: &Group) {
    let width = group.findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut line = |indented: std::fmt::Arguments<'_>| {
        let _always = text.write_fmt(format_args!("{indented}\n"));
    };
    line(format_args!("{}", group.title));
    for Finding { severity, subject, state, remedy } in &group.findings {
        line(format_args!("  {:<7}  {subject:<width$}  {state}", word(*severity)));
        if !remedy.is_empty() {
            line(format_args!("  {:<7}  {:<width$}  -> {remedy}", "", ""));
        }
    }
    line(format_args!(""));
}

fn as_json(diagnosis: &Diagnosis) -> String {
    let finding = |finding: &Finding| {
        json!({
            "severity": match finding.severity {
                Severity::Note => "note",
                Severity::Unknown => "unknown",
                Severity::Warning => "warning",
                Severity::Fault => "fault",
            },
            "subject": finding.subject,
            "state": finding.state,
            "remedy": finding.remedy,
        })
    };
    let group = |group: &Group| json!({ "title": group.title, "findings": group.findings.iter().map(finding).collect::<Vec<_>>() });
    let document = json!({
        "groups": diagnosis.groups.iter().map(group).collect::<Vec<_>>(),
        "faults": diagnosis.count(Severity::Fault),
        "warnings": diagnosis.count(Severity::Warning),
        "unknown": diagnosis.count(Severity::Unknown),
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use crate::config::Imagined;

    fn ill() -> Diagnosis {
        let findings = vec![
            Finding::note("driver", "s3"),
            Finding::unknown("lifecycle", "not to be read", "look yourself"),
            Finding::warning("clock", "60 s behind", "set it"),
            Finding::fault("create once", "does not hold", "use another store"),
        ];
        Diagnosis { groups: vec![Group { title: "store", findings }] }
    }

    fn ran(json: bool, configuration: &str, diagnosis: Diagnosis) -> (Exit, String) {
        let (mut results, mut complaints) = (Vec::new(), Vec::new());
        let surroundings = Imagined::nothing().file("/config.yml", configuration);
        let command = Doctor { source: Source { file: Some("/config.yml".into()), lenient: false }, json };
        let output = Output::into(&mut results, &mut complaints);
        let exit = run(&command, &surroundings, |_| diagnosis, &mut { output });
        (exit, String::from_utf8(results).expect("text"))
    }

    #[test]
    fn findings_are_aligned_and_remedies_stand_below() {
        let (exit, text) = ran(false, "version: 0.1\n", ill());

        let expected = "\
store
  ok       driver       s3
  unknown  lifecycle    not to be read
                        -> look yourself
  warning  clock        60 s behind
                        -> set it
  fault    create once  does not hold
                        -> use another store

1 fault, 1 warning; 1 thing could not be looked at.
";
        assert_eq!((exit, text.as_str()), (Exit::Failure, expected));
    }

    #[test]
    fn json_says_the_same() {
        let (exit, text) = ran(true, "version: 0.1\n", ill());

        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(exit, Exit::Failure);
        assert_eq!((&document["faults"], &document["warnings"]), (&json!(1), &json!(1)));
        assert_eq!(document["unknown"], 1);
        assert_eq!(document["groups"][0]["findings"][3]["remedy"], "use another store");
    }

    #[test]
    fn without_a_fault_it_succeeds_and_with_a_bad_configuration_it_does_not_look() {
        let well = ran(false, "version: 0.1\n", Diagnosis::default());
        let bad = ran(false, "version: 0.1\nhttp: {adr: x}\n", ill());

        assert_eq!(well, (Exit::Success, "All is well.\n".into()));
        assert_eq!(bad, (Exit::Configuration, String::new()));
    }
}
