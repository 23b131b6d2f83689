//! A YAML document as a tree that remembers where each value was written.
//!
//! Scalars stay text: `0.1`, `yes` and `0123` mean what the key they stand under says they mean, so
//! nothing is guessed here. Anchors, aliases and `<<` work as they do in distribution. A document is
//! refused when it nests too deeply, grows too large through aliases, repeats a key, or is followed
//! by a second document.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::problem::{Origin, Problem};

/// Deeper than any key we know; keeps hostile input off the stack.
const MAX_DEPTH: usize = 32;
/// Counted after aliases are expanded, so that a few lines cannot become a billion.
const MAX_NODES: usize = 50_000;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Text, still to be read as whatever its key wants. Null is the empty text.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn empty_map(origin: Origin) -> Self {
        Self { value: Value::Map(Vec::new()), origin }
    }

    pub(super) fn scalar(text: impl Into<String>, origin: Origin) -> Self {
        Self { value: Value::Scalar(text.into()), origin }
    }

    /// Nothing was really written: null, an empty text, or a container of such values.
    ///
    /// distribution reads these as the zero value, and deployment templates leave many behind.
    pub(super) fn is_blank(&self) -> bool {
        match &self.value {
            Value::Scalar(text) => text.is_empty(),
            Value::List(items) => items.iter().all(Node::is_blank),
            Value::Map(entries) => entries.iter().all(|(_, node)| node.is_blank()),
        }
    }

    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, node)| node),
            _ => None,
        }
    }

    pub(super) fn child_mut(&mut self, name: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Map(entries) => entries.iter_mut().find(|(key, _)| key == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Takes the child out of the tree.
    pub(super) fn remove(&mut self, name: &str) -> Option<Node> {
        match &mut self.value {
            Value::Map(entries) => {
                let at = entries.iter().position(|(key, _)| key == name)?;
                Some(entries.remove(at).1)
            }
            _ => None,
        }
    }

    /// The child of that name, made as a blank value if it is not there yet.
    ///
    /// A blank node becomes a map; a list or a text that is no section keeps its value and has no
    /// children to give.
    pub(super) fn child_or_blank(&mut self, name: &str, origin: &Origin) -> Option<&mut Node> {
        if matches!(&self.value, Value::Scalar(text) if text.is_empty()) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return None };
        let at = entries.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
            entries.push((name.to_owned(), Node::scalar("", origin.clone())));
            entries.len() - 1
        });
        Some(&mut entries[at].1)
    }

    /// Where `path` was written, or the nearest section above it that was.
    pub(super) fn origin_of(&self, path: &str) -> Origin {
        let mut node = self;
        let mut origin = Origin::Unwritten;
        for part in path.split('.') {
            let (name, index) = split_index(part);
            let Some(next) = node.child(name).and_then(|found| found.item(index)) else { break };
            node = next;
            origin = node.origin.clone();
        }
        origin
    }

    fn item(&self, index: Option<usize>) -> Option<&Node> {
        match (&self.value, index) {
            (_, None) => Some(self),
            (Value::List(items), Some(index)) => items.get(index),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }
}

/// `http[2]` names item 2 of `http`.
fn split_index(part: &str) -> (&str, Option<usize>) {
    match part.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((name, index)) => (name, index.parse().ok()),
        None => (part, None),
    }
}

/// Reads one YAML document. An empty one is an empty map.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let mut composer = Composer { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    composer.document()
}

struct Composer<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Composer<'a> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root.unwrap_or_else(|| Node::empty_map(Origin::Unwritten))),
                Event::StreamStart | Event::Nothing | Event::DocumentStart(_) | Event::DocumentEnd => {}
                _ if root.is_some() => return Err(at(span, "a second YAML document follows; keep only one")),
                event => root = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(pair)) => Ok(pair),
            Some(Err(error)) => Err(broken(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(at(span, "nested too deeply for a configuration"));
        }
        self.count(1, span)?;
        let origin = Origin::Line(span.start.line());
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, _) => (anchor, Value::Scalar(scalar(&text, style))),
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => return Err(at(span, "a value was expected here")),
        };
        let node = Node { value, origin };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Problem> {
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or_else(|| at(span, "the alias names an anchor that is not complete yet"))?;
        self.count(node.size(), span)?;
        Ok(node)
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Problem> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(at(span, "too many values for a configuration"));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (name, span, plain) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(text, style, ..), span) => {
                    (text.into_owned(), span, style == ScalarStyle::Plain)
                }
                (_, span) => return Err(at(span, "a key must be a plain word")),
            };
            let (event, value_span) = self.next()?;
            let mut value = self.node(event, value_span, depth + 1)?;
            if plain && name == "<<" {
                merged.push((value, span));
                continue;
            }
            if let Some((_, first)) = entries.iter().find(|(key, _)| *key == name) {
                return Err(twice(&name, first, span));
            }
            // Problems point at the key: the value of a section starts a line below it.
            value.origin = Origin::Line(span.start.line());
            entries.push((name, value));
        }
        merged.into_iter().try_for_each(|(value, span)| merge(&mut entries, value, span))?;
        Ok(Value::Map(entries))
    }
}

