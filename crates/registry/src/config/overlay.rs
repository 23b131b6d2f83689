//! `REGISTRY_*` environment variables laid over the document.
//!
//! `_` goes one level down, a number picks an item of a list, and variables beat the file. Names are
//! resolved along the table, so a key with an underscore of its own (`limits.max_blob_size`) is found
//! as well. More general variables apply before more specific ones, as in distribution:
//! `REGISTRY_STORAGE=filesystem` replaces the section, `REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY`
//! then sets a key in it.
//!
//! Not every `REGISTRY_*` variable is ours: Kubernetes injects such names for a service called
//! `registry`, and build jobs like `REGISTRY_PASSWORD`. The former are passed over in silence, an
//! unknown first word is a warning, and an unknown name below a known section is as wrong as in the
//! file.

use std::sync::Arc;

use super::check::Findings;
use super::document::{self, Node, Value};
use super::keys::Kind;
use super::problem::{Origin, Problem};
use super::shape::{self, Shape};

const PREFIX: &str = "REGISTRY_";
/// Read elsewhere or, as in distribution, not to be overridden.
const NOT_KEYS: [&str; 2] = ["REGISTRY_CONFIGURATION_PATH", "REGISTRY_VERSION"];

/// Lays all variables that concern us over the tree.
pub(super) fn apply(tree: &mut Node, mut variables: Vec<(String, String)>, findings: &mut Findings) {
    variables.retain(|(name, value)| concerns_us(name, value));
    variables.sort();
    for (name, value) in variables {
        if let Err(problem) = set(tree, &name, &value, findings) {
            findings.problems.push(problem);
        }
    }
}

fn concerns_us(name: &str, value: &str) -> bool {
    name.starts_with(PREFIX) && !NOT_KEYS.contains(&name) && !is_service_link(name, value)
}

/// The names Kubernetes and old Docker links give the addresses of a service.
fn is_service_link(name: &str, value: &str) -> bool {
    let address = name.ends_with("_PORT") && value.contains("://");
    let port = name.rsplit_once("_PORT_").is_some_and(|(_, rest)| {
        let mut parts = rest.split('_');
        let number = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
        number && parts.next().is_some_and(|part| matches!(part, "TCP" | "UDP" | "SCTP"))
    });
    address || port || name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
}

/// One step from a value to a value below it.
enum Step {
    Child(String),
    Index(usize),
    /// A free name in a map; an entry there that differs only in case is meant.
    Name(String),
}

fn set(tree: &mut Node, variable: &str, value: &str, findings: &mut Findings) -> Result<(), Problem> {
    let origin = Origin::Variable(Arc::from(variable));
    let words: Vec<&str> = variable[PREFIX.len()..].split('_').collect();
    match resolve(shape::root(), "", &words) {
        Ok((steps, kind)) => {
            let target = steps.iter().try_fold(tree, |node, step| descend(node, step, &origin))?;
            *target = read(value, kind, &origin)?;
        }
        Err(unknown) => findings.unknown_variable(&origin, &unknown),
    }
    Ok(())
}

/// Where the name of a variable stopped making sense.
pub(super) struct Unknown {
    pub(super) beside: &'static Shape,
    pub(super) path: String,
    pub(super) name: String,
}

type Resolved = (Vec<Step>, Kind);

fn resolve(shape: &'static Shape, path: &str, words: &[&str]) -> Result<Resolved, Unknown> {
    let kind = shape.kind();
    let Some((first, rest)) = words.split_first() else { return Ok((Vec::new(), kind)) };
    match kind {
        Kind::Section | Kind::Optional | Kind::Choice => child(shape, path, words),
        Kind::Items => {
            let index = first.parse().map_err(|_| unknown(shape, path, words))?;
            let found =
                if rest.is_empty() { Ok((Vec::new(), Kind::Section)) } else { child(shape, path, rest) };
            found.map(|found| before(Step::Index(index), found))
        }
        Kind::Texts | Kind::Secrets if rest.is_empty() => {
            let index = first.parse().map_err(|_| unknown(shape, path, words))?;
            Ok((vec![Step::Index(index)], Kind::Text))
        }
        Kind::Fields => Ok((vec![Step::Name(words.join("_").to_lowercase())], Kind::Text)),
        Kind::Headers => Ok(header(words)),
        // Whatever it says, the key above it is refused.
        Kind::Anything => Ok((Vec::new(), Kind::Anything)),
        _ => Err(unknown(shape, path, words)),
    }
}

