//! The JSON schema of the configuration file, for editors.
//!
//! It is stricter than the reader in one respect: a truth value is `true` or `false`, not `yes`.

use serde_json::{Map, Value as Json, json};

use super::keys::{Absent, Fate, Key, KeyOrigin, Kind};
use super::shape::{self, Shape};

/// The schema (2020-12) as indented JSON with a line break at the end.
pub fn document() -> String {
    let mut root = section(shape::root());
    let head = [
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("title", json!("Configuration of Entrepot")),
        ("required", json!(["version"])),
        ("$defs", json!({ "reference": { "type": "string", "pattern": r"\$\{(env|file):[^}]+\}" } })),
    ];
    root.extend(head.map(|(name, value)| (name.to_owned(), value)));
    let text = serde_json::to_string_pretty(&Json::Object(root)).expect("a schema has text keys only");
    text + "\n"
}

fn section(shape: &Shape) -> Map<String, Json> {
    let properties: Map<_, _> =
        shape.children.iter().map(|child| (child.name.to_owned(), key(child))).collect();
    let required: Vec<_> =
        shape.children.iter().filter(|child| is_required(child)).map(|child| child.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!(["object", "null"]));
    schema.insert("properties".to_owned(), Json::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn is_required(shape: &Shape) -> bool {
    shape.key.is_some_and(|key| key.absent == Absent::Required)
}

fn key(shape: &Shape) -> Json {
    let Some(row) = shape.key else { return Json::Object(section(shape)) };
    let mut schema = match row.fate {
        Fate::NotYet(..) | Fate::Refused(_) => Map::from_iter([("not".to_owned(), json!({}))]),
        Fate::Ignored(_) => Map::new(),
        Fate::Works | Fate::Alias(_) => value(shape, row.kind),
    };
    schema.insert("description".to_owned(), json!(description(row)));
    if let (Fate::Works, Absent::Default(text)) = (row.fate, row.absent) {
        schema.insert("default".to_owned(), default(row.kind, text));
    }
    if !matches!(row.fate, Fate::Works) {
        schema.insert("deprecated".to_owned(), json!(true));
    }
    Json::Object(schema)
}

fn description(row: &Key) -> String {
    let mut text = row.about.to_owned();
    if row.fate != Fate::Works {
        text.push_str(&format!(" Status: {}.", super::explain::fate(row)));
    }
    if row.origin == KeyOrigin::Entrepot {
        text.push_str(" (New in Entrepot.)");
    }
    text
}

fn default(kind: Kind, text: &str) -> Json {
    match kind {
        Kind::Flag | Kind::Count(..) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

fn value(shape: &Shape, kind: Kind) -> Map<String, Json> {
    let one = json!({ "type": ["string", "number", "boolean"] });
    let schema = match kind {
        Kind::Section | Kind::Optional => return section(shape),
        Kind::Choice => json!({ "anyOf": [section(shape), { "enum": members(shape) }] }),
        Kind::Items => json!({ "type": "array", "items": section(shape) }),
        Kind::Flag => or_reference(json!({ "type": "boolean" })),
        Kind::Count(min, max) => or_reference(json!({ "type": "integer", "minimum": min, "maximum": max })),
        Kind::Duration(..) => json!({ "type": ["string", "integer"] }),
        Kind::Size(..) => or_reference(
            json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]+ ?([kKMGT]i?B|B)?$" }] }),
        ),
        Kind::OneOf(["0.1"]) => json!({ "enum": ["0.1", 0.1] }),
        Kind::OneOf(words) => or_reference(json!({ "enum": words })),
        Kind::Texts | Kind::Secrets => json!({ "anyOf": [one, { "type": "array", "items": one }] }),
        Kind::Headers => {
            json!({ "type": "object", "additionalProperties": { "anyOf": [one, { "type": "array", "items": one }] } })
        }
        Kind::Fields => json!({ "type": "object", "additionalProperties": one }),
        Kind::Text | Kind::Secret | Kind::Path | Kind::SecretFile(_) => one,
        Kind::Anything => json!({}),
    };
    match schema {
        Json::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn or_reference(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/reference" }] })
}

fn members(shape: &Shape) -> Vec<&'static str> {
    shape.members().filter(|member| member.fate() == Fate::Works).map(|member| member.name).collect()
}
