//! One key, explained.

use super::keys::{self, Absent, Fate, Key, KeyOrigin};
use super::shape;

/// Explains a key, named by its path or by its environment variable; or says that there is none and which
/// one is nearest.
pub fn explain(path: &str) -> Result<String, String> {
    match keys::find(path).or_else(|| keys::all().find(|key| key.environment_variable() == path)) {
        Some(key) => Ok(page(key)),
        None => Err(match shape::nearest_path(path) {
            Some(near) => format!("there is no key `{path}`; did you mean `{near}`?"),
            None => format!("there is no key `{path}`"),
        }),
    }
}

fn page(key: &Key) -> String {
    let mut lines = vec![key.path.to_owned(), format!("  {}", key.about), String::new()];
    let mut line = |name: &str, value: &str| lines.push(format!("  {name:<12} {value}"));
    line("value", &key.kind.in_words());
    line("default", absent(key.absent));
    if !key.example.is_empty() {
        line("example", key.example);
    }
    line("environment", &key.environment_variable());
    line("origin", origin(key.origin));
    line("status", &fate(key));
    let below = children(key);
    if !below.is_empty() {
        line("keys", &below.join(", "));
    }
    lines.join("\n") + "\n"
}

fn absent(absent: Absent) -> &'static str {
    match absent {
        Absent::Nothing => "none",
        Absent::Default(value) => value,
        Absent::Required => "none; the key is required where its section is written",
    }
}

fn origin(origin: KeyOrigin) -> &'static str {
    match origin {
        KeyOrigin::Distribution => "CNCF distribution",
        KeyOrigin::DistributionTwo => "distribution 2; gone in 3",
        KeyOrigin::Entrepot => "new in Entrepot",
    }
}

/// What becomes of the key, in one phrase.
pub(super) fn fate(key: &Key) -> String {
    let (fate, decided_by) = key.outcome();
    let because = if decided_by == key.path { String::new() } else { format!(" (with `{decided_by}`)") };
    match fate {
        Fate::Works => "works".to_owned(),
        Fate::Alias(target) => format!("old name of `{target}`"),
        Fate::Ignored(why) => format!("accepted and ignored{because}: {why}"),
        Fate::NotYet(milestone, meanwhile) => {
            format!("not yet, arrives with the {milestone} milestone{because}; {meanwhile}")
        }
        Fate::Refused(instead) => format!("refused{because}: {instead}"),
    }
}

fn children(key: &Key) -> Vec<&'static str> {
    let below = |other: &&Key| other.parent().is_some_and(|parent| parent.path == key.path);
    keys::all().filter(below).map(Key::name).collect()
}