/// Finds the child that the first words name; the longest name that leads anywhere wins.
fn child(shape: &'static Shape, path: &str, words: &[&str]) -> Result<Resolved, Unknown> {
    let mut failure = None;
    for count in (1..=words.len()).rev() {
        let name = words[..count].join("_");
        let Some(child) = shape.children.iter().find(|child| is_called(child, &name)) else { continue };
        match resolve(child, &Shape::below(path, child.name), &words[count..]) {
            Ok(found) => return Ok(before(Step::Child(child.name.to_owned()), found)),
            Err(deeper) => failure = failure.or(Some(deeper)),
        }
    }
    Err(failure.unwrap_or_else(|| unknown(shape, path, words)))
}

fn is_called(shape: &Shape, name: &str) -> bool {
    shape.name.to_uppercase() == name || shape.key.is_some_and(|key| key.variable == Some(name))
}

/// `X-FRAME-OPTIONS` or `X-FRAME-OPTIONS_0`.
fn header(words: &[&str]) -> Resolved {
    let index = words.last().filter(|_| words.len() > 1).and_then(|word| word.parse().ok());
    let name = &words[..words.len() - usize::from(index.is_some())];
    let mut steps = vec![Step::Name(name.join("_").to_lowercase())];
    steps.extend(index.map(Step::Index));
    (steps, if index.is_some() { Kind::Text } else { Kind::Texts })
}

fn before(step: Step, (mut steps, kind): Resolved) -> Resolved {
    steps.insert(0, step);
    (steps, kind)
}

fn unknown(beside: &'static Shape, path: &str, words: &[&str]) -> Unknown {
    Unknown { beside, path: path.to_owned(), name: words.join("_").to_lowercase() }
}

fn descend<'a>(node: &'a mut Node, step: &Step, origin: &Origin) -> Result<&'a mut Node, Problem> {
    let misplaced = |message: &str| Problem::new("", origin.clone(), message);
    match step {
        Step::Child(name) => node
            .child_or_blank(name, origin)
            .ok_or_else(|| misplaced("the file has one value where this variable expects a section")),
        Step::Name(name) => {
            let written = match &node.value {
                Value::Map(entries) => {
                    entries.iter().map(|(key, _)| key).find(|key| key.eq_ignore_ascii_case(name))
                }
                _ => None,
            };
            let name = written.unwrap_or(name).clone();
            node.child_or_blank(&name, origin)
                .ok_or_else(|| misplaced("the file has one value where this variable expects a section"))
        }
        Step::Index(index) => item(node, *index, origin),
    }
}

/// The item of a list; the one after the last is added.
fn item<'a>(node: &'a mut Node, index: usize, origin: &Origin) -> Result<&'a mut Node, Problem> {
    if let Value::Scalar(text) = &node.value {
        let only = (!text.is_empty()).then(|| node.clone());
        node.value = Value::List(only.into_iter().collect());
    }
    let Value::List(items) = &mut node.value else {
        return Err(Problem::new(
            "",
            origin.clone(),
            "the file has a section where this variable expects a list",
        ));
    };
    if index == items.len() {
        items.push(Node::scalar("", origin.clone()));
    }
    let count = items.len();
    items.get_mut(index).ok_or_else(|| {
        Problem::new("", origin.clone(), format!("the list has {count} items, so the next index is {count}"))
    })
}

/// Reads the value of a variable as YAML, as distribution does.
///
/// A password such as `#x` or `a: b` is no YAML text; where the key wants a text, it is meant
/// literally.
fn read(value: &str, kind: Kind, origin: &Origin) -> Result<Node, Problem> {
    let parsed =
        if value.trim().is_empty() { Ok(Node::scalar("", origin.clone())) } else { document::parse(value) };
    let structured =
        kind.is_section() || matches!(kind, Kind::Texts | Kind::Headers | Kind::Fields | Kind::Anything);
    let mut node = match parsed {
        Ok(node) if structured || kind == Kind::Secrets || matches!(node.value, Value::Scalar(_)) => node,
        Err(problem) if structured => return Err(Problem::new("", origin.clone(), problem.message)),
        Ok(_) | Err(_) => Node::scalar(value, origin.clone()),
    };
    stamp(&mut node, origin);
    if kind == Kind::Choice {
        super::check::spell_out(&mut node);
    }
    Ok(node)
}

/// Marks a whole value as written in the variable.
fn stamp(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| stamp(item, origin)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, entry)| stamp(entry, origin)),
    }
}
