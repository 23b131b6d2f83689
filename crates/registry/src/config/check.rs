//! A document held against the table of keys: unknown keys, wrong values, keys that do not work.
//!
//! What comes out is a complete and clean tree of values: aliases moved, defaults filled in,
//! everything of the right kind. Meaning across keys is not judged here; that is the business of the
//! sections' own modules.

use serde_json::{Map, Value as Json};

use super::document::{Node, Value};
use super::keys::{self, Absent, Fate, Key, Kind};
use super::overlay::Unknown;
use super::problem::{Origin, Problem};
use super::reference::take;
use super::shape::{self, Shape};
use super::{Leniency, duration, secret, size};

/// What was found so far, good enough to go on collecting.
#[derive(Debug)]
pub(super) struct Findings {
    leniency: Leniency,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Findings {
    pub(super) fn new(leniency: Leniency) -> Self {
        Self { leniency, problems: Vec::new(), warnings: Vec::new() }
    }

    fn unknown_key(&mut self, beside: &Shape, path: &str, name: &str, origin: &Origin) {
        let message = unknown_message("unknown key", shape::nearest(beside, path, name));
        let problem = Problem::new(Shape::below(path, name), origin.clone(), message);
        match self.leniency {
            Leniency::Strict => self.problems.push(problem),
            Leniency::Lenient => self.warnings.push(problem),
        }
    }

    pub(super) fn unknown_variable(&mut self, origin: &Origin, unknown: &Unknown) {
        let foreign = unknown.path.is_empty();
        if !foreign {
            return self.unknown_key(unknown.beside, &unknown.path, &unknown.name, origin);
        }
        // Perhaps somebody else's variable: `REGISTRY_PASSWORD` is common in build jobs.
        let section = unknown.name.split('_').next().unwrap_or_default();
        let message = unknown_message("no such key; ignored", shape::nearest(unknown.beside, "", section));
        self.warnings.push(Problem::new("", origin.clone(), message));
    }
}

fn unknown_message(what: &str, nearest: Option<String>) -> String {
    match nearest {
        Some(path) => format!("{what}; did you mean `{path}`?"),
        None => what.to_owned(),
    }
}

/// Turns the bare names that may stand for `storage` and `auth` into the sections they mean.
pub(super) fn spell_out_choices(tree: &mut Node) {
    for choice in keys::all().filter(|key| key.kind == Kind::Choice) {
        if let Some(node) = tree.child_mut(choice.path) {
            spell_out(node);
        }
    }
}

/// Turns a bare name into a section with that member.
pub(super) fn spell_out(node: &mut Node) {
    if let Value::Scalar(name) = &node.value
        && !name.is_empty()
    {
        let member = (name.clone(), Node::scalar("", node.origin.clone()));
        node.value = Value::Map(vec![member]);
    }
}

/// Moves values written under old names to where they belong.
pub(super) fn follow_aliases(tree: &mut Node, findings: &mut Findings) {
    for key in keys::all() {
        let Fate::Alias(target) = key.fate else { continue };
        let Some(old) = take(tree, key.path).filter(|old| !old.is_blank()) else { continue };
        let slot =
            target.split('.').try_fold(&mut *tree, |node, name| node.child_or_blank(name, &old.origin));
        let Some(slot) = slot else { continue };
        let message = if slot.is_blank() {
            format!("this is the old name of `{target}`")
        } else {
            format!("this is the old name of `{target}`, which is written too and wins")
        };
        findings.warnings.push(Problem::new(key.path, old.origin.clone(), message));
        if slot.is_blank() {
            *slot = old;
        }
    }
}

/// Checks the whole document.
pub(super) fn check(tree: &Node, findings: &mut Findings) -> Map<String, Json> {
    section(shape::root(), Some(tree), "", findings)
}

fn section(shape: &Shape, node: Option<&Node>, path: &str, findings: &mut Findings) -> Map<String, Json> {
    match node.map(|node| (&node.value, node)) {
        Some((Value::Map(entries), _)) => {
            for (name, entry) in entries.iter().filter(|(name, _)| shape.child(name).is_none()) {
                findings.unknown_key(shape, path, name, &entry.origin);
            }
        }
        Some((_, node)) if !node.is_blank() => {
            findings.problems.push(Problem::new(
                path,
                node.origin.clone(),
                "a section with keys is expected here",
            ));
        }
        _ => {}
    }
    at_most_one_member(shape, node, path, findings);
    let mut values = Map::new();
    for child in &shape.children {
        let below = Shape::below(path, child.name);
        let written = node.and_then(|node| node.child(child.name));
        // Naming a store means something even if nothing more is said about it, and the keys of a section
        // are looked at even if none of them has a value.
        let walked = child.fate() == Fate::Works && matches!(child.kind(), Kind::Section | Kind::Choice);
        let written = written.filter(|written| walked || shape.is_member(child) || !written.is_blank());
        if let Some(value) = key(child, written, node, &below, findings) {
            values.insert(child.name.to_owned(), value);
        }
    }
    values
}

fn at_most_one_member(shape: &Shape, node: Option<&Node>, path: &str, findings: &mut Findings) {
    let Some(node) = node else { return };
    let written: Vec<_> = shape
        .members()
        .filter(|member| node.child(member.name).is_some())
        .map(|member| member.name)
        .collect();
    if written.len() > 1 {
        let message = format!("only one of {} can be used; keep one", written.join(", "));
        findings.problems.push(Problem::new(path, node.origin.clone(), message));
    }
}

fn key(
    shape: &Shape,
    written: Option<&Node>,
    around: Option<&Node>,
    path: &str,
    findings: &mut Findings,
) -> Option<Json> {
    let row = shape.key?;
    if row.fate != Fate::Works {
        if let Some(node) = written {
            report_fate(row.fate, node, path, findings);
        }
        return None;
    }
    match row.kind {
        Kind::Section | Kind::Choice => Some(Json::Object(section(shape, written, path, findings))),
        Kind::Optional => written.map(|node| Json::Object(section(shape, Some(node), path, findings))),
        Kind::Items => Some(items(shape, written, path, findings)),
        _ => match (written, row.absent) {
            (Some(node), _) => leaf(row, node, path, findings),
            (None, Absent::Default(text)) => {
                leaf(row, &Node::scalar(text, Origin::Unwritten), path, findings)
            }
            (None, Absent::Required) => {
                let origin = around.map_or(Origin::Unwritten, |node| node.origin.clone());
                findings.problems.push(Problem::new(path, origin, "this key is required here"));
                None
            }
            (None, Absent::Nothing) => None,
        },
    }
}

fn report_fate(fate: Fate, node: &Node, path: &str, findings: &mut Findings) {
    let problem = |message: String| Problem::new(path, node.origin.clone(), message);
    match fate {
        Fate::Works | Fate::Alias(_) => {}
        Fate::Ignored(why) => findings.warnings.push(problem(format!("this key does nothing: {why}"))),
        Fate::NotYet(milestone, meanwhile) => {
            findings.problems.push(problem(format!(
                "this key does not work yet, it arrives with the {milestone} milestone; {meanwhile}"
            )));
        }
        Fate::Refused(instead) => {
            findings.problems.push(problem(format!("this key is not supported: {instead}")))
        }
    }
}

fn items(shape: &Shape, written: Option<&Node>, path: &str, findings: &mut Findings) -> Json {
    let nodes = match written.map(|node| (&node.value, node)) {
        None => return Json::Array(Vec::new()),
        Some((Value::List(nodes), _)) => nodes,
        Some((_, node)) => {
            findings.problems.push(Problem::new(
                path,
                node.origin.clone(),
                "a list of sections is expected here",
            ));
            return Json::Array(Vec::new());
        }
    };
    let each = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| Json::Object(section(shape, Some(node), &format!("{path}[{index}]"), findings)));
    Json::Array(each.collect())
}

