//! The list of distribution's keys and what becomes of each, for people who move.

use super::explain::fate;
use super::keys::{self, Absent, Fate, Key, KeyOrigin};

/// The list as Markdown.
pub fn markdown() -> String {
    let mut text = String::from(
        "# What becomes of distribution's configuration keys\n\n\
         Printed from the table of keys; do not edit.\n\n\
         | key | default here | what becomes of it |\n|---|---|---|\n",
    );
    keys::all().filter(|key| key.origin == KeyOrigin::Distribution).for_each(|key| text.push_str(&row(key)));
    text.push_str("\n## Keys of distribution 2 that distribution 3 dropped\n\n| key | default here | what becomes of it |\n|---|---|---|\n");
    keys::all()
        .filter(|key| key.origin == KeyOrigin::DistributionTwo)
        .for_each(|key| text.push_str(&row(key)));
    text
}

fn row(key: &Key) -> String {
    let (outcome, decided_by) = key.outcome();
    let becomes = if decided_by == key.path { fate(key) } else { format!("as `{decided_by}`") };
    let default = match (outcome, key.absent) {
        (Fate::Works, Absent::Default(value)) => format!("`{value}`"),
        (Fate::Works, Absent::Required) => "required".to_owned(),
        _ => String::new(),
    };
    format!("| `{}` | {default} | {} |\n", key.path, becomes.replace('|', "\\|"))
}
