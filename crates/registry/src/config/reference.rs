//! Values that live elsewhere: `${env:NAME}`, `${file:/path}` and the `*_file` keys.
//!
//! References are replaced after the environment was laid over the file, so they work in both. A
//! file's last line break is not part of the value. `$${` stands for a literal `${`. What a reference
//! yields is never looked at again: a secret may contain any text.

use std::path::Path;

use super::check::Findings;
use super::document::{Node, Value};
use super::keys::{self, Key, Kind};
use super::problem::Problem;
use super::surroundings::Surroundings;

/// Replaces every reference in the tree.
pub(super) fn expand(tree: &mut Node, surroundings: &dyn Surroundings, findings: &mut Findings) {
    let variables = surroundings.variables();
    let lookup = Lookup { variables: &variables, surroundings };
    walk(tree, "", &lookup, findings);
    for key in keys::all() {
        if let Kind::SecretFile(target) = key.kind
            && let Err(problem) = read_secret_file(tree, key, target, surroundings)
        {
            findings.problems.push(problem);
        }
    }
}

struct Lookup<'a> {
    variables: &'a [(String, String)],
    surroundings: &'a dyn Surroundings,
}

fn walk(node: &mut Node, path: &str, lookup: &Lookup<'_>, findings: &mut Findings) {
    match &mut node.value {
        Value::Scalar(text) if text.contains("${") => match replace(text, lookup) {
            Ok(new) => *text = new,
            Err(message) => findings.problems.push(Problem::new(path, node.origin.clone(), message)),
        },
        Value::Scalar(_) => {}
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, &format!("{path}[{index}]"), lookup, findings);
            }
        }
        Value::Map(entries) => {
            for (name, entry) in entries {
                let path = super::shape::Shape::below(path, name);
                walk(entry, &path, lookup, findings);
            }
        }
    }
}

fn replace(text: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(literal) = before.strip_suffix('$') {
            done.push_str(literal);
            done.push_str("${");
            rest = &from[2..];
            continue;
        }
        done.push_str(before);
        let (value, after) = reference(from, lookup)?;
        done.push_str(&value);
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}

/// Resolves the reference that `text` starts with; anything else in braces stays as it is.
fn reference<'a>(text: &'a str, lookup: &Lookup<'_>) -> Result<(String, &'a str), String> {
    let inside = &text[2..];
    let known = inside.starts_with("env:") || inside.starts_with("file:");
    if !known {
        return Ok(("${".to_owned(), inside));
    }
    let (body, after) = inside.split_once('}').ok_or("the reference has no closing brace")?;
    let value = match body.split_once(':') {
        Some(("env", name)) => lookup.variable(name)?,
        Some((_, path)) => lookup.file(path)?,
        None => return Err("the reference names nothing".to_owned()),
    };
    Ok((value, after))
}

impl Lookup<'_> {
    fn variable(&self, name: &str) -> Result<String, String> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| format!("the environment variable {name} is not set"))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let text = self
            .surroundings
            .read(Path::new(path))
            .map_err(|error| format!("cannot read {path}: {error}"))?;
        Ok(without_line_break(&text).to_owned())
    }
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Puts the content of the file into the key it stands for.
fn read_secret_file(
    tree: &mut Node,
    key: &Key,
    target: &str,
    surroundings: &dyn Surroundings,
) -> Result<(), Problem> {
    let Some(file) = take(tree, key.path).filter(|file| !file.is_blank()) else { return Ok(()) };
    let wrong = |message: String| Problem::new(key.path, file.origin.clone(), message);
    let Value::Scalar(path) = &file.value else { return Err(wrong("one path is expected".to_owned())) };
    let text =
        surroundings.read(Path::new(path)).map_err(|error| wrong(format!("cannot read {path}: {error}")))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let secrets: Vec<_> = lines.map(|line| Node::scalar(line, file.origin.clone())).collect();
    if secrets.is_empty() {
        return Err(wrong(format!("{path} is empty")));
    }
    let slot = target.split('.').try_fold(tree, |node, name| node.child_or_blank(name, &file.origin));
    let slot = slot.filter(|slot| slot.is_blank());
    let slot = slot.ok_or_else(|| wrong(format!("`{target}` is written too; keep one of them")))?;
    *slot = Node { value: Value::List(secrets), origin: file.origin.clone() };
    Ok(())
}

/// Takes the value at `path` out of the tree.
pub(super) fn take(tree: &mut Node, path: &str) -> Option<Node> {
    match path.rsplit_once('.') {
        Some((parent, name)) => {
            let parent = parent.split('.').try_fold(tree, |node, part| node.child_mut(part))?;
            parent.remove(name)
        }
        None => tree.remove(path),
    }
}