fn leaf(row: &Key, node: &Node, path: &str, findings: &mut Findings) -> Option<Json> {
    let read = match row.kind {
        Kind::Texts | Kind::Secrets => texts(row.kind, node),
        Kind::Headers => entries(node, |value| texts(Kind::Texts, value)),
        Kind::Fields => entries(node, |value| scalar(Kind::Text, value)),
        kind => scalar(kind, node),
    };
    let refuse = |message| findings.problems.push(Problem::new(path, node.origin.clone(), message));
    read.map_err(refuse).ok()
}

fn texts(kind: Kind, node: &Node) -> Result<Json, String> {
    let one = if kind == Kind::Secrets { Kind::Secret } else { Kind::Text };
    match &node.value {
        Value::List(items) => {
            items.iter().filter(|item| !item.is_blank()).map(|item| scalar(one, item)).collect()
        }
        // A header without a value: blank items of a list are left out, so a blank alone is none as well.
        Value::Scalar(text) if text.is_empty() => Ok(Json::Array(Vec::new())),
        Value::Scalar(_) => scalar(one, node).map(|text| Json::Array(vec![text])),
        Value::Map(_) => Err("a list is expected here, not a section".to_owned()),
    }
}

fn entries(node: &Node, read: impl Fn(&Node) -> Result<Json, String>) -> Result<Json, String> {
    let Value::Map(entries) = &node.value else {
        return Err("a section of names and values is expected here".to_owned());
    };
    let read = entries.iter().map(|(name, value)| {
        let value = read(value).map_err(|message| format!("`{name}`: {message}"))?;
        Ok((name.clone(), value))
    });
    read.collect::<Result<Map<_, _>, String>>().map(Json::Object)
}

