//! JSON as a small tree, read strictly: what is accepted means the same to every reader.
//!
//! Refused: nesting past [`MAX_DEPTH`], duplicate names anywhere, anything after the document, a byte
//! order mark, bytes that are not UTF-8, lone surrogates, numbers beyond a double. Strings without
//! escapes are borrowed from the input. The recursion is bounded by the depth, the memory by
//! [`MAX_VALUES`], the time by the length of the input.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::error::excerpt;

/// How deep arrays and objects may be nested. Manifests need five levels.
pub const MAX_DEPTH: usize = 64;

/// How many JSON values one document may hold: about fifty bytes of memory each.
///
/// [`super::MAX_REFERENCES`] descriptors with ten annotations apiece stay below; `[[],[],[]...` of a few
/// MiB does not.
pub const MAX_VALUES: usize = 250_000;

/// A JSON value. Numbers other than non-negative integers below 2^64 are only known to be numbers.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool,
    Integer(u64),
    Number,
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    /// What it is, for messages.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool => "a boolean",
            Value::Integer(_) | Value::Number => "a number",
            Value::Text(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

/// Reads one document. The error is a sentence with line and column where there are any.
pub(super) fn read(bytes: &[u8]) -> Result<Value<'_>, String> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err("begins with a byte order mark, which JSON does not allow".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    let budget = Cell::new(MAX_VALUES);
    let mut reader = serde_json::Deserializer::from_str(text);
    let not_json = |error: serde_json::Error| format!("not acceptable JSON: {error}");
    let value = Reader { budget: &budget, depth: 0 }.deserialize(&mut reader).map_err(not_json)?;
    reader.end().map_err(not_json)?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Reader<'b> {
    budget: &'b Cell<usize>,
    depth: usize,
}

impl Reader<'_> {
    fn spend<E: Error>(self) -> Result<(), E> {
        let left = self.budget.get().checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format_args!("more than {MAX_VALUES} values")))?;
        self.budget.set(left);
        Ok(())
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        self.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut read: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        while let Some(name) = members.next_key_seed(Name)? {
            read.push((name, members.next_value_seed(inner)?));
        }
        match duplicate(&read) {
            Some(name) => {
                Err(A::Error::custom(format_args!("{:?} occurs twice in one object", excerpt(name))))
            }
            None => Ok(Value::Object(read)),
        }
    }
}

/// The first name that occurs twice. The set hashes with a random key, so chosen names cannot make it slow.
fn duplicate<'v>(members: &'v [(Cow<'_, str>, Value<'_>)]) -> Option<&'v str> {
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().map(|(name, _)| name.as_ref()).find(|name| !seen.insert(*name))
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8]) -> String {
        read(bytes).expect_err("must be refused")
    }

    #[test]
    fn nesting_is_accepted_to_the_limit_and_refused_past_it() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));

        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(reason(nested(MAX_DEPTH + 1).as_bytes()).contains("deeper than 64"));
        assert!(reason("{\"a\":".repeat(100_000).as_bytes()).contains("deeper than 64"));
    }

    #[test]
    fn a_name_may_not_occur_twice_at_any_depth_or_in_any_spelling() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"b":0,"a":1}}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(reason(text.as_bytes()).contains("twice"), "{text}");
        }
        assert!(read(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn a_refusal_quotes_little_of_a_long_name_and_escapes_it() {
        let name = "\\n".repeat(10_000);
        let reason = reason(format!(r#"{{"{name}":1,"{name}":2}}"#).as_bytes());
        assert!(reason.len() < 400 && !reason.contains('\n'), "{reason}");
    }

    #[test]
    fn what_is_not_exactly_one_document_is_refused() {
        for bytes in [
            b"".as_slice(),
            b"   ",
            b"{} {}",
            b"{}x",
            b"{}\0",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"\xff\xfe{\0}\0",
            br#"{"a":NaN}"#,
            br#"{"a":Infinity}"#,
            br#"{"a":1e400}"#,
            br#"{"a":01}"#,
            br#"{"a":+1}"#,
            br#"{"a":1,}"#,
            br#"{'a':1}"#,
            br#"{"a":"\ud800"}"#,
            b"{\"a\":\"line\nbreak\"}",
            b"// comment\n{}",
        ] {
            assert!(read(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert!(read(b" {} \r\n\t").is_ok());
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let list = |count: usize| format!("[{}1]", "1,".repeat(count - 1));

        assert!(read(list(MAX_VALUES - 1).as_bytes()).is_ok());
        assert!(reason(list(MAX_VALUES).as_bytes()).contains("more than 250000"));
    }

    #[test]
    fn only_plain_non_negative_integers_are_integers() {
        assert!(matches!(read(b"18446744073709551615"), Ok(Value::Integer(u64::MAX))));
        for text in ["-1", "-0", "1.0", "1e3", "18446744073709551616"] {
            assert!(matches!(read(text.as_bytes()), Ok(Value::Number)), "{text}");
        }
    }
}
