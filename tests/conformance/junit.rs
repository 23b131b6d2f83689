//! The program's JUnit report, as far as we judge by it.
//!
//! Not a reader of XML: it knows the few elements this one program writes, and panics on a report that does
//! not add up, rather than overlook a case.

use std::fmt;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// Skipped by the program or by its configuration; the report does not tell these apart.
    Skipped,
    /// Failed, or the program itself failed at it.
    Failed,
}

/// A case of the report.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    outcome: Outcome,
    /// What the program found wrong.
    detail: String,
}

/// All cases, in order.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) cases: Vec<Case>,
}

impl Report {
    /// Reads a report; panics on what it does not understand.
    pub(crate) fn read(text: &str) -> Self {
        let cases: Vec<_> = text.split("<testcase ").skip(1).map(Case::read).collect();
        assert!(!cases.is_empty(), "the report has no cases:\n{text}");
        Self { cases }
    }

    /// The cases that ended this way.
    pub(crate) fn with(&self, outcome: Outcome) -> Vec<&Case> {
        self.cases.iter().filter(|case| case.outcome == outcome).collect()
    }
}

impl Case {
    /// Reads one from what follows `<testcase `, up to anything after its end.
    fn read(text: &str) -> Self {
        let (start, body) = text.split_once('>').expect("an element's start has an end");
        let outcome = match attribute(start, "status").as_str() {
            "passed" => Outcome::Passed,
            "skipped" => Outcome::Skipped,
            "failure" | "error" => Outcome::Failed,
            other => panic!("the report has a status we do not know: {other}"),
        };
        let detail = between(body, "<system-out>", "</system-out>").map(unescape).unwrap_or_default();
        Self { name: attribute(start, "name"), outcome, detail }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}\n    {}", self.outcome, self.name, self.detail.replace('\n', "\n    "))
    }
}

fn attribute(start: &str, name: &str) -> String {
    let value = between(start, &format!("{name}=\""), "\"");
    unescape(value.unwrap_or_else(|| panic!("no {name} in <testcase {start}>")))
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    Some(text.split_once(from)?.1.split_once(to)?.0)
}

/// Undoes what Go's encoder escapes. `&amp;` last, so that an escaped escape stays one.
fn unescape(text: &str) -> String {
    let pairs = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#xA;", "\n"),
        ("&#x9;", "\t"),
        ("&amp;", "&"),
    ];
    pairs.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[test]
fn a_report_is_read_with_names_outcomes_and_details() {
    let text = r#"<testsuites tests="3"><testsuite name="suite">
        <testcase name="suite/a &amp; b" classname="" status="passed"><system-err>x</system-err></testcase>
        <testcase name="suite/c" status="failure"><system-out>expected &#34;1&#34;&#xA;got 2</system-out></testcase>
        <testcase name="suite/d" status="skipped"></testcase></testsuite></testsuites>"#;

    let report = Report::read(text);

    let outcomes: Vec<_> = report.cases.iter().map(|case| (case.name.as_str(), case.outcome)).collect();
    let expected =
        [("suite/a & b", Outcome::Passed), ("suite/c", Outcome::Failed), ("suite/d", Outcome::Skipped)];
    assert_eq!(outcomes, expected);
    assert_eq!(report.cases[1].detail, "expected \"1\"\ngot 2");
}

#[test]
#[should_panic(expected = "a status we do not know")]
fn an_unknown_outcome_is_not_taken_for_a_pass() {
    Report::read(r#"<testcase name="suite/a" status="maybe"></testcase>"#);
}