/// Adds what `<<` brings; keys written beside it win.
fn merge(entries: &mut Vec<(String, Node)>, value: Node, span: Span) -> Result<(), Problem> {
    match value.value {
        Value::Map(more) => {
            for (name, node) in more {
                if !entries.iter().any(|(key, _)| *key == name) {
                    entries.push((name, node));
                }
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| merge(entries, item, span)),
        Value::Scalar(_) => Err(at(span, "`<<` merges sections, and this is none")),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> String {
    let null = style == ScalarStyle::Plain && matches!(text, "~" | "null" | "Null" | "NULL");
    if null { String::new() } else { text.to_owned() }
}

fn twice(name: &str, first: &Node, span: Span) -> Problem {
    let line = match first.origin {
        Origin::Line(line) => format!(", first on line {line}"),
        _ => String::new(),
    };
    at(span, format!("the key `{name}` is written twice{line}; keep one"))
}

fn at(span: Span, message: impl Into<String>) -> Problem {
    Problem::new("", Origin::Line(span.start.line()), message)
}

fn broken(error: &ScanError) -> Problem {
    let message = format!("this is not YAML: {}", error.info());
    Problem::new("", Origin::Line(error.marker().line()), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(node: &'a Node, path: &[&str]) -> &'a str {
        let found = path.iter().fold(node, |node, name| node.child(name).expect("the path exists"));
        match &found.value {
            Value::Scalar(text) => text,
            other => panic!("{path:?} is {other:?}"),
        }
    }

    #[test]
    fn values_remember_the_line_of_their_key() {
        let tree = parse("version: 0.1\nhttp:\n  tls:\n    key: /k\n").expect("valid");

        assert_eq!(tree.origin_of("http"), Origin::Line(2));
        assert_eq!(tree.origin_of("http.tls.key"), Origin::Line(4));
        assert_eq!(tree.origin_of("http.tls.certificate"), Origin::Line(3));
        assert_eq!(tree.origin_of("log.level"), Origin::Unwritten);
    }

    #[test]
    fn list_items_are_found_by_index() {
        let tree = parse("health:\n  file:\n    - file: /a\n    - file: /b\n").expect("valid");

        assert_eq!(tree.origin_of("health.file[1].file"), Origin::Line(4));
    }

    #[test]
    fn scalars_are_kept_as_they_were_written() {
        let tree = parse("a: 0.10\nb: 'yes'\nc: ~\nd: \"~\"\ne:\n").expect("valid");

        assert_eq!(text(&tree, &["a"]), "0.10");
        assert_eq!(text(&tree, &["b"]), "yes");
        assert_eq!(text(&tree, &["c"]), "");
        assert_eq!(text(&tree, &["d"]), "~");
        assert_eq!(text(&tree, &["e"]), "");
    }

    #[test]
    fn anchors_and_merge_keys_work_and_written_keys_win() {
        let tree = parse("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n").expect("valid");

        assert_eq!(text(&tree, &["b", "p"]), "1");
        assert_eq!(text(&tree, &["b", "q"]), "3");
    }

    #[test]
    fn a_repeated_key_names_both_lines() {
        let problem = parse("http: {}\nlog: {}\nhttp: {}\n").expect_err("twice");

        assert_eq!(problem.to_string(), "line 3: the key `http` is written twice, first on line 1; keep one");
    }

    #[test]
    fn a_second_document_is_refused() {
        let problem = parse("a: 1\n---\nb: 2\n").expect_err("two documents");

        assert!(problem.message.contains("second YAML document"), "{problem}");
    }

    #[test]
    fn broken_yaml_is_reported_with_its_line() {
        let problem = parse("a: 1\nb: [1, 2\n").expect_err("the list never ends");

        assert!(matches!(problem.origin, Origin::Line(line) if line >= 2), "{problem}");
    }

    #[test]
    fn aliases_cannot_multiply_without_end() {
        let mut text = String::from("l0: &l0 [a, a, a, a, a, a, a, a, a, a]\n");
        for level in 1..8 {
            let before = format!("*l{}", level - 1);
            let items = vec![before; 10].join(", ");
            text.push_str(&format!("l{level}: &l{level} [{items}]\n"));
        }

        let problem = parse(&text).expect_err("ten million values");

        assert!(problem.message.contains("too many values"), "{problem}");
    }

    #[test]
    fn nesting_has_a_limit() {
        let text = "[".repeat(200) + &"]".repeat(200);

        let problem = parse(&text).expect_err("two hundred levels");

        assert!(problem.message.contains("nested too deeply"), "{problem}");
    }

    #[test]
    fn an_empty_document_is_an_empty_map() {
        assert!(parse("").expect("empty").is_blank());
        assert!(parse("# nothing\n").expect("a comment").is_blank());
    }
}
