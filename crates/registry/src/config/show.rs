//! The configuration in use, printed as a file that would bring it about.

use serde_json::Value as Json;

use super::Config;

/// Prints a configuration as YAML, with every secret as `"<hidden>"`.
pub fn yaml(config: &Config) -> String {
    let mut text = String::from("version: 0.1\n");
    let json = serde_json::to_value(config).expect("a configuration has text keys only");
    if let Json::Object(sections) = json {
        for (name, value) in &sections {
            entry(name, value, 0, &mut text);
        }
    }
    text
}

fn entry(name: &str, value: &Json, depth: usize, text: &mut String) {
    indent(depth, text);
    text.push_str(&scalar(&Json::from(name)));
    text.push(':');
    below(value, depth, text);
}

fn below(value: &Json, depth: usize, text: &mut String) {
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            text.push('\n');
            entries.iter().for_each(|(name, value)| entry(name, value, depth + 1, text));
        }
        Json::Array(items) if !items.is_empty() => {
            text.push('\n');
            items.iter().for_each(|value| item(value, depth + 1, text));
        }
        value => {
            text.push(' ');
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
}

fn item(value: &Json, depth: usize, text: &mut String) {
    indent(depth, text);
    text.push('-');
    below(value, depth, text);
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// JSON is YAML, so whatever is not obviously a plain word is written as JSON.
fn scalar(value: &Json) -> String {
    match value {
        Json::String(text) if is_plain(text) => text.clone(),
        value => value.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    const TAKEN: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.');
    let number = text.parse::<f64>().is_ok();
    starts_well && !number && text.bytes().all(safe) && !TAKEN.contains(&text.to_ascii_lowercase().as_str())
}