fn scalar(kind: Kind, node: &Node) -> Result<Json, String> {
    let Value::Scalar(text) = &node.value else {
        return Err("one value is expected here, not a list or section".to_owned());
    };
    match kind {
        Kind::Flag => flag(text).map(Json::Bool),
        Kind::Count(min, max) => count(text, min, max).map(Json::from),
        Kind::Duration(min, max) => {
            let value = duration::parse(text)?;
            let given = duration::format(value);
            within(value, min, max, &given, duration::format, hint_unit(text))?;
            Ok(Json::String(given))
        }
        Kind::Size(min, max) => {
            let value = size::parse(text)?;
            within(value, min, max, text, size::format, "")?;
            Ok(Json::String(text.clone()))
        }
        Kind::OneOf(words) => word(text, words).map(Json::String),
        Kind::Secret if text == secret::HIDDEN => {
            Err("this is the placeholder of a printed configuration; put the real secret in its place"
                .to_owned())
        }
        _ => Ok(Json::String(text.clone())),
    }
}

/// The words YAML 1.1 takes for truth values, because distribution's reader does.
fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Ok(true),
        "false" | "no" | "off" | "n" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

fn count(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let value = text.parse().map_err(|_| format!("`{text}` is no whole number"))?;
    within(value, min, max, text, |bound| bound.to_string(), "")?;
    Ok(value)
}

fn within<T: PartialOrd + Copy>(
    value: T,
    min: T,
    max: T,
    text: &str,
    show: impl Fn(T) -> String,
    hint: &str,
) -> Result<(), String> {
    if value < min {
        return Err(format!("{text} is less than the least that is possible, {}{hint}", show(min)));
    }
    if value > max {
        return Err(format!("{text} is more than the most that is possible, {}{hint}", show(max)));
    }
    Ok(())
}

fn hint_unit(text: &str) -> &'static str {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        "; a bare number counts nanoseconds, so write a unit such as 10s"
    } else {
        ""
    }
}

fn word(text: &str, words: &[&str]) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    if words.contains(&lower.as_str()) {
        return Ok(lower);
    }
    Err(format!("`{text}` is not one of {}", words.join(", ")))
}
